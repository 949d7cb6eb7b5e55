#include "apps/warden/zygotes.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>
extern "C" {  // glibc 2.36 forgets it.
#include <sys/pidfd.h>
}
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>

#include "exec/process_groups.h"

namespace trainyard::warden {
namespace {

constexpr int kFailuresMax = 2;
constexpr std::size_t kBlamedMax = 16;
constexpr std::size_t kReportMax = 64;
/// While it loads, it gives way to the ranks.
constexpr int kNicerWhileLoading = 10;
/// How often idle ones and changed programs are looked for.
constexpr Duration kLookEvery{15'000'000};

/// What names one rank. A program reads these when its job begins, not when it is loaded, so that ranks that differ in them alone can be
/// forks of one process; whatever else is in the environment may have decided how the libraries were set up.
bool names_the_rank(std::string_view variable) {
  constexpr std::array kNames = std::to_array<std::string_view>({
      "LOCAL_RANK",
      "LOCAL_WORLD_SIZE",
      "MASTER_ADDR",
      "MASTER_PORT",
      "MLFLOW_RUN_ID",
      "MLFLOW_TRACKING_SERVER_CERT_PATH",
      "MLFLOW_TRACKING_TOKEN",
      "MLFLOW_TRACKING_URI",
      "RANK",
      "TMPDIR",
      "TRAINYARD_API_URL",
      "TRAINYARD_ARRAY_COUNT",
      "TRAINYARD_ARRAY_INDEX",
      "TRAINYARD_ATTEMPT",
      "TRAINYARD_CA_FILE",
      "TRAINYARD_CHECKPOINT_URI",
      "TRAINYARD_JOB_ID",
      "TRAINYARD_RANK_ID",
      "TRAINYARD_SPEC",
      "TRAINYARD_TOKEN_FILE",
      "TRAINYARD_WORKDIR",
      "WORLD_SIZE",
  });
  return std::binary_search(kNames.begin(), kNames.end(), variable);
}

/// By its name, in any case. It is to end with the rank it was given to, not to stay in a process that waits.
bool may_be_secret(std::string_view variable) {
  std::string name(variable);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char letter) { return letter >= 'a' && letter <= 'z' ? letter - 'a' + 'A' : letter; });
  constexpr std::array kMarks = std::to_array<std::string_view>({"AUTH", "CREDENTIAL", "KEY", "PASS", "PWD", "SECRET", "TOKEN"});
  return std::any_of(kMarks.begin(), kMarks.end(), [&](std::string_view mark) { return name.find(mark) != std::string::npos; });
}

/// Bytes of memory that can be had without swapping; 0 where nobody tells.
std::uint64_t available_memory() {
  const std::string text = read_file("/proc/meminfo", std::size_t{1} << 16).value_or("");
  constexpr std::string_view kField = "\nMemAvailable:";
  std::size_t at = text.find(kField);
  if (at == std::string::npos) return 0;
  at = std::min(text.find_first_not_of(' ', at + kField.size()), text.size());
  std::uint64_t kibibytes = 0;
  std::from_chars(text.data() + at, text.data() + text.size(), kibibytes);
  return kibibytes * 1024;
}

struct SocketPair {
  UniqueFd ours;
  UniqueFd theirs;
};

Result<SocketPair> make_socket_pair() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) return system_error(errno, "socketpair", "");
  return SocketPair{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Result<UniqueFd> duplicate(int fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, kReservedDescriptors));
  if (!copy.valid()) return system_error(errno, "fcntl", "");
  return copy;
}

/// What the rank says on its channel; none when it closed, or said nothing in time.
std::optional<exec::ForkedRank> wait_for_report(int channel, Duration patience, const Clock& clock) {
  const MonotonicPoint deadline = clock.monotonic_now() + patience;
  for (;;) {
    const Duration left = deadline - clock.monotonic_now();
    if (left <= Duration(0)) return std::nullopt;
    pollfd readable{channel, POLLIN, 0};
    if (::poll(&readable, 1, static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count())) <= 0) continue;
    const Result<exec::Packet> packet = exec::receive_packet(channel, kReportMax);
    if (!packet.ok()) return std::nullopt;
    return exec::parse_forked_rank(packet->message);
  }
}

bool is_our_child(pid_t pid) {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/// Priority of a process; the fallback where it cannot be told.
int nice_of(pid_t pid, int fallback) {
  errno = 0;
  const int nice = ::getpriority(PRIO_PROCESS, static_cast<id_t>(pid));
  return nice == -1 && errno != 0 ? fallback : nice;
}

}  // namespace

Zygotes::~Zygotes() {
  for (const TimerId timer : {wanted_timer_, look_timer_}) deps_.loop.cancel(timer);
  for (Zygote& zygote : zygotes_) {
    end(zygote);
    deps_.loop.unwatch(zygote.exit_watch);
    while (::waitpid(zygote.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
}

bool Zygotes::owns(pid_t child) const {
  return std::any_of(zygotes_.begin(), zygotes_.end(), [child](const Zygote& zygote) { return zygote.pid == child; });
}

std::optional<Zygotes::ProgramFile> Zygotes::file_at(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  constexpr std::int64_t kNanosPerSecond = 1'000'000'000;
  return ProgramFile{info.st_dev, info.st_ino, info.st_size, std::int64_t{info.st_mtim.tv_sec} * kNanosPerSecond + info.st_mtim.tv_nsec};
}

/// None for what gets no zygote: another program, one with words, one that is found elsewhere, or one that was given a secret.
std::optional<Zygotes::Kind> Zygotes::kind_of(const Start& start) const {
  if (settings_.program_dir.empty() || start.argv.size() != 1) return std::nullopt;
  const std::string& program = start.argv.front();
  for (const std::string& name : settings_.programs) {
    const std::string path = settings_.program_dir + "/" + name;
    const auto search_path = start.environment.find("PATH");
    const bool found_here = search_path != start.environment.end() && search_path->second.starts_with(settings_.program_dir + ":");
    if (program != path && !(program == name && found_here)) continue;
    const std::optional<ProgramFile> file = file_at(path);
    if (!file) return std::nullopt;
    Kind kind{.program = program, .file = *file, .environment = {}};
    for (const auto& variable : start.environment) {
      if (names_the_rank(variable.first)) continue;
      if (may_be_secret(variable.first)) return std::nullopt;
      kind.environment.insert(variable);
    }
    return kind;
  }
  return std::nullopt;
}

Zygotes::Zygote* Zygotes::find(const Kind& kind) {
  const auto found = std::find_if(zygotes_.begin(), zygotes_.end(),
                                  [&](const Zygote& zygote) { return zygote.state != State::kEnding && zygote.kind == kind; });
  return found == zygotes_.end() ? nullptr : &*found;
}

std::optional<SpawnedRank> Zygotes::launch(const Start& start) {
  const std::optional<Kind> kind = kind_of(start);
  if (!kind) return std::nullopt;
  Zygote* const zygote = find(*kind);
  if (zygote == nullptr) {
    want(*kind);
    return std::nullopt;
  }
  zygote->used_at = deps_.clock.monotonic_now();
  if (zygote->state != State::kReady) return std::nullopt;
  const std::string request = exec::encode_zygote_request({.parent = ::getpid(),
                                                           .data_max = start.limits.data_max,
                                                           .nice = zygote->rank_nice,
                                                           .workdir = start.workdir,
                                                           .environment = start.environment});
  if (request.size() > exec::kZygoteMessageMax) return std::nullopt;
  std::optional<SpawnedRank> spawned = fork_rank(*zygote, request, start);
  if (!spawned) {
    fail(*zygote, "made no rank in time");
    want(*kind);
    return std::nullopt;
  }
  std::erase_if(failures_, [&](const Failures& failures) { return failures.kind == *kind; });
  return spawned;
}

std::optional<SpawnedRank> Zygotes::fork_rank(Zygote& zygote, const std::string& request, const Start& start) {
  Result<SocketPair> channel = make_socket_pair();
  const Result<UniqueFd> null_input = open_file("/dev/null", O_RDONLY);
  if (!channel.ok() || !null_input.ok()) return std::nullopt;
  std::vector<int> descriptors{channel->theirs.get(), null_input->get(), start.ends.standard_output.get(), start.ends.standard_error.get(),
                               start.ends.events.get()};
  for (const int group : start.limits.groups) {
    if (group >= 0) descriptors.push_back(group);
  }
  if (!exec::send_packet(zygote.socket.get(), request, descriptors).ok()) return std::nullopt;
  channel->theirs.reset();  // Else a zygote that dies would not close it.
  const std::optional<exec::ForkedRank> rank = wait_for_report(channel->ours.get(), settings_.reply_patience, deps_.clock);
  if (!rank || !is_our_child(rank->pid)) return std::nullopt;
  // From here on it counts as started: it runs, or it has died by itself.
  if (!exec::send_packet(channel->ours.get(), exec::kRankGo).ok()) return std::nullopt;
  return SpawnedRank{rank->pid, rank->limited};
}

/// Not at once: it would compete with the rank that is being started.
void Zygotes::want(const Kind& kind) {
  if (blamed(kind)) return;
  wanted_ = kind;
  if (wanted_timer_.valid()) return;
  wanted_timer_ = deps_.loop.call_after(settings_.start_delay, [this] {
    wanted_timer_ = {};
    start_wanted();
  });
}

void Zygotes::start_wanted() {
  const std::optional<Kind> kind = std::exchange(wanted_, std::nullopt);
  if (!kind || find(*kind) != nullptr || blamed(*kind) || available_memory() < settings_.memory_min) return;
  make_room();
  if (const Result<void> started = start(*kind); !started.ok()) {
    fmt::print(stderr, "no zygote of {} was started: {}\n", kind->program, started.error().describe());
  }
}

Result<void> Zygotes::start(const Kind& kind) {
  ASSIGN_OR_RETURN(SocketPair sockets, make_socket_pair());
  RankOutput::WriteEnds ends;
  ASSIGN_OR_RETURN(ends.standard_output, open_file("/dev/null", O_WRONLY));
  ASSIGN_OR_RETURN(ends.standard_error, duplicate(STDERR_FILENO));
  ends.events = std::move(sockets.theirs);  // Descriptor 3.
  std::map<std::string, std::string> environment = kind.environment;
  std::string marker = settings_.boot_id + "/zygote/";
  marker.resize(std::max(marker.size(), exec::kZygoteMarkerSize), '-');
  environment[std::string(exec::kRankMarker)] = marker;
  ASSIGN_OR_RETURN(const SpawnedRank spawned,
                   spawn_rank({kind.program, std::string(exec::kZygoteWord)}, environment, "/", ends, ChildLimits{}));
  Zygote& zygote = zygotes_.emplace_back();
  zygote.kind = kind;
  zygote.pid = spawned.pid;
  zygote.used_at = deps_.clock.monotonic_now();
  zygote.socket = std::move(sockets.ours);
  zygote.rank_nice = nice_of(zygote.pid, 0);
  zygote.own_nice = std::min(nice_of(::getpid(), zygote.rank_nice), zygote.rank_nice);
  // Only where it can be taken back: else its ranks would be slow for good.
  if (zygote.own_nice < zygote.rank_nice) ::setpriority(PRIO_PROCESS, static_cast<id_t>(zygote.pid), zygote.rank_nice + kNicerWhileLoading);
  zygote.pidfd.reset(::pidfd_open(zygote.pid, 0));
  const auto watched = [&]() -> Result<void> {
    if (!zygote.pidfd.valid()) return system_error(errno, "pidfd_open", "");
    ASSIGN_OR_RETURN(zygote.exit_watch, deps_.loop.watch(zygote.pidfd.get(), EPOLLIN, [this, &zygote](std::uint32_t) { on_exit(zygote); }));
    ASSIGN_OR_RETURN(zygote.socket_watch,
                     deps_.loop.watch(zygote.socket.get(), EPOLLIN, [this, &zygote](std::uint32_t) { on_readable(zygote); }));
    return {};
  }();
  if (!watched.ok()) {
    end(zygote);
    deps_.loop.unwatch(zygote.exit_watch);
    while (::waitpid(zygote.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    zygotes_.pop_back();
    return watched;
  }
  look_later();
  return {};
}

/// The one that was not used for longest goes when there are too many.
void Zygotes::make_room() {
  for (;;) {
    Zygote* oldest = nullptr;
    std::size_t count = 0;
    for (Zygote& zygote : zygotes_) {
      if (zygote.state == State::kEnding) continue;
      ++count;
      if (oldest == nullptr || zygote.used_at < oldest->used_at) oldest = &zygote;
    }
    if (oldest == nullptr || count < settings_.zygotes_max) return;
    end(*oldest);
  }
}

void Zygotes::on_readable(Zygote& zygote) {
  const Result<exec::Packet> packet = exec::receive_packet(zygote.socket.get(), kReportMax);
  if (zygote.state != State::kLoading || !packet.ok() || packet->message != exec::kZygoteReady) {
    return fail(zygote, zygote.state == State::kLoading ? "ended before it was ready" : "has ended");
  }
  // The file may have been replaced before it was loaded.
  if (file_at(fmt::format("/proc/{}/exe", zygote.pid)) != zygote.kind.file) return end(zygote);
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(zygote.pid), zygote.own_nice);
  if (nice_of(zygote.pid, zygote.own_nice) > zygote.rank_nice) return fail(zygote, "could not get the priority of a rank");
  zygote.state = State::kReady;
}

void Zygotes::on_exit(Zygote& zygote) {
  if (zygote.state != State::kEnding) fail(zygote, "has ended");
  if (::waitpid(zygote.pid, nullptr, WNOHANG) == 0) return;
  deps_.loop.unwatch(zygote.exit_watch);
  zygotes_.remove_if([&](const Zygote& other) { return &other == &zygote; });
}

void Zygotes::end(Zygote& zygote) {
  if (zygote.state == State::kEnding) return;
  zygote.state = State::kEnding;
  deps_.loop.unwatch(zygote.socket_watch);
  zygote.socket.reset();
  ::kill(zygote.pid, SIGKILL);  // Not collected yet: the pid is its own.
}

void Zygotes::fail(Zygote& zygote, std::string_view reason) {
  fmt::print(stderr, "a zygote of {} {}: it is ended, ranks are started the ordinary way\n", zygote.kind.program, reason);
  const MonotonicPoint now = deps_.clock.monotonic_now();
  const auto known =
      std::find_if(failures_.begin(), failures_.end(), [&](const Failures& failures) { return failures.kind == zygote.kind; });
  if (known != failures_.end()) {
    known->count = now - known->last > settings_.blame ? 1 : known->count + 1;
    known->last = now;
  } else {
    if (failures_.size() >= kBlamedMax) failures_.erase(failures_.begin());
    failures_.push_back({zygote.kind, 1, now});
  }
  end(zygote);
}

bool Zygotes::blamed(const Kind& kind) const {
  return std::any_of(failures_.begin(), failures_.end(), [&](const Failures& failures) {
    return failures.kind == kind && failures.count >= kFailuresMax && deps_.clock.monotonic_now() - failures.last <= settings_.blame;
  });
}

/// Ends those that nobody wanted for long, that do not get ready, or whose program was replaced.
void Zygotes::look_around() {
  const MonotonicPoint now = deps_.clock.monotonic_now();
  for (Zygote& zygote : zygotes_) {
    if (zygote.state == State::kEnding) continue;
    const bool loads_too_long = zygote.state == State::kLoading && now - zygote.used_at > settings_.load_patience;
    const bool from_path = zygote.kind.program.find('/') != std::string::npos;
    const std::string path = from_path ? zygote.kind.program : settings_.program_dir + "/" + zygote.kind.program;
    if (loads_too_long) {
      fail(zygote, "did not get ready");
    } else if (now - zygote.used_at > settings_.idle_end || file_at(path) != zygote.kind.file) {
      end(zygote);
    }
  }
}

void Zygotes::look_later() {
  if (look_timer_.valid() || zygotes_.empty()) return;
  look_timer_ = deps_.loop.call_after(std::min({kLookEvery, settings_.idle_end, settings_.load_patience}), [this] {
    look_timer_ = {};
    look_around();
    look_later();
  });
}

}  // namespace trainyard::warden
