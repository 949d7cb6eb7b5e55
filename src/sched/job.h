#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/time.h"
#include "domain/ids.h"
#include "sched/amounts.h"
#include "sched/node_set.h"

namespace trainyard::sched {

constexpr TimePoint kNever = TimePoint::max();
constexpr Duration kForever = Duration::max();

/// `start + length`, kNever when there is no end.
constexpr TimePoint end_after(TimePoint start, Duration length) {
  return start == kNever || length >= kNever - start ? kNever : start + length;
}

/// One rule on a node's labels. kIn without the label fails; kNotIn without it holds.
struct LabelRule {
  enum class Op { kIn, kNotIn, kExists, kMissing };
  std::string key;
  Op op = Op::kIn;
  std::vector<std::string> values;

  bool operator==(const LabelRule&) const = default;
};

/// A rule that a node should keep, and how much that counts beside others.
struct PreferredRule {
  LabelRule rule;
  std::int64_t weight = 1;

  bool operator==(const PreferredRule&) const = default;
};

/// Levels of the topology, widest first.
enum class TopologyLevel : std::uint8_t { kCluster, kRack, kSwitch, kNode };

/// Where the tasks of a job may and should run.
struct Constraints {
  std::string pool;                     ///< Empty: any.
  std::vector<std::string> gpu_models;  ///< Any of these; empty: any.
  std::vector<LabelRule> required;
  std::vector<PreferredRule> preferred;
  std::set<std::string> tolerations;               ///< Taints that do not keep the job away.
  std::int32_t tasks_per_node_max = 0;             ///< 0: no limit.
  TopologyLevel within = TopologyLevel::kCluster;  ///< All tasks in one rack, below one switch or on one node.
  bool within_required = true;                     ///< False: the narrowest level that works, from `within` outwards.

  bool operator==(const Constraints&) const = default;
};

using ConstraintsPtr = std::shared_ptr<const Constraints>;  // shared: immutable, by all jobs of one shape; null: none

using ShapeId = std::uint32_t;  ///< Interned (demand, constraints), see ClusterSnapshot::intern.
using QueueIndex = std::uint32_t;
using UserIndex = std::uint32_t;
constexpr std::uint32_t kNoIndex = 0xffffffff;

/// Tasks of one job on one node. `devices`: the GPU devices of all of them; for shares of a device the one they share.
struct TaskPlace {
  NodeIndex node = 0;
  std::uint32_t tasks = 1;
  DeviceMask devices = 0;

  bool operator==(const TaskPlace&) const = default;
};

/// Where the tasks of a job are: ascending by node. A node may occur more than once when its shares are on several devices.
using Placement = std::vector<TaskPlace>;

std::int64_t task_count(const Placement& placement);
/// Both together.
Placement merged(const Placement& a, const Placement& b);

/// What a waiting job was promised: room from `start` on, out of the limits of those before it.
struct Reservation {
  TimePoint start;
  Placement nodes;

  bool operator==(const Reservation&) const = default;
};

/// Room held for a job whose victims are leaving. Nobody else gets it until the job starts or the claim is dropped.
struct Claim {
  Placement nodes;
  std::vector<JobId> victims;    ///< Ascending.
  std::vector<JobId> shrinking;  ///< Elastic gangs that give up tasks for it, ascending.
  TimePoint since;
  TimePoint grace_ends;

  /// The first of those that make room; invalid: none.
  JobId first_to_give() const { return !victims.empty() ? victims.front() : !shrinking.empty() ? shrinking.front() : JobId(); }
  bool operator==(const Claim&) const = default;
};

/// A live job as the planner sees it, waiting or running.
struct JobSnapshot {
  JobId id;
  std::uint64_t seq = 0;  ///< Order of arrival; the last tie-breaker.
  QueueIndex queue = 0;
  UserIndex user = 0;
  std::int32_t tier = 0;      ///< Higher first; preemption goes down tiers.
  std::int64_t priority = 0;  ///< Higher first, within a tier.
  TimePoint queued_at;        ///< Kept over requeues.
  TimePoint eligible_at;      ///< Not before this time: backoff.

  Demand demand;  ///< Of one task.
  ConstraintsPtr constraints;
  ShapeId shape = kNoIndex;  ///< Set by SchedulerState.
  std::int32_t tasks = 1;
  std::int32_t tasks_min = 0;  ///< 0: rigid. Else the gang starts with at least so many and may be shrunk to them.

  Duration walltime = kForever;  ///< The limit at which it is killed: all that promises are built on.
  Duration estimate{0};          ///< Predicted run time, 0: none. For planned starts only.
  TimePoint deadline = kNever;

  bool held = false;
  std::string held_by;           ///< Who holds it, for people.
  std::vector<JobId> waits_for;  ///< Dependencies that have not ended.

  bool preemptible = true;
  Duration checkpoint_cost{0};  ///< Time of one checkpoint on request; 0: unknown, so lost work counts from the last one.
  Duration restart_cost{0};
  std::int32_t evictions = 0;               ///< So far.
  std::uint64_t evicted_in_epoch = 0;       ///< 0: never.
  JobId evicted_for;                        ///< Who got the room then.
  std::int64_t attained_milli_seconds = 0;  ///< Service so far: milli-GPU (milli-CPU without GPUs) times seconds.
  std::int32_t skips = 0;                   ///< Later jobs of its queue that started before it.

  std::optional<Reservation> reservation;
  std::optional<Claim> claim;

  Amounts total() const { return demand.amounts * tasks; }
  Amounts total_min() const { return demand.amounts * (tasks_min > 0 ? tasks_min : tasks); }
};

/// A job that holds resources.
struct RunningJob {
  JobSnapshot job;  ///< `job.tasks` is the size asked for, not the size allocated.
  Placement nodes;
  TimePoint started_at;
  TimePoint limit_end = kNever;    ///< When the limit kills it.
  TimePoint planned_end = kNever;  ///< By the estimate.
  TimePoint charged_until;         ///< Service up to here is booked.
  TimePoint last_checkpoint;       ///< End of the last durable one, else started_at.
  bool stopping = false;           ///< Asked to leave; it holds its room until it has.
  TimePoint stop_deadline = kNever;
  Placement shrink_to;  ///< What it was asked to keep; empty: not shrinking.

  Amounts held() const { return job.demand.amounts * task_count(nodes); }
};

}  // namespace trainyard::sched
