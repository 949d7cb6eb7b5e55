#include "apps/train/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>

#include "base/file.h"

extern char** environ;

namespace trainyard::apps {
namespace {

constexpr std::size_t kOutputMax = std::size_t{1} << 20;

std::string directory_of_this_program() {
  std::array<char, PATH_MAX> path{};
  const ssize_t length = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
  if (length <= 0) return ".";
  const std::string text(path.data(), static_cast<std::size_t>(length));
  return text.substr(0, text.find_last_of('/'));
}

Result<pid_t> spawn(const std::vector<std::string>& argv, int output) {
  std::vector<std::string> words = argv;
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, pointers[0], &actions, nullptr, pointers.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return system_error(error, "posix_spawn", argv[0]);
  return pid;
}

/// Reads until the writer closes. Errors: see run_child.
Result<std::string> read_output(int fd, const std::string& program, const Clock& clock, MonotonicPoint deadline) {
  std::string output;
  std::array<char, 4096> buffer{};
  for (;;) {
    const Duration left = deadline - clock.monotonic_now();
    if (left <= Duration(0)) {
      return Error{
          Category::kDeadlineExceeded, "program.timeout", "a helper program did not end in time and was killed: " + program, {}, {}};
    }
    pollfd readable{.fd = fd, .events = POLLIN, .revents = 0};
    if (::poll(&readable, 1, static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count())) <= 0) continue;
    const ssize_t count = ::read(fd, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error(errno, "read", program);
    if (count == 0) return output;
    output.append(buffer.data(), static_cast<std::size_t>(count));
    if (output.size() > kOutputMax) {
      return Error{Category::kResourceExhausted, "program.output", "a helper program wrote too much and was killed: " + program, {}, {}};
    }
  }
}

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

Result<std::string> find_program(const std::string& name) {
  const std::string here = directory_of_this_program();
  std::vector<std::string> directories;
  if (const char* const libexec = std::getenv("TRAINYARD_LIBEXEC"); libexec != nullptr && *libexec != '\0')
    directories.emplace_back(libexec);
  directories.push_back(here);
  directories.push_back(here + "/../libexec/trainyard");
  for (const std::string& directory : directories) {
    std::string path = directory + "/" + name;
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return not_found("program.missing", fmt::format("a program of the platform that this job needs is not installed; build it or set "
                                                  "TRAINYARD_LIBEXEC: {}, looked in {}",
                                                  name, fmt::join(directories, ", ")));
}

Result<ChildOutcome> run_child(const std::vector<std::string>& argv, const Clock& clock, Duration patience) {
  const MonotonicPoint deadline = clock.monotonic_now() + patience;
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return system_error(errno, "pipe2", argv[0]);
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  ASSIGN_OR_RETURN(const pid_t pid, spawn(argv, writer.get()));
  writer.reset();
  Result<std::string> output = read_output(reader.get(), argv[0], clock, deadline);
  if (!output.ok()) ::kill(pid, SIGKILL);
  const int code = wait_for(pid);
  if (!output.ok()) return std::move(output).error();
  return ChildOutcome{.exit_code = code, .output = std::move(output).value()};
}

}  // namespace trainyard::apps
