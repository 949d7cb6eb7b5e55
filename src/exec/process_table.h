#pragma once
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace trainyard::exec {

/// One process as /proc/PID/stat shows it.
struct ProcessStat {
  pid_t pid = 0;
  pid_t parent = 0;
  pid_t group = 0;
  pid_t session = 0;
  std::uint64_t start_ticks = 0;  ///< Clock ticks since boot: with the pid it names one process for good.
  bool zombie = false;
};

/// None when there is no such process (any more).
std::optional<ProcessStat> process_stat(pid_t pid);
/// Parses the text of /proc/PID/stat; the command name in it may hold anything.
std::optional<ProcessStat> parse_process_stat(std::string_view text);
/// Every process that can be seen. Processes come and go while it looks.
std::vector<ProcessStat> list_processes();
/// Children of the calling thread, zombies included.
std::vector<pid_t> own_children();

/// True when the environment the process was started with has a variable whose "NAME=value" starts with `prefix`. False when it
/// cannot be read.
bool environment_has(pid_t pid, std::string_view prefix);
/// The value of a variable in the environment the process was started with.
std::optional<std::string> environment_value(pid_t pid, std::string_view name);
/// True when the process has a handler for the signal.
bool catches_signal(pid_t pid, int signal);

/// Sends SIGKILL to the listed processes, unless their pid has been given to another process since, and waits up to `patience` for
/// their end. Returns how many are still there.
std::size_t kill_processes(const std::vector<ProcessStat>& processes, Duration patience, const Clock& clock);

}  // namespace trainyard::exec
