#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/file.h"

namespace trainyard::warden {

/// An append-only file that others read while it grows. Appends are whole or not at all. The file is made by the first of them: a rank
/// that says nothing has none, and its start does not wait for the disk.
class SpoolFile {
 public:
  /// Nothing is touched before the first append, which replaces a file that is there.
  explicit SpoolFile(std::string path) : path_(std::move(path)) {}

  /// Errors: RESOURCE_EXHAUSTED "io.disk_full" and others of write; the file is then as before and the append may be repeated.
  Result<void> append(std::string_view bytes);
  std::uint64_t size() const { return size_; }
  /// Gives the disk space of the bytes before `end` back, where the file system can; they read as zeros afterwards.
  void release_before(std::uint64_t end);

 private:
  std::string path_;
  UniqueFd file_;  ///< None until there is something to append.
  std::uint64_t size_ = 0;
};

/// Cuts a log file back to whole records from `start` on, an events file to whole lines: a warden that is killed may leave a torn tail.
/// Return the size afterwards.
Result<std::uint64_t> repair_log_file(const std::string& path, std::uint64_t start);
Result<std::uint64_t> repair_events_file(const std::string& path);

}  // namespace trainyard::warden
