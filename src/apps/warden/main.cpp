// The warden of a node: parent of every rank. One thread, small, and never replaced while ranks run.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <span>

#include "apps/warden/warden.h"
#include "base/failpoint.h"

namespace trainyard::warden {
namespace {

constexpr int kExitUsage = 64;
constexpr int kExitFailed = 70;
/// Another warden holds the directory: it is the one to talk to.
constexpr int kExitTaken = 75;

struct Options {
  WardenSettings settings;
  int lifeline_fd = -1;
  bool daemonize = false;
};

constexpr std::string_view kUsage =
    "usage: trainyard-warden --dir DIR [--program-dir DIR] [--grace DURATION] [--idle-exit DURATION] [--spool-max SIZE]\n"
    "                        [--limits auto|process] [--zygotes auto|off] [--lifeline FD] [--daemonize]\n";

Result<int> parse_descriptor(const std::string& text) {
  int fd = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), fd);
  if (error != std::errc() || end != text.data() + text.size() || ::fcntl(fd, F_GETFD) < 0) {
    return invalid_argument("warden.usage", "--lifeline wants the number of an open descriptor: " + text);
  }
  return fd;
}

Result<Options> parse_options(std::span<char*> arguments) {
  Options options;
  for (std::size_t index = 1; index < arguments.size(); ++index) {
    const std::string name = arguments[index];
    if (name == "--daemonize") {
      options.daemonize = true;
      continue;
    }
    if (index + 1 == arguments.size()) return invalid_argument("warden.usage", "an option lacks its value: " + name);
    const std::string value = arguments[++index];
    if (name == "--dir") {
      options.settings.data_dir = std::filesystem::absolute(value).string();
    } else if (name == "--program-dir") {
      options.settings.program_dir = value;
    } else if (name == "--grace") {
      ASSIGN_OR_RETURN(options.settings.grace, parse_duration(value));
    } else if (name == "--idle-exit") {
      ASSIGN_OR_RETURN(options.settings.idle_exit, parse_duration(value));
    } else if (name == "--spool-max") {
      ASSIGN_OR_RETURN(const ByteSize size, parse_byte_size(value));
      options.settings.spool_max = static_cast<std::uint64_t>(size.bytes);
    } else if (name == "--limits") {
      if (value != "auto" && value != "process") return invalid_argument("warden.usage", "--limits is auto or process: " + value);
      options.settings.control_groups = value == "auto";
    } else if (name == "--zygotes") {
      if (value != "auto" && value != "off") return invalid_argument("warden.usage", "--zygotes is auto or off: " + value);
      options.settings.zygotes = value == "auto";
    } else if (name == "--lifeline") {
      ASSIGN_OR_RETURN(options.lifeline_fd, parse_descriptor(value));
    } else {
      return invalid_argument("warden.usage", "there is no such option: " + name);
    }
  }
  if (options.settings.data_dir.empty()) return invalid_argument("warden.usage", "--dir DIR is missing");
  return options;
}

std::string own_directory() {
  std::array<char, PATH_MAX> path{};
  const ssize_t length = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
  if (length <= 0) return "";
  return std::filesystem::path(std::string(path.data(), static_cast<std::size_t>(length))).parent_path().string();
}

/// Above the reserved numbers.
Result<UniqueFd> moved_up(int fd, const char* what) {
  UniqueFd moved;
  if (fd < 0) return moved;
  moved.reset(::fcntl(fd, F_DUPFD_CLOEXEC, kReservedDescriptors));
  if (!moved.valid()) return system_error(errno, "fcntl", what);
  return moved;
}

/// Moves the lifeline and `ready` out of the way of the reserved numbers and closes everything else that was inherited.
Result<UniqueFd> adopt_descriptors(int lifeline, UniqueFd& ready) {
  ASSIGN_OR_RETURN(UniqueFd moved, moved_up(lifeline, "lifeline"));
  ASSIGN_OR_RETURN(ready, moved_up(ready.get(), "ready"));
  for (int fd = 3; fd < 1024; ++fd) {
    if (fd != moved.get() && fd != ready.get()) ::close(fd);
  }
  TRY(reserve_low_descriptors());
  return moved;
}

/// 0 is /dev/null, 1 and 2 go to run/warden.log.
Result<void> redirect_standard_streams(const std::string& log_path) {
  ASSIGN_OR_RETURN(const UniqueFd input, open_file("/dev/null", O_RDONLY));
  ASSIGN_OR_RETURN(const UniqueFd output, open_file(log_path, O_WRONLY | O_CREAT | O_APPEND));
  for (const auto& [from, to] : {std::pair(input.get(), 0), std::pair(output.get(), 1), std::pair(output.get(), 2)}) {
    if (::dup2(from, to) < 0) return system_error(errno, "dup2", log_path);
  }
  return {};
}

Result<UniqueFd> watch_signals(EventLoop& loop, Warden& warden, Duration grace) {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&signals, signal);
  UniqueFd fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return system_error(errno, "signalfd", "");
  TRY(loop.watch(fd.get(), EPOLLIN, [&warden, grace, raw = fd.get()](std::uint32_t) {
    signalfd_siginfo info{};
    while (::read(raw, &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
      if (info.ssi_signo == SIGCHLD) {
        warden.on_child_signal();
      } else if (info.ssi_signo != SIGHUP) {
        warden.shutdown(grace);
      }
    }
  }));
  return fd;
}

void block_signals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&signals, signal);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  // Whoever starts a warden may ignore SIGCHLD: then the kernel would collect our ranks before we see how they ended.
  ::signal(SIGCHLD, SIG_DFL);
  // Both come back as errors of the write that caused them.
  for (const int signal : {SIGPIPE, SIGXFSZ}) ::signal(signal, SIG_IGN);
}

/// The other end is held by whoever wants the ranks to end with it.
struct Lifeline {
  UniqueFd fd;
  WatchId watch;
};

Result<void> watch_lifeline(EventLoop& loop, Warden& warden, Lifeline& lifeline, Duration grace) {
  if (!lifeline.fd.valid()) return {};
  ASSIGN_OR_RETURN(lifeline.watch, loop.watch(lifeline.fd.get(), EPOLLIN, [&loop, &warden, &lifeline, grace](std::uint32_t) {
    std::array<char, 64> ignored{};
    if (::read(lifeline.fd.get(), ignored.data(), ignored.size()) > 0) return;
    loop.unwatch(lifeline.watch);
    warden.shutdown(grace);
  }));
  return {};
}

/// Tells whoever waits for the daemon how the start went: nothing, or what is wrong.
void report_start(UniqueFd& ready, std::string_view problem) {
  if (ready.valid() && !problem.empty()) (void)write_all(ready.get(), problem, "start report");
  ready.reset();
}

Result<void> serve(const Options& options, UniqueFd& ready) {
  Lifeline lifeline;
  ASSIGN_OR_RETURN(lifeline.fd, adopt_descriptors(options.lifeline_fd, ready));
  const std::string run = exec::run_directory(options.settings.data_dir);
  TRY(make_directories(run));
  ASSIGN_OR_RETURN(const UniqueFd lock, open_file(run + "/warden.lock", O_RDWR | O_CREAT));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return Error{Category::kAlreadyExists, "warden.taken", "another warden serves this directory: " + options.settings.data_dir, {}, {}};
  }
  if (options.daemonize) TRY(redirect_standard_streams(run + "/warden.log"));
  block_signals();
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  raise_descriptor_limit();
  go_before_ranks();

  const SystemClock clock;
  ASSIGN_OR_RETURN(EventLoop loop, EventLoop::make(clock));
  ASSIGN_OR_RETURN(const std::unique_ptr<Warden> warden, Warden::make(options.settings, {loop, clock}));
  ASSIGN_OR_RETURN(const UniqueFd signals, watch_signals(loop, *warden, options.settings.grace));
  TRY(watch_lifeline(loop, *warden, lifeline, options.settings.grace));
  report_start(ready, "");
  return loop.run();
}

int run(const Options& options, UniqueFd ready) {
  const Result<void> served = serve(options, ready);
  if (served.ok()) return 0;
  report_start(ready, served.error().describe());
  fmt::print(stderr, "trainyard-warden: {}\n", served.error().describe());
  return served.error().id == "warden.taken" ? kExitTaken : kExitFailed;
}

/// Leaves the caller's session; the caller's wait ends when the socket is open, or with what went wrong.
int run_as_daemon(const Options& options) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return kExitFailed;
  UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return kExitFailed;
  if (child == 0) {
    reader.reset();
    ::setsid();
    return run(options, std::move(writer));
  }
  writer.reset();
  std::array<char, 1024> text{};
  const ssize_t got = ::read(reader.get(), text.data(), text.size());
  if (got <= 0) return 0;
  fmt::print(stderr, "trainyard-warden: {}\n", std::string_view(text.data(), static_cast<std::size_t>(got)));
  int status = 0;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : kExitFailed;
}

}  // namespace
}  // namespace trainyard::warden

int main(int argc, char** argv) {
  using namespace trainyard::warden;
  trainyard::arm_failpoints_from_environment();
  trainyard::Result<Options> options = parse_options(std::span(argv, static_cast<std::size_t>(argc)));
  if (!options.ok()) {
    fmt::print(stderr, "trainyard-warden: {}\n{}", options.error().message, kUsage);
    return kExitUsage;
  }
  if (options->settings.program_dir.empty()) options->settings.program_dir = own_directory();
  if (options->daemonize) return run_as_daemon(*options);
  ::setsid();
  return run(*options, {});
}
