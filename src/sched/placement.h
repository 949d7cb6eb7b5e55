#pragma once
#include <optional>

#include "sched/availability.h"
#include "sched/policy.h"

namespace trainyard::sched {

/// Where a gang could go.
struct PlacementAsk {
  const JobSnapshot& job;
  std::int64_t tasks = 1;
  TimePoint from;
  TimePoint to;
};

/// Chooses nodes and devices for all tasks, or none when they do not fit as constrained. `scorer` null: the lowest nodes. A scorer is asked
/// again for a node after each task that it gets. Whole devices are taken lowest first; shares where the scorer says.
std::optional<Placement> place(const ClusterSnapshot& cluster, Availability& availability, const PlacementAsk& ask,
                               PlacementScorer* scorer);

}  // namespace trainyard::sched
