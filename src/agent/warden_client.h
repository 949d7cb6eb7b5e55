#pragma once
#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "base/log.h"
#include "exec/warden_protocol.h"

namespace trainyard::agent {

struct WardenClientSettings {
  std::string data_dir;  ///< Absolute. The socket is run/warden.sock below it.
  std::string program;   ///< Path of trainyard-warden.
  int lifeline = -1;     ///< Handed to a warden that is started here: it ends with everything it runs when this reads end of file.
};

/// The connection to the warden of this node. Starts a warden when none answers, and again when it died: what the dead one ran is killed
/// first. Callbacks come on the client's thread. Thread-safe.
class WardenClient {
 public:
  struct Hooks {
    /// A warden answered: its boot id and all its ranks. After a warden died this comes with another boot id.
    std::function<void(const std::string& boot_id, std::vector<exec::WardenRank> ranks)> on_connected;
    std::function<void(exec::WardenRank rank)> on_rank;  ///< A rank started or ended.
    std::function<void(std::vector<exec::RankGrowth> growths)> on_grown;
  };

  WardenClient(WardenClientSettings settings, Hooks hooks, Clock& clock, LogSink& log);
  ~WardenClient();
  WardenClient(const WardenClient&) = delete;
  WardenClient& operator=(const WardenClient&) = delete;

  void start();
  /// Leaves the warden and what it runs alone.
  void stop();
  /// Tells the warden to end every rank within `grace` and to leave; no other one is started.
  void shutdown(Duration grace);
  /// Sends one request without waiting. False while there is no connection: the caller's next reconciliation sends it again.
  bool send(const Document& request);

 private:
  void run();
  Result<UniqueFd> connect_or_spawn();
  Result<UniqueFd> connect() const;
  Result<void> spawn_warden() const;
  Result<void> kill_leftovers() const;
  void read_until_closed(int socket);
  void handle(const Document& message);
  void pause(Duration span) const;

  WardenClientSettings settings_;
  Hooks hooks_;
  Clock& clock_;
  LogSink& log_;
  UniqueFd wake_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> leaving_{false};  ///< The warden was told to leave: its end is no accident.
  std::mutex mutex_;
  UniqueFd socket_;      // guarded by mutex_
  std::string boot_id_;  // client thread only
  std::thread thread_;
};

}  // namespace trainyard::agent
