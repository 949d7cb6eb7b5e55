#pragma once
#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "apps/warden/launch_slots.h"
#include "apps/warden/limits.h"
#include "apps/warden/rank_output.h"
#include "apps/warden/spares.h"
#include "exec/attempt.h"

namespace trainyard::warden {

/// What a rank's environment is made from besides its launch.
struct EnvironmentBase {
  std::string program_dir;  ///< First in PATH.
  std::string boot_id;      ///< Goes into the marker of the rank's processes.
  std::string data_dir;
  std::map<std::string, std::string> inherited;  ///< The warden's own environment.
};

/// A clean base (PATH, HOME, LANG, TMPDIR), then `launch.env`, then the files of the rank. Pure.
std::map<std::string, std::string> rank_environment(const exec::RankLaunch& launch, const EnvironmentBase& base, const LaunchFiles& files);
std::string workdir_of(const exec::RankLaunch& launch, const std::string& data_dir);
/// The warden's own environment.
std::map<std::string, std::string> inherited_environment();

/// Makes the directories of a rank and writes the files its environment names.
Result<void> write_launch_files(const exec::RankLaunch& launch, const EnvironmentBase& base, LaunchFiles& files, Spares& spares);
/// Looks for the program where spawn_rank will, without starting it. Errors: NOT_FOUND "launch.no_program", FAILED_PRECONDITION
/// "launch.exec".
Result<void> find_rank_program(const std::vector<std::string>& argv, const std::map<std::string, std::string>& environment);

/// Descriptors below are the warden's standard streams and, from 3 on, /dev/null: places for what a rank inherits.
inline constexpr int kReservedDescriptors = 10;
/// Opens /dev/null as each of them that is free.
Result<void> reserve_low_descriptors();
/// Raises the soft limit of open files to the hard one; ranks get the old soft limit back.
void raise_descriptor_limit();
/// Where it is allowed to, takes precedence over the ranks for the warden and for a child until it execs: on a machine whose ranks use
/// every core each start would wait behind them.
void go_before_ranks();

struct SpawnedRank {
  pid_t pid = 0;
  bool limited = true;  ///< False when it could not enter its groups: it has the limits of a process.
};

/// Starts the program as leader of a new process group, with the ends as descriptors 1, 2 and 3, /dev/null as 0, default signals,
/// PR_SET_PDEATHSIG and the limits. Returns once it runs. Errors: NOT_FOUND "launch.no_program", PERMISSION_DENIED and others
/// "launch.exec", "launch.workdir", RESOURCE_EXHAUSTED "launch.fork".
Result<SpawnedRank> spawn_rank(const std::vector<std::string>& argv, const std::map<std::string, std::string>& environment,
                               const std::string& workdir, const RankOutput::WriteEnds& ends, const ChildLimits& limits);

}  // namespace trainyard::warden
