#pragma once
#include <set>
#include <vector>

#include "sched/availability.h"
#include "sched/decisions.h"
#include "sched/policy.h"
#include "sched/quota.h"

namespace trainyard::sched {

/// What the search for victims sees: the snapshot, and what the pass has decided so far.
struct PreemptionView {
  const ClusterSnapshot& cluster;
  const QueueSnapshot& queue;
  Availability& availability;       ///< Room now, after starts, reservations and claims of this pass.
  const QuotaBook& quota;           ///< Use now, after them.
  const std::set<JobId>& leaving;   ///< Victims of earlier preemptions of this pass.
  std::int64_t evictions_left = 0;  ///< Of the cluster's budget for this minute.
  TimePoint now;
  const Decisions* decided = nullptr;  ///< What the pass has decided before; null: nothing.
  PlacementScorer* scorer = nullptr;   ///< Which of the nodes with room the claim takes; null: the lowest.
};

/// Which jobs leave, which gangs shrink, and the room that the preemptor gets for it.
struct EvictionPlan {
  Claim claim;
  std::vector<Resize> shrinks;
};

/// Either a plan, or why there is none: kExceedsFairShare, kWaitingForQuota or kWaitingForResources, with the job that it would have
/// taken the room from.
struct EvictionAnswer {
  std::optional<EvictionPlan> plan;
  Reason refusal = Reason::kWaitingForResources;
  JobId protected_job;
};

/// Finds the cheapest legal set of victims whose room lets `job` start, or none. Elastic gangs are shrunk before any job is evicted. Rules:
/// who may be a victim, what it costs and why no cycle is possible are in docs/guide/scheduling.md.
EvictionAnswer plan_eviction(const PreemptionView& view, const JobSnapshot& job);

/// What the eviction of a running job destroys, in milli-GPU seconds (milli-CPU without GPUs): work since its last durable checkpoint, or
/// a checkpoint within the grace, and the restart; at least a minute of its size.
std::int64_t eviction_cost(const RunningJob& victim, Duration grace, TimePoint now);

/// A vector that eviction plans by shares raise in a flat tree, compared lexicographically: per tier from the top the sorted shares of
/// queues by jobs of at least that tier, then their summed usage, in units of 10^-12. Victims that are leaving do not count, claims do; a
/// gang counts with its least size, since what it holds beyond that is lent. Plans that only take from lower tiers raise it too; those that
/// take back borrowed quota need not.
using Potential = std::vector<std::int64_t>;
Potential potential_of(const ClusterSnapshot& cluster, const QueueSnapshot& queue);

}  // namespace trainyard::sched
