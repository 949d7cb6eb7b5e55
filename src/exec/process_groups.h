#pragma once
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/time.h"
#include "exec/process_table.h"

namespace trainyard::exec {

/// The variable that marks every process of a rank, whatever group or session it moved to: "WARDEN_BOOT_ID/JOB/ATTEMPT/RANK".
inline constexpr std::string_view kRankMarker = "TRAINYARD_RANK_ID";

/// Names the present run of the kernel; "unknown" where it does not tell.
std::string kernel_boot_id();
/// Clock ticks since boot, as /proc/PID/stat counts them.
std::uint64_t boot_ticks();

/// The process groups a warden runs, so that others can end them when it died. Text lines (docs/formats/warden.md):
///   trainyard-groups 1 BOOT_ID KERNEL_BOOT_ID SESSION
///   + GROUP START_TICKS
///   - GROUP
/// Written with plain appends: they outlive the warden; after a crash of the machine there is nothing left to kill.
class GroupRegistry {
 public:
  /// Starts an empty file. `boot_id` names the warden, which must lead its session.
  static Result<GroupRegistry> make(std::string path, std::string boot_id);

  /// `started_from`: clock ticks since boot before its leader was started, boot_ticks().
  Result<void> add(pid_t group, std::uint64_t started_from);
  Result<void> remove(pid_t group);
  /// Before the leader of a group that runs was started, in clock ticks since boot.
  std::optional<std::uint64_t> start_of(pid_t group) const;

 private:
  GroupRegistry(std::string path, std::string boot_id) : path_(std::move(path)), boot_id_(std::move(boot_id)) {}
  Result<void> rewrite();
  Result<void> append(std::string_view line);

  std::string path_;
  std::string boot_id_;
  UniqueFd file_;
  std::map<pid_t, std::uint64_t> groups_;  ///< Start ticks by group.
  std::size_t lines_ = 0;                  ///< In the file; it is rewritten when most of them are history.
};

/// What a groups file says.
struct RecordedGroups {
  std::string boot_id;
  std::string kernel_boot_id;
  pid_t session = 0;
  std::map<pid_t, std::uint64_t> groups;  ///< Start ticks by group.
};

/// Reads a groups file. Damaged lines are skipped: what can be understood is killed. Errors: NOT_FOUND, DATA_LOSS "spool.corrupt" for a
/// damaged first line.
Result<RecordedGroups> parse_groups(std::string_view text);

/// The processes in `table` that belong to the recorded groups: members of a group in the warden's session that are not older than the
/// group's leader. Pure.
std::vector<ProcessStat> members_of(const RecordedGroups& recorded, const std::vector<ProcessStat>& table);

/// Kills all that is left of a dead warden's ranks: the recorded groups and every process that carries its marker. Nothing is left when
/// it succeeds. An absent file and a file from before the last boot are no error. Errors: DEADLINE_EXCEEDED "warden.groups_left".
Result<void> kill_recorded_groups(const std::string& path, Duration patience, const Clock& clock);

}  // namespace trainyard::exec
