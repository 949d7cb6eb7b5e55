#include "agent/command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
extern "C" {  // glibc 2.36 forgets it.
#include <sys/pidfd.h>
}
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "base/file.h"

extern char** environ;

namespace trainyard::agent {
namespace {

/// A child in a process group of its own, whose standard output is the pipe. Errors: as run_command.
Result<pid_t> spawn(const std::vector<std::string>& argv, int output) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, 1);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);

  std::vector<char*> pointers;
  for (const std::string& word : argv) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  pid_t pid = 0;
  const int failed = ::posix_spawnp(&pid, pointers.front(), &actions, &attributes, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failed == ENOENT) return not_found("command.not_found", "there is no such program in PATH: " + argv.front());
  if (failed != 0) return system_error(failed, "posix_spawn", argv.front());
  return pid;
}

/// Reads until the end of file. Errors: as run_command.
Result<std::string> read_output(int fd, const std::string& name, const CommandLimits& limits, const Clock& clock) {
  const MonotonicPoint deadline = clock.monotonic_now() + limits.deadline;
  std::string output;
  std::array<char, 16'384> buffer;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock.monotonic_now());
    pollfd ready{fd, POLLIN, 0};
    if (left.count() <= 0 || ::poll(&ready, 1, static_cast<int>(left.count())) == 0) {
      return Error{Category::kDeadlineExceeded,
                   "command.deadline",
                   fmt::format("a program did not end in time and was killed: {} after {}", name, format_duration(limits.deadline)),
                   {},
                   {}};
    }
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(errno, "read", name);
    if (got == 0) return output;
    output.append(buffer.data(), static_cast<std::size_t>(got));
    if (output.size() > limits.output_max) {
      return Error{Category::kResourceExhausted,
                   "command.output",
                   fmt::format("a program wrote more than {} bytes: {}", limits.output_max, name),
                   {},
                   {}};
    }
  }
}

void await_end(int pidfd, MonotonicPoint deadline, const Clock& clock) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock.monotonic_now());
  pollfd ended{pidfd, POLLIN, 0};
  if (pidfd >= 0 && left.count() > 0) (void)::poll(&ended, 1, static_cast<int>(left.count()));
}

}  // namespace

Result<std::string> run_command(const std::vector<std::string>& argv, const CommandLimits& limits, const Clock& clock) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return system_error(errno, "pipe2", argv.front());
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  ASSIGN_OR_RETURN(const pid_t pid, spawn(argv, writer.get()));
  writer.reset();
  const UniqueFd pidfd(::pidfd_open(pid, 0));
  const MonotonicPoint deadline = clock.monotonic_now() + limits.deadline;
  Result<std::string> output = read_output(reader.get(), argv.front(), limits, clock);
  // It may have closed its output and go on, and what it started may hold the pipe: nothing of it outlives this call. It is not collected
  // yet, so that the number of the group is still its own.
  if (output.ok()) await_end(pidfd.get(), deadline, clock);
  ::kill(-pid, SIGKILL);
  int status = 0;
  pid_t waited = 0;
  while ((waited = ::waitpid(pid, &status, 0)) < 0 && errno == EINTR) {
  }
  if (!output.ok()) return output;
  // Where SIGCHLD is ignored the kernel keeps no status: then the output has to speak for itself.
  if (waited == pid && status != 0) {
    return failed_precondition("command.failed",
                               fmt::format("a program failed: {} ended with {}", argv.front(),
                                           WIFEXITED(status) ? fmt::format("exit code {}", WEXITSTATUS(status)) : "a signal"));
  }
  return output;
}

}  // namespace trainyard::agent
