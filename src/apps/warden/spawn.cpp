#include "apps/warden/spawn.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "exec/process_groups.h"
#include "exec/spool.h"

namespace trainyard::warden {
namespace {

/// Of the reserved ones: stdin, stdout, stderr and descriptor 3 of the rank that is being started, /dev/null at all other times.
constexpr std::array<int, 4> kHandedDown{4, 5, 6, 7};
constexpr int kNull = 8;
constexpr std::string_view kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Ranks are the first that the kernel ends when memory runs out, before the warden and the server.
constexpr std::string_view kOomScore = "500";

rlimit g_descriptor_limit{};  // As it was when the warden started; written once, before the first rank.
int g_nice = 0;               // The same.
constexpr int kNicerThanRanks = 10;

std::string value_or(const std::map<std::string, std::string>& values, const std::string& name, std::string_view fallback) {
  const auto found = values.find(name);
  return found == values.end() || found->second.empty() ? std::string(fallback) : found->second;
}

/// Where the child stopped; it shares our memory until it execs, so a plain variable carries it.
enum class Step { kNone, kParentGone, kDescriptors, kWorkdir, kExec };
struct ChildFailure {
  volatile Step step = Step::kNone;
  volatile int error_number = 0;
  volatile bool unlimited = false;  ///< No failure: it goes on with the limits of a process.
};

/// Everything the child needs, laid out before it exists.
struct ChildPlan {
  const char* workdir = nullptr;
  std::vector<const char*> programs;  ///< Tried in order.
  std::vector<char*> argv;
  std::vector<char*> shell_argv;  ///< For a script without "#!": /bin/sh SCRIPT ARGUMENTS.
  std::vector<char*> environment;
  const std::vector<int>* ignored_signals = nullptr;  ///< Exec resets all others.
  pid_t parent = 0;
  ChildLimits limits;
};

[[noreturn]] void fail_child(ChildFailure& failure, Step step, int error_number) {
  failure.error_number = error_number;
  failure.step = step;
  ::_exit(127);
}

/// System calls only, like all of run_child.
void enter_limits(const ChildLimits& limits, ChildFailure& failure) {
  bool entered = limits.groups[0] >= 0;
  for (const int group : limits.groups) {
    if (group >= 0) entered = enter_group(group) && entered;
  }
  if (limits.groups[0] >= 0 && !entered) failure.unlimited = true;
  if (entered || limits.data_max <= 0) return;
  rlimit data{};
  if (::getrlimit(RLIMIT_DATA, &data) != 0) return;
  data.rlim_cur = std::min(data.rlim_max, static_cast<rlim_t>(limits.data_max));
  ::setrlimit(RLIMIT_DATA, &data);
}

/// A table of descriptors of its own, with the low ones only: to copy all that the warden has open and to close them on exec would make a
/// start dearer with every rank that runs.
bool keep_low_descriptors() { return ::close_range(kReservedDescriptors, ~0U, CLOSE_RANGE_UNSHARE) == 0 || ::unshare(CLONE_FILES) == 0; }

/// The part between fork and exec. The parent is suspended, its memory and at first its descriptors are shared: system calls only, nothing
/// is allocated, and the only memory written is `failure` and the shell's argument.
[[noreturn]] void run_child(ChildPlan& plan, ChildFailure& failure) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != plan.parent) fail_child(failure, Step::kParentGone, 0);

  for (const int signal : *plan.ignored_signals) ::signal(signal, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::setrlimit(RLIMIT_NOFILE, &g_descriptor_limit);
  enter_limits(plan.limits, failure);
  if (!keep_low_descriptors()) fail_child(failure, Step::kDescriptors, errno);  // From here on they are the child's own.
  const int score = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  const bool scored = score >= 0 && ::write(score, kOomScore.data(), kOomScore.size()) > 0;
  (void)scored;  // Some containers forbid it; the rank runs all the same.

  for (std::size_t target = 0; target < kHandedDown.size(); ++target) {
    if (::dup2(kHandedDown.at(target), static_cast<int>(target)) < 0) fail_child(failure, Step::kDescriptors, errno);
  }
  if (::chdir(plan.workdir) != 0) fail_child(failure, Step::kWorkdir, errno);

  ::setpriority(PRIO_PROCESS, 0, g_nice);
  int error_number = ENOENT;
  for (const char* program : plan.programs) {
    ::execve(program, plan.argv.data(), plan.environment.data());
    if (errno == ENOEXEC) {
      plan.shell_argv[1] = const_cast<char*>(program);
      ::execve("/bin/sh", plan.shell_argv.data(), plan.environment.data());
    }
    if (errno == EACCES || errno == EPERM) error_number = errno;
    if (errno != ENOENT && errno != ENOTDIR && errno != EACCES) fail_child(failure, Step::kExec, errno);
  }
  fail_child(failure, Step::kExec, error_number);
}

struct ChildStart {
  ChildPlan& plan;
  ChildFailure& failure;
};

int child_main(void* start) {
  const auto* const given = static_cast<ChildStart*>(start);
  run_child(given->plan, given->failure);
}

/// Like vfork, instead of posix_spawn and a shim program: it costs no second exec, the child can set PDEATHSIG and check its parent itself,
/// and an exec that fails is known at once. It is safe here since the warden has one thread and no signal handlers.
pid_t fork_and_run(ChildPlan& plan, ChildFailure& failure) {
  alignas(16) static std::array<char, 64 * 1024> stack;  // One child at a time is between fork and exec.
  ChildStart start{plan, failure};
  return ::clone(&child_main, stack.data() + stack.size(), CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, &start);
}

/// Puts the ends of the pipes where the child finds them, and takes them back: an end that stays open here is never at its end for us.
class HandDown {
 public:
  explicit HandDown(const RankOutput::WriteEnds& ends) {
    const std::array<int, 3> from{ends.standard_output.get(), ends.standard_error.get(), ends.events.get()};
    for (std::size_t index = 0; index < from.size(); ++index) ok_ = put(from.at(index), kHandedDown.at(index + 1)) && ok_;
  }
  ~HandDown() {
    for (const int target : kHandedDown) put(kNull, target);
  }
  HandDown(const HandDown&) = delete;
  HandDown& operator=(const HandDown&) = delete;
  bool ok() const { return ok_; }

 private:
  static bool put(int from, int to) { return ::dup3(from, to, O_CLOEXEC) >= 0; }
  bool ok_ = true;
};

std::vector<std::string> programs_to_try(const std::string& name, const std::string& path) {
  if (name.find('/') != std::string::npos) return {name};
  std::vector<std::string> programs;
  std::size_t start = 0;
  while (start <= path.size()) {
    const std::size_t end = std::min(path.find(':', start), path.size());
    const std::string directory = path.substr(start, end - start);
    programs.push_back((directory.empty() ? "." : directory) + "/" + name);
    start = end + 1;
  }
  return programs;
}

Error launch_error(const ChildFailure& failure, const std::vector<std::string>& argv, const std::string& workdir, const std::string& path) {
  const int number = failure.error_number;
  const std::string reason = std::strerror(number);
  if (failure.step == Step::kWorkdir) {
    return failed_precondition("launch.workdir", fmt::format("the working directory cannot be entered: {}: {}", workdir, reason));
  }
  if (failure.step == Step::kExec && number == ENOENT) {
    return not_found("launch.no_program",
                     fmt::format("the program or its interpreter was not found; give its whole path or a name in PATH: {} (PATH {})",
                                 argv.front(), path));
  }
  if (failure.step == Step::kExec) {
    return failed_precondition("launch.exec", fmt::format("the program cannot be executed: {}: {}", argv.front(), reason));
  }
  return unavailable("launch.fork", fmt::format("the process could not be set up: {}: {}", argv.front(), reason));
}

Error no_program_named() { return invalid_argument("launch.no_program", "the launch names no program: its argv is empty"); }

std::vector<int> ignored_signals() {
  std::vector<int> ignored;
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction action {};
    if (::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) ignored.push_back(signal);
  }
  return ignored;
}

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

std::string workdir_of(const exec::RankLaunch& launch, const std::string& data_dir) {
  return launch.workdir.empty() ? exec::default_workdir(data_dir, launch.rank.attempt) : launch.workdir;
}

std::map<std::string, std::string> rank_environment(const exec::RankLaunch& launch, const EnvironmentBase& base, const LaunchFiles& files) {
  const std::string workdir = workdir_of(launch, base.data_dir);
  std::map<std::string, std::string> environment{
      {"PATH", value_or(base.inherited, "PATH", kDefaultPath)},
      {"HOME", value_or(base.inherited, "HOME", "/")},
      {"LANG", value_or(base.inherited, "LANG", "C.UTF-8")},
      {"TMPDIR", workdir + "/tmp"},
      {"OMP_NUM_THREADS", std::to_string(std::max<std::int64_t>(1, launch.resources.milli_cpu / 1000))},
  };
  for (const auto& [name, value] : launch.env) environment[name] = value;
  if (!base.program_dir.empty()) environment["PATH"] = base.program_dir + ":" + environment["PATH"];
  environment["TRAINYARD_SPEC"] = files.spec.path();
  environment["TRAINYARD_TOKEN_FILE"] = files.token.path();
  environment["TRAINYARD_WORKDIR"] = workdir;
  environment[std::string(exec::kRankMarker)] = base.boot_id + "/" + exec::text_of(launch.rank);
  return environment;
}

std::map<std::string, std::string> inherited_environment() {
  std::map<std::string, std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos) environment.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return environment;
}

Result<void> write_launch_files(const exec::RankLaunch& launch, const EnvironmentBase& base, LaunchFiles& files, Spares& spares) {
  if (launch.workdir.empty()) {
    TRY(spares.make_workdir(exec::work_directory(base.data_dir), launch.rank.attempt));
  } else {
    TRY(make_directories(launch.workdir + "/tmp"));
  }
  TRY(files.spec.write(to_json(launch.spec) + "\n"));
  return files.token.write(launch.token);
}

Result<void> find_rank_program(const std::vector<std::string>& argv, const std::map<std::string, std::string>& environment) {
  if (argv.empty() || argv.front().empty()) return no_program_named();
  const std::string path = value_or(environment, "PATH", kDefaultPath);
  ChildFailure failure;
  failure.step = Step::kExec;
  failure.error_number = ENOENT;
  for (const std::string& program : programs_to_try(argv.front(), path)) {
    struct stat info {};
    if (::stat(program.c_str(), &info) != 0) continue;
    if (S_ISREG(info.st_mode) && ::access(program.c_str(), X_OK) == 0) return {};
    failure.error_number = EACCES;
  }
  return launch_error(failure, argv, "", path);
}

Result<void> reserve_low_descriptors() {
  for (;;) {
    ASSIGN_OR_RETURN(UniqueFd fd, open_file("/dev/null", O_RDWR));
    if (fd.get() >= kReservedDescriptors) return {};
    fd.release();
  }
}

void raise_descriptor_limit() {
  if (::getrlimit(RLIMIT_NOFILE, &g_descriptor_limit) != 0) return;
  rlimit raised = g_descriptor_limit;
  raised.rlim_cur = raised.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &raised);
}

void go_before_ranks() {
  errno = 0;
  g_nice = ::getpriority(PRIO_PROCESS, 0);
  if (g_nice == -1 && errno != 0) g_nice = 0;
  ::setpriority(PRIO_PROCESS, 0, g_nice - kNicerThanRanks);  // Where that is not allowed, ranks compete with their warden.
}

Result<SpawnedRank> spawn_rank(const std::vector<std::string>& argv, const std::map<std::string, std::string>& environment,
                               const std::string& workdir, const RankOutput::WriteEnds& ends, const ChildLimits& limits) {
  if (argv.empty() || argv.front().empty()) return no_program_named();
  const std::string path = value_or(environment, "PATH", kDefaultPath);
  const std::vector<std::string> programs = programs_to_try(argv.front(), path);
  std::vector<std::string> variables;
  for (const auto& [name, value] : environment) variables.push_back(name + "=" + value);
  std::vector<std::string> shell_arguments{"/bin/sh", ""};
  shell_arguments.insert(shell_arguments.end(), argv.begin() + 1, argv.end());

  ChildPlan plan;
  plan.workdir = workdir.c_str();
  for (const std::string& program : programs) plan.programs.push_back(program.c_str());
  plan.argv = pointers_to(argv);
  plan.shell_argv = pointers_to(shell_arguments);
  plan.environment = pointers_to(variables);
  static const std::vector<int> ignored = ignored_signals();  // They do not change once ranks are started.
  plan.ignored_signals = &ignored;
  plan.parent = ::getpid();
  plan.limits = limits;

  ChildFailure failure;
  const HandDown handed(ends);
  if (!handed.ok()) return system_error(errno, "dup3", "");
  const pid_t pid = fork_and_run(plan, failure);
  if (pid < 0) {
    return Error{Category::kResourceExhausted,
                 "launch.fork",
                 fmt::format("no new process could be made: {}: {}", argv.front(), std::strerror(errno)),
                 {},
                 {}};
  }
  if (failure.step == Step::kNone) return SpawnedRank{pid, !failure.unlimited};
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return launch_error(failure, argv, workdir, path);
}

}  // namespace trainyard::warden
