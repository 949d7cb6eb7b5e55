#include "agent/warden_client.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "exec/process_groups.h"
#include "exec/spool.h"

extern char** environ;

namespace trainyard::agent {
namespace {

constexpr std::uint64_t kHelloId = 1;
constexpr std::uint64_t kSubscribeId = 2;
constexpr Duration kGroupsPatience = std::chrono::seconds(10);
constexpr Duration kDyingPatience = std::chrono::milliseconds(250);
constexpr Duration kDyingLook = std::chrono::milliseconds(5);

Result<void> write_frame(int socket, const Document& request) {
  const std::string frame = exec::encode_frame(request);
  std::string_view rest = frame;
  while (!rest.empty()) {
    const ssize_t sent = ::send(socket, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return system_error(errno, "send", "warden.sock");
    rest.remove_prefix(static_cast<std::size_t>(sent));
  }
  return {};
}

}  // namespace

WardenClient::WardenClient(WardenClientSettings settings, Hooks hooks, Clock& clock, LogSink& log)
    : settings_(std::move(settings)), hooks_(std::move(hooks)), clock_(clock), log_(log), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

WardenClient::~WardenClient() { stop(); }

void WardenClient::start() {
  thread_ = std::thread([this] { run(); });
}

void WardenClient::stop() {
  stopping_ = true;
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
  if (thread_.joinable()) thread_.join();
}

void WardenClient::shutdown(Duration grace) {
  leaving_ = true;
  const Document request = exec::shutdown_request(0, grace);
  if (send(request)) return;
  // The client is not connected right now: a connection for this one request does as well.
  if (const Result<UniqueFd> socket = connect(); socket.ok()) (void)write_frame(socket->get(), request);
}

bool WardenClient::send(const Document& request) {
  const std::lock_guard lock(mutex_);
  if (!socket_.valid()) return false;
  return write_frame(socket_.get(), request).ok();
}

void WardenClient::pause(Duration span) const {
  pollfd watched{wake_.get(), POLLIN, 0};
  ::poll(&watched, 1, static_cast<int>(span.count() / 1000));
}

void WardenClient::run() {
  while (!stopping_ && !leaving_) {
    Result<UniqueFd> socket = connect_or_spawn();
    if (!socket.ok()) {
      log_.write({LogLevel::kError, "agent.no_warden", {{"error", socket.error().describe()}}});
      pause(std::chrono::seconds(1));
      continue;
    }
    const int fd = socket->get();
    {
      const std::lock_guard lock(mutex_);
      socket_ = std::move(socket).value();
    }
    if (send(exec::hello_request(kHelloId)) && send(exec::subscribe_request(kSubscribeId))) read_until_closed(fd);
    const std::lock_guard lock(mutex_);
    socket_.reset();
  }
}

Result<UniqueFd> WardenClient::connect() const {
  const std::string directory = exec::run_directory(settings_.data_dir);
  ASSIGN_OR_RETURN(const UniqueFd parent, open_file(directory, O_PATH | O_DIRECTORY));
  // Paths of sockets are short; through /proc any directory is reached.
  const std::string path = fmt::format("/proc/self/fd/{}/warden.sock", parent.get());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return system_error(errno, "socket", directory);
  const void* raw = &address;
  if (::connect(socket.get(), static_cast<const sockaddr*>(raw), sizeof address) != 0)
    return system_error(errno, "connect", directory + "/warden.sock");
  return socket;
}

Result<UniqueFd> WardenClient::connect_or_spawn() {
  if (Result<UniqueFd> socket = connect(); socket.ok()) return socket;
  TRY(make_directories(exec::run_directory(settings_.data_dir)));
  TRY(kill_leftovers());
  TRY(spawn_warden());
  return connect();
}

/// What a dead warden left of its ranks. A live one holds the lock of the directory, whatever keeps its socket from answering.
Result<void> WardenClient::kill_leftovers() const {
  const std::string directory = exec::run_directory(settings_.data_dir);
  ASSIGN_OR_RETURN(const UniqueFd lock, open_file(directory + "/warden.lock", O_RDWR | O_CREAT));
  // The socket of a warden that dies goes a little before its lock.
  const MonotonicPoint patience_ends = clock_.monotonic_now() + kDyingPatience;
  while (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (stopping_ || clock_.monotonic_now() >= patience_ends) {
      return unavailable("agent.warden_silent", "a warden holds this directory and does not answer; it is asked again: " + directory);
    }
    pause(kDyingLook);
  }
  return exec::kill_recorded_groups(directory + "/groups", kGroupsPatience, clock_);
}

/// A daemon in a session of its own: the warden outlives this process and its terminal. Returns when its socket is open.
Result<void> WardenClient::spawn_warden() const {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  const std::string log = exec::run_directory(settings_.data_dir) + "/warden.log";
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  constexpr int kLifelineFd = 9;
  if (settings_.lifeline >= 0) posix_spawn_file_actions_adddup2(&actions, settings_.lifeline, kLifelineFd);

  std::vector<std::string> words{settings_.program, "--dir", settings_.data_dir, "--daemonize"};
  if (settings_.lifeline >= 0) words.insert(words.end(), {"--lifeline", std::to_string(kLifelineFd)});
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t pid = 0;
  const int failed = ::posix_spawn(&pid, settings_.program.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return system_error(failed, "posix_spawn", settings_.program);

  // What was started ends as soon as the daemon it left behind is ready. Where SIGCHLD is ignored there is no status to collect.
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (status != 0) {
    return unavailable("agent.warden_start", fmt::format("the warden did not start; {} says why (wait status {})", log, status));
  }
  log_.write({LogLevel::kInfo, "agent.warden_started", {{"directory", settings_.data_dir}}});
  return {};
}

void WardenClient::read_until_closed(int socket) {
  exec::FrameDecoder decoder;
  std::array<char, 65'536> buffer;
  for (;;) {
    std::array<pollfd, 2> watched{{{socket, POLLIN, 0}, {wake_.get(), POLLIN, 0}}};
    if (::poll(watched.data(), watched.size(), -1) < 0 && errno != EINTR) return;
    if (stopping_) return;
    const ssize_t got = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return;
    decoder.feed({buffer.data(), static_cast<std::size_t>(got)});
    for (;;) {
      Result<std::optional<Document>> message = decoder.next();
      if (!message.ok()) {
        log_.write({LogLevel::kError, "agent.warden_frame", {{"error", message.error().describe()}}});
        return;
      }
      if (!message->has_value()) break;
      handle(**message);
    }
  }
}

void WardenClient::handle(const Document& message) {
  const std::uint64_t id = message["reply"].as_unsigned().value_or(0);
  if (id == kHelloId) {
    if (const Result<exec::WardenHello> hello = exec::warden_hello_from(message); hello.ok()) boot_id_ = hello->boot_id;
  } else if (id == kSubscribeId) {
    if (Result<std::vector<exec::WardenRank>> ranks = exec::warden_ranks_from(message); ranks.ok())
      hooks_.on_connected(boot_id_, std::move(ranks).value());
  } else if (message["push"].text() == "grown") {
    if (Result<std::vector<exec::RankGrowth>> growths = exec::rank_growths_from(message); growths.ok())
      hooks_.on_grown(std::move(growths).value());
  } else if (message["push"].text() == "rank") {
    if (Result<exec::WardenRank> rank = exec::warden_rank_from(message["rank"]); rank.ok()) hooks_.on_rank(std::move(rank).value());
  } else if (!message["error"].is_null()) {
    log_.write({LogLevel::kWarning, "agent.warden_refused", {{"error", message["error"]}}});
  }
}

}  // namespace trainyard::agent
