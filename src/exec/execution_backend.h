#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "exec/attempt.h"

namespace trainyard::exec {

/// What the operator wants of a node.
enum class NodeState {
  kReady,
  kCordoned,  ///< What runs there goes on, nothing new starts.
  kDraining,  ///< Nothing new starts, and what runs there is to be stopped as if it were preempted.
};
/// "ready", "cordoned" or "draining".
std::string_view name_of(NodeState state);
/// Errors: INVALID_ARGUMENT "node.state".
Result<NodeState> node_state_from(std::string_view name);

/// One node of a pool, for the planner and for people.
struct NodeView {
  NodeName name;
  Resources capacity;
  bool ready = false;       ///< False while its lease has expired.
  bool schedulable = true;  ///< False while it is cordoned or drains.
  NodeState state = NodeState::kReady;
  std::string state_reason;  ///< Why it is not kReady.
  NodeFacts facts;
  TimePoint reported_at;  ///< When it was last heard of.
};

/// Where a gang was placed: rank i runs on nodes[i].
struct GangLaunch {
  AttemptKey attempt;
  std::vector<NodeName> nodes;
  std::vector<RankLaunch> ranks;
  std::vector<bool> seen_running;  ///< For adopt: whether the rank at i had been seen running; empty: none had.
};

enum class StopReason { kCancel, kPreempt, kLimit, kDrain, kGangFailed };

/// Receives what happened to attempts, on the strand that owns the backend. Every call may be repeated: receivers compare fences.
class AttemptObserver {
 public:
  virtual ~AttemptObserver() = default;
  virtual void on_rank_running(const RankKey& rank, TimePoint started_at) = 0;
  /// What holds the rank to its resources, as RankObservation says; told before it is seen running.
  virtual void on_rank_limited(const RankKey&, const std::string& /*limited_by*/) {}
  virtual void on_rank_exited(const RankKey& rank, const RankExit& exit) = 0;
  /// The node that held these ranks is gone for good: nothing of them runs any more, or its lease ran out.
  virtual void on_ranks_lost(const std::vector<RankKey>& ranks, const std::string& why) = 0;
  /// Nodes came, went or changed: worth a new plan.
  virtual void on_nodes_changed() = 0;
};

/// Capacity that runs attempts. Every method is called on one strand, does not block and is idempotent by attempt.
class ExecutionBackend {
 public:
  virtual ~ExecutionBackend() = default;
  virtual void set_observer(AttemptObserver& observer) = 0;
  virtual std::vector<NodeView> nodes() const = 0;
  /// Starts every rank, or says so through the observer. Called only after the launch is durable.
  virtual void launch(const GangLaunch& launch) = 0;
  /// SIGTERM for every rank of the attempt, and SIGKILL after the grace of its launch or `grace_max`, whichever is shorter.
  virtual void stop(const AttemptKey& attempt, StopReason reason, Duration grace_max) = 0;
  /// SIGUSR1: write a checkpoint and go on.
  virtual void request_checkpoint(const AttemptKey& attempt) = 0;
  /// The end of the attempt is durable: nothing about it needs reporting any more.
  virtual void forget(const AttemptKey& attempt) = 0;
  /// After a restart of the server: these ranks were launched before and their end is not known. A rank that had been seen running and is
  /// not there any more is lost; one that had not is started.
  virtual void adopt(const GangLaunch& launch) = 0;
};

}  // namespace trainyard::exec
