#pragma once
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/executor.h"
#include "base/log.h"
#include "exec/execution_backend.h"

namespace trainyard::adapters::agent_pool {

struct AgentPoolSettings {
  Duration lease{15'000'000};  ///< A node that is silent for this long has lost its ranks; once more after a restart of the server.
  std::string epoch;           ///< Names this life of the server to its agents; empty: drawn at random.
};

/// Takes the event lines of ranks. `append` is called on the strand; `done` gets the durable count and runs there too.
class EventSink {
 public:
  virtual ~EventSink() = default;
  /// Errors: ABORTED "lease.fenced", FAILED_PRECONDITION "events.gap", UNAVAILABLE (the agent tries again).
  virtual void append(const RankKey& rank, std::uint64_t first, std::vector<std::string> lines,
                      std::function<void(Result<std::uint64_t>)> done) = 0;
  virtual Result<std::uint64_t> taken(const RankKey& rank) = 0;
};

/// Capacity made of agents. It holds, for every node, the complete set of ranks the node should have; agents post what they have and are
/// answered with that set. Level-triggered: no message needs to arrive exactly once. Lives on the strand, but for `holds`. Failpoints:
/// "pool.before_report", "pool.after_report", "pool.before_answer".
class AgentPool final : public exec::ExecutionBackend {
 public:
  struct Deps {
    Executor& strand;
    Clock& clock;
    LogSink& log;
  };
  using SyncDone = std::function<void(Result<exec::DesiredState>)>;

  AgentPool(AgentPoolSettings settings, Deps deps);
  ~AgentPool() override;

  /// A node's report. Answers when the node's desired state is another version than `seen_version`, or after `wait`.
  void sync(const exec::NodeObservation& observation, std::uint64_t seen_version, Duration wait, SyncDone done);

  /// Answers every sync that waits, with what there is: whoever asked is about to stop.
  void release_waiting();

  /// True between launch (or adopt) and forget: what this attempt sends may be taken. Thread-safe.
  bool holds(const AttemptKey& attempt) const;

  // exec::ExecutionBackend
  void set_observer(exec::AttemptObserver& observer) override { observer_ = &observer; }
  std::vector<exec::NodeView> nodes() const override;
  void launch(const exec::GangLaunch& launch) override;
  void stop(const AttemptKey& attempt, exec::StopReason reason, Duration grace_max) override;
  void request_checkpoint(const AttemptKey& attempt) override;
  void forget(const AttemptKey& attempt) override;
  void adopt(const exec::GangLaunch& launch) override;

 private:
  struct Wanted {
    exec::DesiredRank desired;
    std::string seen_boot;  ///< Boot of the warden that had this rank; empty: none was seen yet.
    bool started = false;   ///< Some warden had it.
    bool lost = false;      ///< Reported as lost: what the node says of it counts no more, and it stays until it is forgotten.
  };
  struct Waiting {
    std::uint64_t seen_version = 0;
    SyncDone done;
  };
  struct Node {
    exec::NodeView view;
    bool synced = false;  ///< False for a node known from adopted attempts only.
    std::string host_boot;
    std::uint64_t stamp = 0;  ///< Of the newest report.
    std::uint64_t version = 0;
    MonotonicPoint lease_ends;
    std::map<RankKey, Wanted> wanted;
    std::map<std::uint64_t, Waiting> waiting;
  };

  Node& node_of(const NodeName& name);
  void want(const exec::GangLaunch& launch, bool adopted);
  void changed(Node& node);
  void answer(Node& node, std::uint64_t waiting_id);
  void tell(const Node& node, const SyncDone& done) const;
  exec::DesiredState desired_of(const Node& node) const;
  void observe(Node& node, const exec::NodeObservation& observation);
  void lose_ranks(Node& node, const std::vector<RankKey>& ranks, const std::string& why);
  void arm_lease_timer();
  void check_leases();
  template <typename Change>
  void for_each_rank(const AttemptKey& attempt, Change change);

  AgentPoolSettings settings_;
  Deps deps_;
  exec::AttemptObserver* observer_ = nullptr;
  std::map<NodeName, Node> nodes_;
  std::uint64_t last_waiting_ = 0;
  mutable std::mutex held_mutex_;
  std::set<AttemptKey> held_;                                   // guarded by held_mutex_
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // shared: owned here, watched by posted tasks
};

}  // namespace trainyard::adapters::agent_pool
