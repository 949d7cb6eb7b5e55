#pragma once
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace trainyard::store::testing {

/// True when TRAINYARD_WITHOUT_SERVERS=1 is set: tests that need PostgreSQL or Redis skip themselves, loudly.
bool without_servers();

/// A real database server that a test starts in a private directory on a free loopback port, as an unprivileged user when the test is root.
/// It ends with this object, and with the thread that started it whatever happens. Every wait has a deadline. Not thread-safe.
class ServerProcess {
 public:
  /// Starts Redis with `appendonly yes` and `appendfsync always`, plus `options` ("--name", "value", ..).
  static Result<std::unique_ptr<ServerProcess>> start_redis(std::vector<std::string> options = {});
  /// Starts PostgreSQL 15 with one superuser, "postgres", who needs no password, plus `options` ("-c", "name=value", ..).
  static Result<std::unique_ptr<ServerProcess>> start_postgres(std::vector<std::string> options = {});

  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  std::uint16_t port() const { return port_; }
  /// "redis://127.0.0.1:PORT/0" or "postgresql://postgres@127.0.0.1:PORT/postgres".
  std::string url() const;
  const std::string& directory() const { return directory_; }
  pid_t pid() const { return pid_; }

  /// kill -9, and waits until the process is gone.
  void kill();
  /// SIGSTOP and SIGCONT.
  void stop_running();
  void go_on();
  /// Starts it again on the same directory and port, after `kill`.
  Result<void> restart();
  /// The same, with `more` options and without waiting until it has loaded its data.
  Result<void> restart_until_listening(const std::vector<std::string>& more);

 private:
  enum class Kind { kRedis, kPostgres };
  ServerProcess(Kind kind, std::string directory, std::vector<std::string> options);

  Result<void> prepare();
  Result<void> start_on_free_port();
  Result<void> launch(const std::vector<std::string>& command, const char* log);
  Result<std::vector<std::string>> command() const;
  /// Starts it and waits for `ready`.
  Result<void> start(const std::function<bool()>& ready);
  bool answers() const;
  void end(int signal);

  Kind kind_;
  std::string directory_;
  std::vector<std::string> options_;
  std::uint16_t port_ = 0;
  pid_t pid_ = -1;
};

/// One server for all tests of a binary, started by the first that asks. Tests keep apart by names of their own in it.
Result<ServerProcess*> shared_redis();
Result<ServerProcess*> shared_postgres();

/// A name that no other test of this process uses: a schema, or the prefix of keys.
std::string unused_name();

}  // namespace trainyard::store::testing

/// In a test or SetUp: skips where servers were asked to be left out.
#define TRAINYARD_SKIP_WITHOUT_SERVERS()              \
  if (::trainyard::store::testing::without_servers()) \
  GTEST_SKIP() << "NOT TESTED: TRAINYARD_WITHOUT_SERVERS=1 leaves out every test that needs a real database server"
/// The same, and fails where `server`, a Result, could not be started.
#define TRAINYARD_REQUIRE_SERVER(server)                                                                                    \
  do {                                                                                                                      \
    TRAINYARD_SKIP_WITHOUT_SERVERS();                                                                                       \
    const auto& required_server = (server);                                                                                 \
    ASSERT_TRUE(required_server.ok()) << required_server.error().describe()                                                 \
                                      << "\ntools/bootstrap tests installs the servers; TRAINYARD_WITHOUT_SERVERS=1 skips"; \
  } while (false)
