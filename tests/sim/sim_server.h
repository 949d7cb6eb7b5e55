#pragma once
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "adapters/agent_pool/agent_pool.h"
#include "jobs/job_service.h"
#include "tests/sim/sim_ledger.h"

namespace trainyard::sim_test {

/// Unwinds the server's code at the place where it is killed. Nothing of what it unwinds lives on: memory is lost with the process.
struct KilledHere {
  std::string where;
};

/// The server process: the real JobService over the real AgentPool. It may die at every call that it makes to the outside and between any
/// two tasks; only the ledger survives it.
class SimServer {
 public:
  struct Settings {
    std::uint64_t kill_one_in = 250;        ///< At each call out.
    std::uint64_t kill_during_one_in = 50;  ///< While a commit is on its way.
    Duration down_max{15'000'000};
    Duration lease{15'000'000};
  };
  using Request = std::function<void(jobs::JobService&, adapters::agent_pool::AgentPool&)>;

  SimServer(World& world, SimLedger& ledger, Settings settings);
  ~SimServer();

  void boot();
  void kill(const std::string& where);
  /// Perhaps this life of the server ends soon: what was not durable by then is lost.
  void maybe_kill_during_commit();
  bool is_up() const { return life_ != nullptr; }
  std::size_t kills() const { return kills_; }
  /// A request reached the host; it is lost when no server listens.
  void request(Request request);
  /// A reply leaves the server, if it is not killed on the way out.
  void reply(std::function<void()> to_network);
  /// Dies here, perhaps.
  void crash_point(std::string_view where);

 private:
  struct Life;

  void run_one(std::uint64_t life);

  World& world_;
  SimLedger& ledger_;
  const Settings settings_;
  std::uint64_t lives_ = 0;
  std::size_t kills_ = 0;
  std::unique_ptr<Life> life_;
};

}  // namespace trainyard::sim_test
