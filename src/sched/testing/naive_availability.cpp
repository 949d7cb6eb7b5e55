#include "sched/testing/naive_availability.h"

#include <algorithm>
#include <set>

#include "base/check.h"

namespace trainyard::sched::testing {

NaiveAvailability::NaiveAvailability(const ClusterSnapshot& cluster, TimePoint now) : cluster_(cluster), now_(now) {
  cluster.each_by_end([this](const RunningJob& job) {
    const TimePoint end = job.limit_end > now_ ? job.limit_end : now_ + Duration{1};
    intervals_.push_back({job.job.demand, job.nodes, now_, end});
    return true;
  });
}

NodeFree NaiveAvailability::free_at(NodeIndex node, TimePoint time) const {
  NodeFree free = empty_node(cluster_.node(node).info->capacity);
  for (const Interval& interval : intervals_) {
    if (time < interval.from || time >= interval.to) continue;
    for (const TaskPlace& place : interval.nodes) {
      if (place.node == node) free.take(interval.demand, place.tasks, place.devices);
    }
  }
  return free;
}

NodeFree NaiveAvailability::free_over(NodeIndex node, TimePoint from, TimePoint to) const {
  from = std::max(from, now_);
  NodeFree least = free_at(node, from);
  for (const Interval& interval : intervals_) {
    for (const TimePoint time : {interval.from, interval.to}) {
      if (time > from && time < to) least.lower_to(free_at(node, time));
    }
  }
  return least;
}

NaiveAvailability::Count NaiveAvailability::count(ShapeId shape, TimePoint from, TimePoint to) const {
  const ShapeFit& fit = cluster_.shape(shape);
  Count count{NodeSet(cluster_.nodes().size()), std::vector<std::uint32_t>(cluster_.nodes().size()), 0};
  const std::int32_t most = fit.constraints ? fit.constraints->tasks_per_node_max : 0;
  for (NodeIndex node = 0; node < cluster_.nodes().size(); ++node) {
    if (!cluster_.node(node).usable() || !fit.allowed.contains(node)) continue;
    std::uint32_t slots = free_over(node, from, to).slots(fit.demand);
    if (most > 0) slots = std::min(slots, static_cast<std::uint32_t>(most));
    count.slots[node] = slots;
    count.nodes.set(node, slots > 0);
    count.total += slots;
  }
  return count;
}

Room NaiveAvailability::room(ShapeId shape, TimePoint from, TimePoint to) {
  rooms_.push_back(count(shape, from, to));
  return {rooms_.back().nodes, rooms_.back().slots, rooms_.back().total};
}

std::optional<TimePoint> NaiveAvailability::first_time(ShapeId shape, std::int64_t tasks, Duration walltime, TimePoint after) {
  std::set<TimePoint> candidates{now_};
  for (const Interval& interval : intervals_) {
    if (interval.to != kNever) candidates.insert(interval.to);
  }
  for (const TimePoint time : candidates) {
    if (time >= after && count(shape, time, end_after(time, walltime)).total >= tasks) return time;
  }
  return std::nullopt;
}

void NaiveAvailability::hold(const Demand& demand, const Placement& nodes, TimePoint from, TimePoint to) {
  from = std::max(from, now_);
  if (from >= to || nodes.empty()) return;
  intervals_.push_back({demand, nodes, from, to});
  rooms_.clear();
}

void NaiveAvailability::drop(const Demand& demand, const Placement& nodes, TimePoint from, TimePoint to) {
  from = std::max(from, now_);
  if (from >= to || nodes.empty()) return;
  const auto first_hold = intervals_.begin() + static_cast<std::ptrdiff_t>(cluster_.running_count());
  const auto found = std::find(first_hold, intervals_.end(), Interval{demand, nodes, from, to});
  CHECK(found != intervals_.end(), "room was dropped that was not held");
  intervals_.erase(found);
  rooms_.clear();
}

}  // namespace trainyard::sched::testing
