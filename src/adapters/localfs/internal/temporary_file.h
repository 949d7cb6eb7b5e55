#pragma once
#include "adapters/localfs/internal/tree.h"

namespace trainyard::adapters::localfs::internal {

/// A file in the tree's directory of temporary files. It is locked while it is written, so that others can tell it from what a dead writer
/// left, and it is removed when it goes out of scope before it was moved into place.
class TemporaryFile {
 public:
  static Result<TemporaryFile> make(Tree& tree, std::string_view directory);
  TemporaryFile(TemporaryFile&& other) noexcept;
  TemporaryFile& operator=(TemporaryFile&&) = delete;
  ~TemporaryFile();

  int fd() const { return fd_.get(); }
  const std::string& path() const { return place_.path; }
  /// Gives the file its final name, which must be free when `exclusive`; otherwise the name is replaced. Errors: ALREADY_EXISTS.
  Result<void> move_to(const Place& place, bool exclusive);

 private:
  TemporaryFile(Place place, UniqueFd fd) : place_(std::move(place)), fd_(std::move(fd)) {}

  Place place_;
  UniqueFd fd_;
  bool named_ = true;
};

/// Removes the temporary files whose writers are gone.
Result<void> remove_abandoned_files(Tree& tree, std::string_view directory);

}  // namespace trainyard::adapters::localfs::internal
