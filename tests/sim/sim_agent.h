#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/node_driver.h"
#include "tests/sim/fiber.h"
#include "tests/sim/sim_server.h"

namespace trainyard::sim_test {

/// Unwinds the agent's code at the place where it is killed.
struct AgentKilled {
  std::string where;
};

/// What lies between an agent and its server: requests and answers are late, lost and doubled. Connections break when one end dies.
class SimNetwork {
 public:
  virtual ~SimNetwork() = default;
  /// Lets `deliver` run at the server's host, or not, or twice; `refused` when it is known to be in vain.
  virtual void send(std::function<void()> deliver, std::function<void()> refused) = 0;
  /// Lets `deliver` run at the agent's host, or not; `broken` when the agent knows that it will not come.
  virtual void answer(std::function<void()> deliver, std::function<void()> broken) = 0;
  /// Lets the loops of the agent with this number go on, if it still lives.
  virtual void wake(std::uint64_t agent) = 0;
};

/// One agent process: the real NodeDriver with NodeState and Shipper, its three loops as fibers, over a network of its own making. It may
/// die before and after each call out. Everything but the loops' own code runs outside of fibers.
class SimAgent final : public agent::AgentLink {
 public:
  struct Settings {
    std::uint64_t kill_one_in = 900;  ///< At each call out.
    Duration poll_wait{5'000'000};
    Duration patience{15'000'000};      ///< For an answer.
    Duration sync_patience{5'000'000};  ///< For that to a report, beyond what the server was asked to wait.
  };
  struct Deps {
    World& world;
    SimServer& server;
    SimNetwork& network;
    agent::SpoolReader& spool;
    std::function<bool(const Document&)> tell_warden;
  };

  SimAgent(Deps deps, Settings settings, std::uint64_t number, NodeName node, Resources capacity);

  /// Lets every loop run until it waits. Throws AgentKilled.
  void run_loops();

  void on_warden(const std::string& boot_id, const std::vector<exec::WardenRank>& ranks);
  agent::NodeState& state() { return driver_.state(); }

  // agent::AgentLink, for the loops.
  Result<exec::DesiredState> sync(const exec::NodeObservation& observation, std::uint64_t seen_version, Duration wait) override;
  Result<std::uint64_t> log_end(const RankKey& rank) override;
  Result<std::uint64_t> append_log(const RankKey& rank, std::uint64_t offset, std::string_view encoded) override;
  Result<std::uint64_t> events_end(const RankKey& rank) override;
  Result<std::uint64_t> append_events(const RankKey& rank, std::uint64_t first, const std::vector<std::string>& lines) override;

 private:
  struct Loop {
    std::function<bool()> ready = [] { return true; };
    std::unique_ptr<Fiber> fiber;
  };
  template <typename T>
  using Done = std::function<void(const Result<T>&)>;

  void poll_loop();
  void report_loop();
  void ship_loop();
  void wait_until(std::function<bool()> ready);
  void pause(Duration span);
  void crash_point(std::string_view where);
  template <typename T>
  Result<T> ask(Duration patience, std::function<bool(Done<T>)> deliver);
  Result<std::uint64_t> ask_bulk(std::function<Result<std::uint64_t>(agent::AgentLink&)> call);

  Deps deps_;
  const Settings settings_;
  const std::uint64_t number_;
  bool connected_ = false;
  Loop* running_ = nullptr;
  /// An ERROR event fails the run.
  WatchfulLog log_;
  agent::NodeDriver driver_;
  std::vector<std::unique_ptr<Loop>> loops_;  ///< Last: they end before what they use.
};

}  // namespace trainyard::sim_test
