#pragma once
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

#include "base/file.h"

namespace trainyard::adapters::localfs::internal {

/// An open directory and the name of an entry in it.
struct Place {
  UniqueFd directory;
  std::string name;
  std::string path;  ///< For messages.
};

/// A directory tree that is only ever entered one plain directory at a time, so that nothing outside of it can be reached: relative paths
/// are "a/b/c" without empty, "." or ".." parts (the caller has checked them), and symbolic links are not followed. Thread-safe.
class Tree {
 public:
  static Result<Tree> open(const std::string& root);
  Tree(Tree&&) noexcept;
  Tree& operator=(Tree&&) = delete;

  const std::string& root() const { return root_; }

  /// The place of `path` when all directories on the way are there; none otherwise.
  Result<std::optional<Place>> find(std::string_view path) const;
  /// The place of `path`; directories on the way are made, and their names are durable when this returns. Errors: FAILED_PRECONDITION
  /// "object.name_conflict" when a file or a link stands on the way.
  Result<Place> make_way(std::string_view path);
  /// Calls `visit` with each entry of the directory `path` ("" is the root) and whether it is a directory; others than directories and
  /// plain files are left out. An absent directory has no entries.
  Result<void> for_each_entry(std::string_view path, const std::function<void(std::string_view name, bool is_directory)>& visit) const;

 private:
  Tree(std::string root, UniqueFd fd) : root_(std::move(root)), fd_(std::move(fd)) {}
  Result<std::optional<UniqueFd>> enter(std::string_view directory) const;
  bool is_durable(const std::string& directory);
  void note_durable(const std::string& directory);

  std::string root_;
  UniqueFd fd_;
  std::mutex mutex_;
  std::unordered_set<std::string> durable_;  // guarded by mutex_: directories whose names are known to be on disk.
};

/// Opens the plain file at `place` for reading; none when there is no such file, or something else than a file.
Result<std::optional<UniqueFd>> open_plain_file(const Place& place);
/// fsync of the directory of `place`.
Result<void> sync_entries(const Place& place);
/// Removes the file at `place`; true when there was one. Directories are left alone.
Result<bool> remove_file(const Place& place);

}  // namespace trainyard::adapters::localfs::internal
