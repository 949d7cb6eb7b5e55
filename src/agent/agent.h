#pragma once
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "agent/node_driver.h"
#include "agent/warden_client.h"

namespace trainyard::agent {

struct AgentSettings {
  std::string data_dir;  ///< Absolute; run/, spool/ and work/ lie below it.
  NodeName node{"local"};
  Resources capacity;                    ///< Zero quantities are discovered.
  std::optional<exec::NodeFacts> facts;  ///< None: discovered, with every GPU; the capacity has as many GPUs as they name.
  std::string warden_program;            ///< Path of trainyard-warden.
  int lifeline = -1;                     ///< See WardenClientSettings.
  Duration poll_wait{5'000'000};         ///< Longest wait of one sync.
  /// Variables of this node, for every rank that does not set them itself.
  std::map<std::string, std::string> environment = {};
};

/// The node side: reconciles what the server wants with what the warden has, and ships logs and events. It runs nothing itself, so it may
/// be stopped or killed and started again while ranks run. Four threads: warden connection, long poll, reports, shipping.
class Agent {
 public:
  struct Deps {
    AgentLink& link;
    Clock& clock;
    LogSink& log;
    std::function<void(const Error&)> on_refused = nullptr;  ///< See NodeDriver::Deps, like those below; called from the agent's threads.
    std::function<void()> on_accepted = nullptr;
    std::function<std::string()> server_url = nullptr;
  };

  Agent(AgentSettings settings, Deps deps);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  void start();
  /// Stops the threads; ranks and their warden stay.
  void stop();
  /// Asks the server to drain this node; `drained` tells when nothing is left and nothing more will come.
  void leave() { driver_.leave(); }
  bool drained() const { return driver_.drained(); }
  /// Tells the warden to end every rank within `grace` and to leave.
  void shutdown_warden(Duration grace);

 private:
  void poll_loop();
  void report_loop();
  void ship_loop();
  bool pause(Duration span);

  AgentSettings settings_;
  Deps deps_;
  FileSpool spool_;
  NodeDriver driver_;
  WardenClient warden_;
  std::mutex stop_mutex_;
  std::condition_variable stopped_;
  bool stopping_ = false;  // guarded by stop_mutex_
  std::vector<std::thread> threads_;
};

}  // namespace trainyard::agent
