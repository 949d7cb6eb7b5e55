#pragma once
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "exec/spool.h"

namespace trainyard::warden {

/// One file that is overwritten in place again and again, and kept open for that. Single-threaded.
class SlotFile {
 public:
  explicit SlotFile(std::string path) : path_(std::move(path)) {}
  const std::string& path() const { return path_; }

  /// Replaces the content; with mode 0600 and under this name alone, whatever somebody did to the file since. Errors: those of files.
  Result<void> write(std::string_view text);
  /// Overwrites what was written last; not cut to nothing: giving blocks back is dear.
  void wipe();
  /// Overwrites the first byte, which makes it no JSON.
  void make_void();
  /// The next write opens it again.
  void close() { file_.reset(); }

 private:
  std::string path_;
  UniqueFd file_;
  ino_t inode_ = 0;       ///< Of `file_`.
  std::size_t size_ = 0;  ///< Of what was written last.
};

/// What a rank needs from before its first instruction until its end.
struct LaunchFiles {
  SlotFile spec;          ///< TRAINYARD_SPEC
  SlotFile token;         ///< TRAINYARD_TOKEN_FILE
  SlotFile start_record;  ///< exec::StartRecord: there from before the first instruction.
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

 private:
  explicit LaunchSlots(std::string directory) : directory_(std::move(directory)) {}

  std::string directory_;
  std::uint64_t last_ = 0;
  std::vector<LaunchFiles> free_;
};

}  // namespace trainyard::warden
