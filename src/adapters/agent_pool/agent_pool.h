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
  /// A gang on several nodes starts when all its ranks are prepared; one that is not after this time has failed to start.
  Duration gang_barrier{30'000'000};
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
///
/// A rank of a gang on several nodes, as its node is told to have it (others are released from the start):
///
///   launch --> prepare --every rank of the gang is prepared--> released, with MASTER_ADDR and MASTER_PORT of rank 0's node
///                 \--deadline--> withdrawn: each rank ends with the launch error "gang.barrier"
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

  /// A node's report. Answers when the node's desired state is another version than `seen_version`, or after `wait`. Errors: ABORTED
  /// "agent.name_taken" while another agent of this name keeps its lease, ABORTED "agent.replaced" for one that lost its name to it.
  void sync(const exec::NodeObservation& observation, std::uint64_t seen_version, Duration wait, SyncDone done);

  /// Answers every sync that waits, with what there is: whoever asked is about to stop.
  void release_waiting();

  /// What the operator wants of a node, which need not have reported yet. It lives in memory: whoever calls keeps it. A node whose agent
  /// wants to leave is kDraining as long as the agent says so.
  void set_node_state(const NodeName& name, exec::NodeState state, std::string why);

  /// Whether the node is gone, so that it may be taken off the list: silent for its lease, or its agent leaves, and without ranks. Errors:
  /// NOT_FOUND "node.unknown", FAILED_PRECONDITION "node.in_use" and "node.has_ranks".
  Result<void> check_gone(const NodeName& name) const;
  /// Takes a node that is gone off the list, with what an operator wanted of it; one that reports again is a new one. Errors: as
  /// check_gone.
  Result<void> remove_node(const NodeName& name);

  /// True between launch (or adopt) and forget: what this attempt sends may be taken. Thread-safe.
  bool holds(const AttemptKey& attempt) const;
  /// True while this rank is leased to this node: nobody else may send its output. Thread-safe.
  bool holds(const NodeName& node, const RankKey& rank) const;

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
    bool started = false;   ///< Some warden had started it.
    bool ready = false;     ///< The newest report has it, prepared or further.
    bool ended = false;     ///< The node has reported its end.
    bool failed = false;    ///< And it was no good one.
    std::uint16_t port = 0;
    bool lost = false;  ///< Reported as lost: what the node says of it counts no more, and it stays until it is forgotten.
  };
  struct Waiting {
    std::set<RankKey> known;  ///< Ranks of the report it came with that need no whole launch.
    SyncDone done;
  };
  struct Node {
    exec::NodeView view;
    bool synced = false;       ///< False for a node known from adopted attempts only.
    std::string installation;  ///< Of the agent that holds the name.
    std::string replaced;      ///< Of the one that held it before.
    std::string host_boot;
    std::uint64_t stamp = 0;  ///< Of the newest report.
    exec::NodeState wanted_state = exec::NodeState::kReady;
    std::string wanted_reason;
    bool leaving = false;
    std::uint64_t version = 0;
    bool answers_soon = false;  ///< Those that wait are answered by a task that is posted.
    MonotonicPoint lease_ends;
    std::map<RankKey, Wanted> wanted;
    std::map<std::uint64_t, Waiting> waiting;
  };

  /// A gang whose ranks were not released yet: where they are.
  struct Barrier {
    std::map<RankKey, NodeName> ranks;
    Duration patience{0};
  };

  Node& node_of(const NodeName& name);
  Result<void> admit(Node& node, const exec::NodeObservation& observation) const;
  bool take_report(Node& node, const exec::NodeObservation& observation);
  static void show_state(Node& node);
  void want(const exec::GangLaunch& launch, bool adopted);
  void raise_barrier(const exec::GangLaunch& launch, bool adopted);
  void try_release(const AttemptKey& attempt);
  void fail_barrier(const AttemptKey& attempt, const std::string& why);
  std::string missing_at(const Barrier& barrier) const;
  static void assign_devices(Node& node);
  void changed(Node& node);
  void answer(Node& node, std::uint64_t waiting_id);
  void tell(const Node& node, const std::set<RankKey>& known, const SyncDone& done) const;
  exec::DesiredState desired_of(const Node& node, const std::set<RankKey>& known) const;
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
  std::map<AttemptKey, Barrier> barriers_;
  std::uint64_t last_waiting_ = 0;
  mutable std::mutex held_mutex_;
  std::map<AttemptKey, std::map<std::uint32_t, NodeName>> held_;  // guarded by held_mutex_; node by rank
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);    // shared: owned here, watched by posted tasks
};

}  // namespace trainyard::adapters::agent_pool
