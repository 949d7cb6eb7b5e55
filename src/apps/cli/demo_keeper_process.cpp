#include "apps/cli/demo_keeper_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <poll.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <optional>
#include <vector>

#include "base/document.h"
#include "base/file.h"
#include "base/time.h"

extern char** environ;

namespace trainyard::apps {
namespace {

constexpr int kLifelineFd = 9;
/// The last part of kKeeperEnd: for what has to be killed, and for the removal of files.
constexpr std::chrono::seconds kKillTime{5};

/// The directory to work in; one that this process made is removed at the end.
class KeptDirectory {
 public:
  static Result<KeptDirectory> open(const std::string& path) {
    KeptDirectory directory;
    directory.made_here_ = path.empty();
    if (path.empty()) {
      ASSIGN_OR_RETURN(directory.path_, make_temporary_directory("trainyard-demo-"));
    } else {
      TRY(make_directories(path));
      directory.path_ = path;
    }
    struct stat status {};
    if (::lstat(directory.path_.c_str(), &status) != 0) return system_error(errno, "lstat", directory.path_);
    directory.device_ = status.st_dev;
    directory.inode_ = status.st_ino;
    return directory;
  }

  const std::string& path() const { return path_; }

  /// Removes what this process made, if it still is that directory and no other server or warden works in it.
  Result<void> remove_if_made_here() const {
    if (!made_here_) return {};
    struct stat status {};
    if (::lstat(path_.c_str(), &status) != 0) return {};
    if (!S_ISDIR(status.st_mode) || status.st_dev != device_ || status.st_ino != inode_ || is_locked("lock") ||
        is_locked("run/warden.lock"))
      return unavailable("demo.directory_in_use", "the temporary directory is not removed, since something else uses it: " + path_);
    return remove_tree(path_);
  }

 private:
  bool is_locked(std::string_view name) const {
    const Result<UniqueFd> file = open_file(fmt::format("{}/{}", path_, name), O_RDWR);
    return file.ok() && ::flock(file->get(), LOCK_EX | LOCK_NB) != 0;
  }

  std::string path_;
  bool made_here_ = false;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

struct Spawned {
  pid_t pid = 0;
  UniqueFd lifeline;  ///< Writing end; this process holds the only one.
};

Result<Spawned> spawn_server(const std::string& program, const std::string& data) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return system_error(errno, "pipe", "lifeline");
  const UniqueFd reading(ends[0]);
  Spawned spawned;
  spawned.lifeline.reset(ends[1]);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, reading.get(), kLifelineFd);
  // The signals that the demo and this process block or ignore are none of the server's business.
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

  std::vector<std::string> words{"trainyard-server", "up", "--data", data, "--port", "0", "--ready-file", data + "/ready.json"};
  words.insert(words.end(), {"--lifeline", std::to_string(kLifelineFd)});
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const int failed = ::posix_spawn(&spawned.pid, program.c_str(), &actions, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0) return system_error(failed, "posix_spawn", program);
  return spawned;
}

/// Away from the terminal and from what the demo has open: whoever reads the demo's output must not wait for this process.
Result<void> detach(const KeeperTask& task, const std::string& log) {
  ::setsid();
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  ASSIGN_OR_RETURN(const UniqueFd input, open_file("/dev/null", O_RDONLY));
  ASSIGN_OR_RETURN(const UniqueFd output, open_file(log, O_WRONLY | O_CREAT | O_APPEND));
  for (const auto& [from, to] : {std::pair(input.get(), 0), std::pair(output.get(), 1), std::pair(output.get(), 2)}) {
    if (::dup2(from, to) < 0) return system_error(errno, "dup2", log);
  }
  const auto lower = static_cast<unsigned>(std::min(task.control, task.report));
  const auto upper = static_cast<unsigned>(std::max(task.control, task.report));
  const auto close_between = [](unsigned first, unsigned last) {
    if (first <= last) ::syscall(SYS_close_range, first, last, 0);
  };
  close_between(3, lower - 1);
  close_between(lower + 1, upper - 1);
  close_between(upper + 1, ~0U);
  return {};
}

/// Collects the children that have ended; true when there are none left.
bool collect_children() {
  for (;;) {
    const pid_t child = ::waitpid(-1, nullptr, WNOHANG);
    if (child == 0) return false;
    if (child < 0 && errno != EINTR) return true;
  }
}

void kill_children() {
  const std::string text = read_file(fmt::format("/proc/self/task/{}/children", ::getpid())).value_or("");
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    pid_t pid = 0;
    const auto [next, error] = std::from_chars(at, end, pid);
    if (error == std::errc() && pid > 1) ::kill(pid, SIGKILL);
    at = std::max(next, at) + 1;
  }
}

/// Waits for the end of the demo, of everything it started, or for a signal.
class KeeperWait {
 public:
  KeeperWait(int control, int signals) : control_(control), signals_(signals) {}

  /// Returns when there is nothing more to keep, or everything is to be ended. True in the first case.
  bool wait_for_the_end() {
    for (;;) {
      pollfd watched[] = {{signals_, POLLIN, 0}, {control_, POLLIN, 0}};
      ::poll(watched, control_ >= 0 ? 2 : 1, -1);
      if ((watched[0].revents & POLLIN) != 0) {
        if (take_signals()) return false;
        // While the demo lives it decides what the end of its server means.
        if (collect_children() && control_ < 0) return true;
      }
      if (control_ >= 0 && watched[1].revents != 0 && !take_message()) {
        if (!kept_) return false;
        control_ = -1;
        if (collect_children()) return true;
      }
    }
  }

  /// Waits until `deadline` for the last child; true when there is none.
  bool wait_for_children(MonotonicPoint deadline, bool kill) {
    const SystemClock clock;
    for (;;) {
      if (collect_children()) return true;
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock.monotonic_now()).count();
      if (left <= 0) return false;
      // What is killed leaves its own children to this process: they are looked at again soon.
      if (kill) kill_children();
      pollfd watched{signals_, POLLIN, 0};
      ::poll(&watched, 1, static_cast<int>(kill ? std::min<std::int64_t>(left, 50) : left));
      (void)take_signals();
    }
  }

 private:
  /// True when a signal asked this process to leave.
  bool take_signals() const {
    bool leave = false;
    signalfd_siginfo info{};
    while (::read(signals_, &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) leave |= info.ssi_signo != SIGCHLD;
    return leave;
  }

  /// False at the end of file.
  bool take_message() {
    std::array<char, 16> text{};
    const ssize_t got = ::read(control_, text.data(), text.size());
    if (got > 0) kept_ = true;
    return got > 0 || (got < 0 && errno == EINTR);
  }

  int control_;
  int signals_;
  bool kept_ = false;
};

sigset_t block_signals() {
  sigset_t mask;
  sigemptyset(&mask);
  for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) sigaddset(&mask, signal);
  ::sigprocmask(SIG_BLOCK, &mask, nullptr);
  ::signal(SIGCHLD, SIG_DFL);
  ::signal(SIGPIPE, SIG_IGN);
  return mask;
}

Result<Spawned> begin(const KeeperTask& task, const KeptDirectory& directory, std::uint64_t& log_begin) {
  const std::string log = directory.path() + "/server.log";
  log_begin = file_size(log).value_or(0);
  TRY(remove_tree(directory.path() + "/ready.json"));
  TRY(detach(task, log));
  return spawn_server(task.server_program, directory.path());
}

void report_to_demo(const KeeperTask& task, const Document& report) {
  (void)write_all(task.report, to_json(report), "demo");
  ::close(task.report);
}

}  // namespace

int keep_demo_server(const KeeperTask& task) {
  const sigset_t mask = block_signals();
  const Result<KeptDirectory> directory = KeptDirectory::open(task.data);
  if (!directory.ok()) {
    report_to_demo(task, Document::object({{"error", directory.error().describe()}}));
    return 1;
  }
  std::uint64_t log_begin = 0;
  Result<Spawned> server = begin(task, *directory, log_begin);
  if (server.ok()) {
    const UniqueFd signals(::signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));
    report_to_demo(task, Document::object({{"data", directory->path()}, {"pid", std::int64_t{server->pid}}, {"log_begin", log_begin}}));
    KeeperWait wait(task.control, signals.get());
    const bool all_gone = wait.wait_for_the_end();
    server->lifeline.reset();
    const MonotonicPoint deadline = SystemClock().monotonic_now() + kKeeperEnd;
    if (!all_gone && !wait.wait_for_children(deadline - kKillTime, false)) (void)wait.wait_for_children(deadline, true);
  } else {
    report_to_demo(task, Document::object({{"error", server.error().describe()}}));
  }
  const Result<void> removed = directory->remove_if_made_here();
  if (!removed.ok()) fmt::print(stderr, "{}\n", removed.error().describe());
  return removed.ok() ? 0 : 1;
}

}  // namespace trainyard::apps
