#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "exec/spool.h"

namespace trainyard::warden {

/// What a rank needs from before its first instruction until its end.
struct LaunchFiles {
  std::string spec;          ///< TRAINYARD_SPEC
  std::string token;         ///< TRAINYARD_TOKEN_FILE
  std::string start_record;  ///< exec::StartRecord: there from before the first instruction.
};

/// Places for these files, one for each rank that runs at a time; they are overwritten in place by the next rank, since making, renaming
/// and removing files costs a file system far more than that. Whoever reads them has been told the path by the warden that wrote them.
/// Single-threaded.
class LaunchSlots {
 public:
  /// Makes the directory; what a warden before this one left in it stays until `empty`.
  static Result<LaunchSlots> open(std::string directory);
  /// What the warden before this one had started and not seen to end, or seen to end right before it died: an exit record tells.
  std::vector<exec::StartRecord> started() const;
  /// Removes what was left. Before the first `take`.
  Result<void> empty();

  /// Errors: those of files.
  Result<LaunchFiles> take();
  /// The rank has ended, durably told, or never started: its secret is wiped and its start record is void.
  void give_back(LaunchFiles files);

  /// Replaces the content of one of the files; with mode 0600 and under this name alone, whatever the last rank did to it. Errors: those
  /// of files.
  static Result<void> write(const std::string& path, std::string_view text);

 private:
  explicit LaunchSlots(std::string directory) : directory_(std::move(directory)) {}

  std::string directory_;
  std::uint64_t last_ = 0;
  std::vector<LaunchFiles> free_;
};

}  // namespace trainyard::warden
