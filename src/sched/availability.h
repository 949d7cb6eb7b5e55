#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "sched/cluster.h"
#include "sched/queue.h"

namespace trainyard::sched {

/// How many tasks of one shape each node can run during the whole of one window. A view: it copies nothing.
struct Room {
  const NodeSet& nodes;                     ///< Those with slots > 0.
  const std::vector<std::uint32_t>& slots;  ///< By node.
  std::int64_t total = 0;                   ///< Sum of slots.
};

/// Free room over time as one pass sees it: what is free now, running jobs until their limits, and what the pass adds. Intervals are
/// half-open: [from, to). Walltime limits count, never run times. A job past its limit is taken to hold its room a microsecond longer.
/// Nodes that are not usable have no room at any time. The cluster must outlive this and stay as it is. Not thread-safe.
class Availability {
 public:
  virtual ~Availability() = default;
  /// Room over all of [from, to). The view is good until the next hold or drop, and at most for the next 15 calls of room and first_time.
  /// `from` before now counts as now; of an empty window the room at `from` is told.
  virtual Room room(ShapeId shape, TimePoint from, TimePoint to) = 0;
  /// The least that is free on a node during [from, to), by resource and device; whether the node is usable plays no part.
  virtual NodeFree free_over(NodeIndex node, TimePoint from, TimePoint to) const = 0;
  /// The first candidate time >= after at which `tasks` tasks have room for all of [t, t + walltime); none: never. Candidates are now and
  /// the end of every interval that lies ahead: of running jobs, and of what was held. walltime > 0.
  virtual std::optional<TimePoint> first_time(ShapeId shape, std::int64_t tasks, Duration walltime, TimePoint after) = 0;
  /// Takes room: a start (from = now), a reservation, a claim. More than is free may be taken; that leaves less than nothing. What lies
  /// before now is left out; an interval that is over holds nothing.
  virtual void hold(const Demand& demand, const Placement& nodes, TimePoint from, TimePoint to) = 0;
  /// Undoes a hold with equal arguments. There must have been one (CHECK).
  virtual void drop(const Demand& demand, const Placement& nodes, TimePoint from, TimePoint to) = 0;
};

/// For any cluster: step functions per node. Costs next to nothing until something is held. Good for few reservations.
std::unique_ptr<Availability> make_node_availability(const ClusterSnapshot& cluster, TimePoint now);

/// The same answers from the holes of all nodes in the order of time, as long as no two of the tasks that run, are held or are asked about
/// fit on one node together. Good for thousands of reservations. Other questions are given to an availability for any cluster.
std::unique_ptr<Availability> make_host_availability(const ClusterSnapshot& cluster, TimePoint now);

/// True when no two tasks of waiting and running jobs ever fit on one node together: on each node there is a kind of resource of which
/// every one of them takes more than half.
bool takes_whole_nodes(const ClusterSnapshot& cluster, const QueueSnapshot& queue);

/// The faster one of the two.
std::unique_ptr<Availability> make_availability(const ClusterSnapshot& cluster, const QueueSnapshot& queue, TimePoint now,
                                                bool many_reservations);

}  // namespace trainyard::sched
