#include "sched/internal/freed_room.h"

#include <algorithm>

#include "base/check.h"

namespace trainyard::sched {
namespace {

TopologyLevel required_level(const JobSnapshot& job) {
  return job.constraints && job.constraints->within_required ? job.constraints->within : TopologyLevel::kCluster;
}

}  // namespace

FreedRoom::FreedRoom(const ClusterSnapshot& cluster, Availability& base, const PlacementAsk& ask, bool room_is_promised)
    : cluster_(cluster), base_(base), ask_(ask), fit_(cluster.shape(ask.job.shape)), room_is_promised_(room_is_promised) {
  const Room room = base.room(ask.job.shape, ask.from, ask.to);
  nodes_ = room.nodes;
  slots_ = room.slots;
  total_ = room.total;
  totals_.assign(1, total_);
  line_of_.assign(cluster.nodes().size(), 0);
  lines_.resize(1);
  const TopologyLevel level = required_level(ask.job);
  if (level == TopologyLevel::kCluster || cluster.nodes().empty()) return;
  domains_ = Topology(cluster).domains(level);
  totals_.assign(*std::max_element(domains_.begin(), domains_.end()) + std::size_t{1}, 0);
  for (NodeIndex node = 0; node < slots_.size(); ++node) totals_[domains_[node]] += slots_[node];
}

void FreedRoom::expect(NodeIndex node, TimePoint until) {
  if (!counts(node)) return;
  if (line_of_[node] == 0) {
    line_of_[node] = static_cast<std::uint32_t>(lines_.size());
    lines_.emplace_back();
  }
  if (room_is_promised_ && until > ask_.from && until < ask_.to) lines_[line_of_[node]].ends.push_back(until);
}

std::vector<FreedRoom::Segment>& FreedRoom::segments(NodeIndex node) {
  CHECK(line_of_[node] != 0, "room is given on a node where none was expected");
  Line& line = lines_[line_of_[node]];
  if (!line.segments.empty()) return line.segments;
  line.ends.push_back(ask_.to);
  std::sort(line.ends.begin(), line.ends.end());
  TimePoint from = ask_.from;
  for (const TimePoint end : line.ends) {
    if (end <= from) continue;
    line.segments.push_back({from, base_.free_over(node, from, end)});
    from = end;
  }
  return line.segments;
}

/// The least that is free over the whole window: a task stays on its devices.
NodeFree FreedRoom::least(const std::vector<Segment>& segments) {
  NodeFree least = segments.front().free;
  for (std::size_t i = 1; i < segments.size(); ++i) least.lower_to(segments[i].free);
  return least;
}

void FreedRoom::recount(NodeIndex node) {
  const std::int32_t most = fit_.constraints ? fit_.constraints->tasks_per_node_max : 0;
  const std::uint32_t limit = most > 0 ? static_cast<std::uint32_t>(most) : 1'000'000;
  const std::vector<Segment>& parts = segments(node);
  const std::uint32_t slots = parts.size() == 1 ? parts.front().free.slots(fit_.demand, limit) : least(parts).slots(fit_.demand, limit);
  const std::int64_t difference = std::int64_t{slots} - slots_[node];
  total_ += difference;
  totals_[domain_of(node)] += difference;
  slots_[node] = slots;
  nodes_.set(node, slots > 0);
}

void FreedRoom::give(const Demand& demand, const TaskPlace& place, TimePoint until) {
  if (!counts(place.node)) return;
  for (Segment& segment : segments(place.node)) {
    if (segment.from < until) segment.free.give(demand, place.tasks, place.devices);
  }
  recount(place.node);
}

void FreedRoom::take(const Demand& demand, const TaskPlace& place, TimePoint until) {
  if (!counts(place.node)) return;
  for (Segment& segment : segments(place.node)) {
    if (segment.from < until) segment.free.take(demand, place.tasks, place.devices);
  }
  recount(place.node);
}

Room FreedRoom::room(ShapeId, TimePoint from, TimePoint to) {
  CHECK(from == ask_.from && to == ask_.to, "freed room is known for one window");
  return {nodes_, slots_, total_};
}

NodeFree FreedRoom::free_over(NodeIndex node, TimePoint from, TimePoint to) const {
  CHECK(from == ask_.from && to == ask_.to, "freed room is known for one window");
  if (line_of_[node] == 0 || lines_[line_of_[node]].segments.empty()) return base_.free_over(node, from, to);
  return least(lines_[line_of_[node]].segments);
}

std::optional<TimePoint> FreedRoom::first_time(ShapeId, std::int64_t, Duration, TimePoint) {
  CHECK(false, "freed room is known for one window");
  return std::nullopt;
}

void FreedRoom::hold(const Demand&, const Placement&, TimePoint, TimePoint) { CHECK(false, "freed room is only looked at"); }

void FreedRoom::drop(const Demand&, const Placement&, TimePoint, TimePoint) { CHECK(false, "freed room is only looked at"); }

}  // namespace trainyard::sched
