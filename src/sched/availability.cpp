#include "sched/availability.h"

#include <algorithm>

#include "sched/internal/whole_nodes.h"

namespace trainyard::sched {

bool takes_whole_nodes(const ClusterSnapshot& cluster, const QueueSnapshot& queue) {
  WholeNodes nodes(cluster);
  std::vector<bool> seen;
  const auto put_everywhere = [&](ShapeId shape) {
    if (shape >= seen.size()) seen.resize(shape + 1);
    if (seen[shape]) return true;
    seen[shape] = true;
    const ShapeFit& fit = cluster.shape(shape);
    bool whole = true;
    fit.allowed.each_while([&](NodeIndex node) { return whole = nodes.put(node, fit.demand); });
    return whole;
  };
  for (const QueueState& leaf : queue.queues()) {
    for (const PendingEntry& entry : leaf.pending) {
      if (!put_everywhere(queue.job(entry).shape)) return false;
    }
  }
  bool whole = true;
  cluster.each_by_end([&](const RunningJob& job) {
    whole = std::all_of(job.nodes.begin(), job.nodes.end(), [&](const TaskPlace& place) { return nodes.put(place.node, job.job.demand); });
    return whole;
  });
  return whole;
}

std::unique_ptr<Availability> make_availability(const ClusterSnapshot& cluster, const QueueSnapshot& queue, TimePoint now,
                                                bool many_reservations) {
  if (many_reservations && takes_whole_nodes(cluster, queue)) return make_host_availability(cluster, now);
  return make_node_availability(cluster, now);
}

}  // namespace trainyard::sched
