#pragma once
#include <functional>

#include "sched/cluster.h"

namespace trainyard::sched {

/// Whether the smallest size of the job would fit on those nodes that `counts` holds for, were nothing else on them: in one rack, below one
/// switch or on one node where it asks for that. O(nodes).
bool fits_when_empty(const ClusterSnapshot& cluster, const JobSnapshot& job, const std::function<bool(const NodeState&)>& counts);

}  // namespace trainyard::sched
