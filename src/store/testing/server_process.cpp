#include "store/testing/server_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <string_view>

#include "base/file.h"
#include "base/time.h"

namespace trainyard::store::testing {
namespace {

constexpr Duration kStartMax = std::chrono::seconds(60);
constexpr Duration kEndMax = std::chrono::seconds(20);
constexpr int kPollMilliseconds = 5;

struct Identity {
  uid_t user = 0;
  gid_t group = 0;
};

/// Whom the server runs as: PostgreSQL refuses root.
Identity unprivileged(const char* preferred) {
  if (::getuid() != 0) return {::getuid(), ::getgid()};
  const passwd* entry = ::getpwnam(preferred);
  if (entry == nullptr) entry = ::getpwnam("nobody");
  return entry == nullptr ? Identity{65534, 65534} : Identity{entry->pw_uid, entry->pw_gid};
}

/// Calls `done` until it is true; false when `longest` has passed before.
template <typename Condition>
bool wait_until(Duration longest, const Condition& done) {
  const SystemClock clock;
  const MonotonicPoint deadline = clock.monotonic_now() + longest;
  while (!done()) {
    if (clock.monotonic_now() > deadline) return false;
    (void)::poll(nullptr, 0, kPollMilliseconds);
  }
  return true;
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

Result<std::uint16_t> free_port() {
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof(address);
  auto* plain = static_cast<sockaddr*>(static_cast<void*>(&address));
  if (::bind(listener.get(), plain, size) != 0 || ::getsockname(listener.get(), plain, &size) != 0) {
    return system_error(errno, "bind", "a loopback port");
  }
  return static_cast<std::uint16_t>(ntohs(address.sin_port));
}

/// The answer to `request` sent to a loopback port; empty when there is none within a second.
std::string answer_of(std::uint16_t port, std::string_view request) {
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = loopback(port);
  if (::connect(socket.get(), static_cast<const sockaddr*>(static_cast<const void*>(&address)), sizeof(address)) != 0) return {};
  if (::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) return {};
  pollfd ready{socket.get(), POLLIN, 0};
  if (::poll(&ready, 1, 1000) != 1) return {};
  std::string answer(256, '\0');
  const ssize_t size = ::recv(socket.get(), answer.data(), answer.size(), 0);
  answer.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return answer;
}

/// The first packet of a PostgreSQL session, for user and database "postgres".
std::string postgres_greeting() {
  using namespace std::string_view_literals;
  const std::string_view body = "\0\3\0\0user\0postgres\0database\0postgres\0\0"sv;
  std::string packet{0, 0, 0, static_cast<char>(body.size() + 4)};
  return packet.append(body);
}

/// Where Debian puts programs, also those that are not for everybody's PATH.
Result<std::string> program(const std::string& name) {
  for (const char* directory : {"/usr/lib/postgresql/15/bin/", "/usr/bin/", "/usr/local/bin/"}) {
    if (::access((directory + name).c_str(), X_OK) == 0) return directory + name;
  }
  return not_found("server.missing", "a program that tests start is not installed: " + name);
}

/// What the child does between fork and exec: only calls that are safe there.
[[noreturn]] void become(const std::vector<char*>& arguments, const char* directory, int log, Identity identity, int death_signal,
                         pid_t parent) {
  const bool dropped = ::getuid() != 0 || (::setgroups(0, nullptr) == 0 && ::setgid(identity.group) == 0 && ::setuid(identity.user) == 0);
  // After the change of user, which would undo it.
  const bool bound = ::prctl(PR_SET_PDEATHSIG, death_signal) == 0 && ::getppid() == parent;
  const bool placed = ::setsid() > 0 && ::chdir(directory) == 0 && ::dup2(log, 1) == 1 && ::dup2(log, 2) == 2;
  if (dropped && bound && placed) ::execvp(arguments.front(), arguments.data());
  ::_exit(127);
}

std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> children;
  std::ifstream list(fmt::format("/proc/{0}/task/{0}/children", parent));
  for (pid_t child = 0; list >> child;) children.push_back(child);
  return children;
}

}  // namespace

bool without_servers() {
  const char* value = std::getenv("TRAINYARD_WITHOUT_SERVERS");
  return value != nullptr && std::string_view(value) == "1";
}

ServerProcess::ServerProcess(Kind kind, std::string directory, std::vector<std::string> options)
    : kind_(kind), directory_(std::move(directory)), options_(std::move(options)) {}

ServerProcess::~ServerProcess() {
  // An orderly end, since PostgreSQL leaves shared memory behind otherwise.
  end(kind_ == Kind::kPostgres ? SIGINT : SIGTERM);
  (void)remove_tree(directory_).ok();
}

Result<std::unique_ptr<ServerProcess>> ServerProcess::start_redis(std::vector<std::string> options) {
  ASSIGN_OR_RETURN(std::string directory, make_temporary_directory("trainyard-redis-"));
  std::unique_ptr<ServerProcess> server(new ServerProcess(Kind::kRedis, std::move(directory), std::move(options)));
  TRY(server->prepare());
  TRY(server->start_on_free_port());
  return server;
}

Result<std::unique_ptr<ServerProcess>> ServerProcess::start_postgres(std::vector<std::string> options) {
  ASSIGN_OR_RETURN(std::string directory, make_temporary_directory("trainyard-postgres-"));
  std::unique_ptr<ServerProcess> server(new ServerProcess(Kind::kPostgres, std::move(directory), std::move(options)));
  TRY(server->prepare());
  TRY(server->start_on_free_port());
  return server;
}

std::string ServerProcess::url() const {
  if (kind_ == Kind::kRedis) return fmt::format("redis://127.0.0.1:{}/0", port_);
  return fmt::format("postgresql://postgres@127.0.0.1:{}/postgres", port_);
}

/// Makes the data directory, and fills it where the server does not do so itself.
Result<void> ServerProcess::prepare() {
  const Identity identity = unprivileged(kind_ == Kind::kRedis ? "redis" : "postgres");
  if (::getuid() == 0) {
    if (::chmod(directory_.c_str(), 0711) != 0) return system_error(errno, "chmod", directory_);
  }
  const std::string data = directory_ + "/data";
  if (::mkdir(data.c_str(), 0700) != 0) return system_error(errno, "mkdir", data);
  if (::getuid() == 0 && ::chown(data.c_str(), identity.user, identity.group) != 0) return system_error(errno, "chown", data);
  if (kind_ == Kind::kRedis) return {};
  ASSIGN_OR_RETURN(const std::string initdb, program("initdb"));
  TRY(launch({initdb, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync", "--no-instructions"},
             "initdb.log"));
  int status = -1;
  const bool ended = wait_until(kStartMax, [&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; });
  if (!ended) {
    end(SIGKILL);
  } else {
    pid_ = -1;
  }
  if (ended && WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return unavailable("server.start", "initdb failed: " + read_file(directory_ + "/initdb.log").value_or("no log"));
}

Result<std::vector<std::string>> ServerProcess::command() const {
  const std::string data = directory_ + "/data";
  ASSIGN_OR_RETURN(const std::string server, program(kind_ == Kind::kRedis ? "redis-server" : "postgres"));
  std::vector<std::string> words;
  if (kind_ == Kind::kRedis) {
    words = {server,   "--bind", "127.0.0.1",    "--port", fmt::format("{}", port_), "--dir",  data,
             "--save", "",       "--appendonly", "yes",    "--appendfsync",          "always", "--daemonize",
             "no"};
  } else {
    words = {server, "-D", data, "-p", fmt::format("{}", port_)};
    for (const char* setting : {"listen_addresses=127.0.0.1", "unix_socket_directories=", "shared_buffers=32MB", "max_connections=60",
                                "dynamic_shared_memory_type=mmap", "autovacuum=off", "jit=off"}) {
      words.insert(words.end(), {"-c", setting});
    }
  }
  words.insert(words.end(), options_.begin(), options_.end());
  return words;
}

Result<void> ServerProcess::launch(const std::vector<std::string>& command, const char* log) {
  ASSIGN_OR_RETURN(const UniqueFd output, open_file(directory_ + "/" + log, O_WRONLY | O_CREAT | O_APPEND, 0644));
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const Identity identity = unprivileged(kind_ == Kind::kRedis ? "redis" : "postgres");
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) become(arguments, directory_.c_str(), output.get(), identity, kind_ == Kind::kRedis ? SIGKILL : SIGQUIT, parent);
  return pid_ > 0 ? Result<void>() : system_error(errno, "fork", command.front());
}

Result<void> ServerProcess::start_on_free_port() {
  Result<void> started;
  // Another process may take the port between our look and the server's.
  for (int tries = 0; tries < 5; ++tries) {
    ASSIGN_OR_RETURN(port_, free_port());
    started = start([this] { return answers(); });
    if (started.ok() || started.error().category == Category::kNotFound) return started;
  }
  return started;
}

Result<void> ServerProcess::start(const std::function<bool()>& ready) {
  ASSIGN_OR_RETURN(const std::vector<std::string> words, command());
  TRY(launch(words, "server.log"));
  bool ended = false;
  const bool up = wait_until(kStartMax, [&] {
    ended = ::waitpid(pid_, nullptr, WNOHANG) == pid_;
    return ended || ready();
  });
  if (up && !ended) return {};
  if (ended) {
    pid_ = -1;
  } else {
    end(SIGKILL);
  }
  const std::string log = read_file(directory_ + "/server.log").value_or("");
  return unavailable("server.start",
                     fmt::format("{} did not start: {}", words.front(), log.substr(log.size() - std::min<std::size_t>(log.size(), 2000))));
}

/// True when it takes commands, after it has loaded what it had.
bool ServerProcess::answers() const {
  if (kind_ == Kind::kRedis) return answer_of(port_, "PING\r\n").starts_with("+PONG");
  return answer_of(port_, postgres_greeting()).starts_with('R');
}

void ServerProcess::end(int signal) {
  if (pid_ <= 0) return;
  const std::vector<pid_t> children = children_of(pid_);
  ::kill(pid_, SIGCONT);
  ::kill(pid_, signal);
  // Sessions of PostgreSQL are processes of their own, and serve for a moment after their parent is gone.
  for (const pid_t child : children) {
    if (signal == SIGKILL) ::kill(child, SIGKILL);
  }
  if (!wait_until(kEndMax, [this] { return ::waitpid(pid_, nullptr, WNOHANG) == pid_; })) {
    ::kill(pid_, SIGKILL);
    (void)::waitpid(pid_, nullptr, 0);
  }
  pid_ = -1;
}

void ServerProcess::kill() { end(SIGKILL); }

void ServerProcess::stop_running() { ::kill(pid_, SIGSTOP); }

void ServerProcess::go_on() { ::kill(pid_, SIGCONT); }

Result<void> ServerProcess::restart() {
  // The sessions of a PostgreSQL that was killed end a moment later, and it starts only then.
  Result<void> started;
  const bool up = wait_until(kStartMax, [&] {
    started = start([this] { return answers(); });
    return started.ok();
  });
  return up ? Result<void>() : started;
}

Result<void> ServerProcess::restart_until_listening(const std::vector<std::string>& more) {
  options_.insert(options_.end(), more.begin(), more.end());
  return start([this] { return !answer_of(port_, kind_ == Kind::kRedis ? std::string("PING\r\n") : postgres_greeting()).empty(); });
}

Result<ServerProcess*> shared_redis() {
  static const Result<std::unique_ptr<ServerProcess>> server = ServerProcess::start_redis();
  if (!server.ok()) return server.error();
  return server->get();
}

Result<ServerProcess*> shared_postgres() {
  static const Result<std::unique_ptr<ServerProcess>> server = ServerProcess::start_postgres();
  if (!server.ok()) return server.error();
  return server->get();
}

std::string unused_name() {
  static std::atomic<int> count = 0;
  return fmt::format("test{}", ++count);
}

}  // namespace trainyard::store::testing
