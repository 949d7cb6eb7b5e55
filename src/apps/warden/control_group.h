#pragma once
#include <sys/types.h>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace trainyard::warden {

/// One directory of a control group hierarchy that this process made. Files are written whole, as the kernel wants it.
class ControlGroup {
 public:
  /// Makes the directory; one that is there is used as it is. Errors: those of mkdir and open.
  static Result<ControlGroup> make(std::string path);

  const std::string& path() const { return path_; }
  /// For the child that is to join: it writes "0" there. Open as long as this lives.
  int procs() const { return procs_.get(); }

  Result<void> set(std::string_view file, std::string_view value) const;
  /// The number after `name` in a file of "name number" lines; 0 when it is not there. The file is kept open: always ask for the same.
  std::uint64_t counter(std::string_view file, std::string_view name) const;
  std::vector<pid_t> members() const;
  Result<void> add(pid_t process) const;
  /// False while it is not empty.
  bool remove();

 private:
  ControlGroup(std::string path, UniqueFd procs) : path_(std::move(path)), procs_(std::move(procs)) {}

  std::string path_;
  UniqueFd procs_;
  mutable UniqueFd counters_;  ///< Opened when it is first read.
};

/// The path of this process in a hierarchy, from the lines of /proc/self/cgroup: `controller` empty for version 2.
std::optional<std::string> own_group(std::string_view proc_self_cgroup, std::string_view controller);

/// Removes the groups below `path` and itself, as far as they are empty; `kill` ends what is left in them first. Absent is fine.
void remove_groups_below(const std::string& path, bool kill);

}  // namespace trainyard::warden
