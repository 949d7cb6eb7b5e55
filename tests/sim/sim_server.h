#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "adapters/agent_pool/embedded_link.h"
#include "jobs/job_service.h"
#include "tests/sim/sim_ledger.h"
#include "tests/sim/sim_log_store.h"

namespace trainyard::sim_test {

class SimStrand;

/// Unwinds the server's code at the place where it is killed. Nothing of what it unwinds lives on: memory is lost with the process.
struct KilledHere {
  std::string where;
};

/// An ERROR event fails the run.
class WatchfulLog final : public LogSink {
 public:
  WatchfulLog(World& world, std::string who) : world_(world), who_(std::move(who)) {}
  void write(const LogEvent& event) override {
    if (event.level == LogLevel::kError) world_.history.tell(Broken{"the " + who_ + " logged an error: " + std::string(event.name)});
  }

 private:
  World& world_;
  std::string who_;
};

/// What a request finds on the server's strand.
struct ServerParts {
  jobs::JobService& jobs;
  adapters::agent_pool::AgentPool& pool;
  adapters::agent_pool::EventSink& events;
  store::JobLedger& ledger;
};

/// The server process: the real JobService, JobEvents, AgentPool, EmbeddedLink (its half for logs) and WatchedLogStore. It may die at every
/// call that it makes to the outside and between any two tasks; only the ledger and the log files survive it.
class SimServer {
 public:
  struct Settings {
    std::uint64_t kill_one_in = 250;        ///< At each call out.
    std::uint64_t kill_during_one_in = 50;  ///< While a commit is on its way.
    std::uint64_t power_loss_one_in = 4;    ///< Of its deaths.
    std::uint64_t tracking_fails_one_in = 20;
    Duration down_max{15'000'000};
    Duration asleep_max{60'000'000};
    bool forgets_orders = false;  ///< What operators want of nodes is answered and not done, to show that the invariants notice.
    Duration lease{15'000'000};
  };
  using Request = std::function<void(const ServerParts&)>;
  using BulkRequest = std::function<void(agent::AgentLink&)>;

  SimServer(World& world, SimLogStore& logs, Settings settings, SimLedger::Settings ledger);
  ~SimServer();

  void boot();
  void kill(const std::string& where);
  /// The process sleeps, another takes its place at once, and it wakes late: it believes that it still leads. What it was sent before it
  /// slept is answered then, if at all.
  void replace_while_asleep();
  /// What an operator wants of a node: kept, and told to every life of the server.
  void order(const NodeName& node, exec::NodeState state);
  /// Jobs that have not ended, as the ledger has it.
  bool has_live_jobs() const;
  /// Perhaps this life of the server ends soon: what was not durable by then is lost.
  void maybe_kill_during_commit();
  /// Counts up; 0 while it is down.
  std::uint64_t life() const { return life_ != nullptr ? lives_ : 0; }
  std::size_t kills() const { return kills_; }
  /// A request reached the host; false when no server listens.
  bool request(Request request);
  /// The same for what runs beside the strand: the link's calls for logs.
  bool bulk(BulkRequest request);
  /// Runs `told` when this life of the server ends.
  void on_death(std::function<void()> told);
  /// A reply leaves the server, if it is not killed on the way out.
  void reply(std::function<void()> to_network);
  /// Dies here, perhaps.
  void crash_point(std::string_view where);

 private:
  struct Life;
  friend class SimStrand;

  void run_one(std::uint64_t life, SimStrand& strand);
  Life* awake(std::uint64_t life);
  void end(std::unique_ptr<Life> life, const std::string& where);
  void end_sleeper(const std::string& where);
  void wake_sleeper(std::uint64_t life);
  void show_log(const RankKey& rank);

  World& world_;
  SimLogStore& logs_;
  const Settings settings_;
  const SimLedger::Settings ledger_settings_;
  store::testing::FakeLedgerStorage storage_;
  std::map<NodeName, exec::NodeState> orders_;
  std::uint64_t lives_ = 0;
  std::size_t kills_ = 0;
  std::map<RankKey, std::uint64_t> shown_;  ///< How far those who follow logs have read.
  std::unique_ptr<Life> life_;
  std::unique_ptr<Life> sleeper_;  ///< The life before, which was not killed.
  bool sleeper_woke_ = false;
};

}  // namespace trainyard::sim_test
