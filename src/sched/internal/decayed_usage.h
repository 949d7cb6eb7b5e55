#pragma once
#include "sched/fair_tree.h"
#include "sched/policy.h"

namespace trainyard::sched {

/// Dominant-share seconds of service as of now: what was booked, decayed with the half-life of the snapshot, and what running jobs have
/// had since it was booked last. All zero when the half-life is 0: then current use alone counts.
struct DecayedUsage {
  std::vector<double> users;   ///< By UserIndex.
  std::vector<double> queues;  ///< By QueueIndex, each with all below.
};

/// O(users + queues + running jobs).
DecayedUsage decayed_usage(const ClusterSnapshot& cluster, const QueueSnapshot& queue, TimePoint now);

/// The rank of every user, by UserIndex, in the fair tree as the queue sees it: users without an account form one of the queue's name.
/// With a half-life of 0 usage is the dominant share that the user holds in this queue.
std::vector<FairTreeRank> rank_users(const OrderView& view);

}  // namespace trainyard::sched
