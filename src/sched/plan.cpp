#include "sched/plan.h"

#include <algorithm>

#include "sched/internal/empty_nodes.h"
#include "sched/internal/pass.h"

namespace trainyard::sched {

Decisions plan(const ClusterSnapshot& cluster, const QueueSnapshot& queue, TimePoint now) { return Pass(cluster, queue, now).run(); }

bool could_ever_fit(const ClusterSnapshot& cluster, const JobSnapshot& job) {
  const std::vector<NodeState>& nodes = cluster.nodes();
  if (std::all_of(nodes.begin(), nodes.end(), [](const NodeState& node) { return node.gone; })) return true;
  return fits_when_empty(cluster, job, [](const NodeState& node) { return !node.gone; });
}

}  // namespace trainyard::sched
