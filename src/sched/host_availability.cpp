#include <algorithm>
#include <array>
#include <map>

#include "base/check.h"
#include "sched/availability.h"
#include "sched/internal/hole_index.h"
#include "sched/internal/whole_nodes.h"

namespace trainyard::sched {
namespace {

constexpr std::size_t kViews = 16;  ///< Rooms that are kept at a time.

/// Something that has a node for itself for a while. `running`: it is part of what the node has free now.
struct Stay {
  TimePoint from;
  TimePoint to;
  std::uint32_t demand = 0;
  std::uint32_t tasks = 0;
  DeviceMask devices = 0;
  bool running = false;

  bool operator==(const Stay&) const = default;
};

/// All that happens on one node, ascending by `from`.
struct Line {
  std::vector<Stay> stays;
  bool tangled = false;  ///< Some of them overlap: more was taken than there is.
};

/// The answer to one question, kept in case it is asked again.
struct View {
  ShapeId shape = kNoIndex;  ///< kNoIndex: none is kept here.
  TimePoint from;
  TimePoint to;
  NodeSet nodes;
  std::vector<std::uint32_t> slots;
  std::int64_t total = 0;

  Room room() const { return {nodes, slots, total}; }
};

/// Nodes that are free at a time, by when that ends: a heap with the earliest end on top.
class FreeNodes {
 public:
  struct Node {
    TimePoint end;
    NodeIndex node = 0;
  };
  void clear() { heap_.clear(); }
  void push(const Node& node) {
    heap_.push_back(node);
    std::push_heap(heap_.begin(), heap_.end(), later);
  }
  /// Forgets those that are not free until `end`.
  void forget_before(TimePoint end) {
    while (!heap_.empty() && heap_.front().end < end) {
      std::pop_heap(heap_.begin(), heap_.end(), later);
      heap_.pop_back();
    }
  }
  const std::vector<Node>& nodes() const { return heap_; }

 private:
  static bool later(const Node& a, const Node& b) { return a.end > b.end; }
  std::vector<Node> heap_;
};

class HostAvailability final : public Availability {
 public:
  HostAvailability(const ClusterSnapshot& cluster, TimePoint now);

  Room room(ShapeId shape, TimePoint from, TimePoint to) override;
  NodeFree free_over(NodeIndex node, TimePoint from, TimePoint to) const override;
  std::optional<TimePoint> first_time(ShapeId shape, std::int64_t tasks, Duration walltime, TimePoint after) override;
  void hold(const Demand& demand, const Placement& nodes, TimePoint from, TimePoint to) override;
  void drop(const Demand& demand, const Placement& nodes, TimePoint from, TimePoint to) override;

 private:
  /// The nodes that a shape can have when nothing else is on them.
  struct Hosts {
    bool known = false;
    bool apart = false;  ///< Nothing fits beside it, as of `version` of whole_.
    std::uint64_t version = 0;
    NodeSet nodes;
    std::int64_t count = 0;
  };

  const Hosts& hosts_of(ShapeId shape);
  Availability* general_for(ShapeId shape);
  void make_general();
  std::uint32_t demand_index(const Demand& demand);
  void build();
  template <typename Visit>
  void each_hole(NodeIndex node, Visit visit) const;
  void add(NodeIndex node, const Stay& stay);
  void remove(NodeIndex node, const Stay& stay);
  void change_tangled(NodeIndex node, const Stay& stay, bool adds);
  NodeFree free_at(NodeIndex node, TimePoint time) const;
  const View& keep_view(ShapeId shape, TimePoint from, TimePoint to);
  void forget_views();

  const ClusterSnapshot& cluster_;
  const TimePoint now_;
  std::vector<Demand> demands_;
  std::vector<Line> lines_;                ///< By node.
  std::map<TimePoint, std::size_t> ends_;  ///< How many running jobs and holds end when.
  HoleIndex holes_;
  bool built_ = false;        ///< False: holes_ is not kept up to date, since nobody has asked yet.
  std::vector<Hosts> hosts_;  ///< By shape.
  WholeNodes whole_;
  std::unique_ptr<Availability> general_;  ///< Made for the first question that holes cannot answer; gets all holds from then on.
  bool only_general_ = false;              ///< Something is held that leaves room beside it.
  FreeNodes free_;                         ///< Of the question that is being answered.
  std::array<View, kViews> views_;
  std::size_t next_view_ = 0;
};

HostAvailability::HostAvailability(const ClusterSnapshot& cluster, TimePoint now)
    : cluster_(cluster), now_(now), lines_(cluster.nodes().size()), whole_(cluster) {
  cluster.each_by_end([this](const RunningJob& job) {
    const TimePoint end = std::max(job.limit_end, now_ + Duration{1});
    const std::uint32_t demand = demand_index(job.job.demand);
    for (const TaskPlace& place : job.nodes) {
      add(place.node, {now_, end, demand, place.tasks, place.devices, true});
      if (!whole_.put(place.node, job.job.demand)) only_general_ = true;
    }
    if (end != kNever) ++ends_[end];
    return true;
  });
  if (only_general_) make_general();
}

std::uint32_t HostAvailability::demand_index(const Demand& demand) {
  const auto found = std::find(demands_.begin(), demands_.end(), demand);
  const auto index = static_cast<std::uint32_t>(found - demands_.begin());
  if (found == demands_.end()) demands_.push_back(demand);
  return index;
}

const HostAvailability::Hosts& HostAvailability::hosts_of(ShapeId shape) {
  if (hosts_.size() <= shape) hosts_.resize(shape + 1);
  Hosts& hosts = hosts_[shape];
  if (hosts.known) return hosts;
  hosts.known = true;
  hosts.nodes = NodeSet(cluster_.nodes().size());
  const ShapeFit& fit = cluster_.shape(shape);
  fit.allowed.each([&](NodeIndex node) {
    const NodeState& state = cluster_.node(node);
    if (!state.usable() || empty_node(state.info->capacity).slots(fit.demand, 1) == 0) return;
    hosts.nodes.insert(node);
    ++hosts.count;
  });
  return hosts;
}

/// Who answers in place of the holes; null: nobody.
Availability* HostAvailability::general_for(ShapeId shape) {
  if (only_general_) return general_.get();
  if (hosts_.size() <= shape) hosts_.resize(shape + 1);
  Hosts& hosts = hosts_[shape];
  if (hosts.version != whole_.version()) {
    hosts.version = whole_.version();
    hosts.apart = whole_.apart(cluster_.shape(shape));
  }
  if (hosts.apart) return nullptr;
  if (general_ == nullptr) make_general();
  return general_.get();
}

void HostAvailability::make_general() {
  general_ = make_node_availability(cluster_, now_);
  for (NodeIndex node = 0; node < lines_.size(); ++node) {
    for (const Stay& stay : lines_[node].stays) {
      if (!stay.running) general_->hold(demands_[stay.demand], {{node, stay.tasks, stay.devices}}, stay.from, stay.to);
    }
  }
}

/// Visits the times when nothing is on the node.
template <typename Visit>
void HostAvailability::each_hole(NodeIndex node, Visit visit) const {
  TimePoint free_from = now_;
  for (const Stay& stay : lines_[node].stays) {
    if (stay.from > free_from) visit(Hole{free_from, stay.from, node});
    free_from = std::max(free_from, stay.to);
  }
  if (free_from != kNever) visit(Hole{free_from, kNever, node});
}

void HostAvailability::build() {
  if (built_) return;
  built_ = true;
  std::vector<Hole> holes;
  for (NodeIndex node = 0; node < lines_.size(); ++node) {
    each_hole(node, [&holes](const Hole& hole) { holes.push_back(hole); });
  }
  holes_.assign(std::move(holes));
}

void HostAvailability::add(NodeIndex node, const Stay& stay) {
  Line& line = lines_[node];
  std::vector<Stay>& stays = line.stays;
  const auto next = std::upper_bound(stays.begin(), stays.end(), stay.from, [](TimePoint time, const Stay& s) { return time < s.from; });
  const TimePoint gap_start = next == stays.begin() ? now_ : (next - 1)->to;
  const TimePoint gap_end = next == stays.end() ? kNever : next->from;
  if (line.tangled || gap_start > stay.from || gap_end < stay.to) return change_tangled(node, stay, true);
  stays.insert(next, stay);
  if (!built_) return;
  const Hole gap{gap_start, gap_end, node};
  if (gap_start < stay.from) {
    holes_.change_end(gap, stay.from);
  } else {
    holes_.erase(gap);
  }
  if (stay.to < gap_end) holes_.insert({stay.to, gap_end, node});
}

void HostAvailability::remove(NodeIndex node, const Stay& stay) {
  Line& line = lines_[node];
  if (line.tangled) return change_tangled(node, stay, false);
  std::vector<Stay>& stays = line.stays;
  const auto found = std::lower_bound(stays.begin(), stays.end(), stay.from, [](const Stay& s, TimePoint time) { return s.from < time; });
  CHECK(found != stays.end() && *found == stay, "room was dropped that was not held");
  const TimePoint gap_start = found == stays.begin() ? now_ : (found - 1)->to;
  const TimePoint gap_end = found + 1 == stays.end() ? kNever : (found + 1)->from;
  stays.erase(found);
  if (!built_) return;
  if (stay.to < gap_end) holes_.erase({stay.to, gap_end, node});
  if (gap_start < stay.from) {
    holes_.change_end({gap_start, stay.from, node}, gap_end);
  } else {
    holes_.insert({gap_start, gap_end, node});
  }
}

/// Where stays overlap, or would: all holes of the node are found again.
void HostAvailability::change_tangled(NodeIndex node, const Stay& stay, bool adds) {
  if (built_) each_hole(node, [this](const Hole& hole) { holes_.erase(hole); });
  Line& line = lines_[node];
  const auto place =
      std::lower_bound(line.stays.begin(), line.stays.end(), stay.from, [](const Stay& s, TimePoint time) { return s.from < time; });
  if (adds) {
    line.stays.insert(place, stay);
  } else {
    const auto found = std::find(place, line.stays.end(), stay);
    CHECK(found != line.stays.end(), "room was dropped that was not held");
    line.stays.erase(found);
  }
  line.tangled = false;
  TimePoint free_from = now_;
  for (const Stay& other : line.stays) {
    if (other.from < free_from) line.tangled = true;
    free_from = std::max(free_from, other.to);
  }
  if (built_) each_hole(node, [this](const Hole& hole) { holes_.insert(hole); });
}

void HostAvailability::hold(const Demand& demand, const Placement& nodes, TimePoint from, TimePoint to) {
  from = std::max(from, now_);
  if (from >= to || nodes.empty()) return;
  const std::uint32_t index = demand_index(demand);
  for (const TaskPlace& place : nodes) {
    if (general_ != nullptr) general_->hold(demand, {place}, from, to);
    add(place.node, {from, to, index, place.tasks, place.devices, false});
    if (!whole_.put(place.node, demand)) only_general_ = true;
  }
  if (only_general_ && general_ == nullptr) make_general();
  if (to != kNever) ++ends_[to];
  forget_views();
}

void HostAvailability::drop(const Demand& demand, const Placement& nodes, TimePoint from, TimePoint to) {
  from = std::max(from, now_);
  if (from >= to || nodes.empty()) return;
  const std::uint32_t index = demand_index(demand);
  for (const TaskPlace& place : nodes) {
    remove(place.node, {from, to, index, place.tasks, place.devices, false});
    if (general_ != nullptr) general_->drop(demand, {place}, from, to);
  }
  if (to != kNever) {
    const auto end = ends_.find(to);
    if (--end->second == 0) ends_.erase(end);
  }
  forget_views();
}

NodeFree HostAvailability::free_at(NodeIndex node, TimePoint time) const {
  NodeFree free = cluster_.node(node).free;
  for (const Stay& stay : lines_[node].stays) {
    if (stay.running && stay.to <= time) free.give(demands_[stay.demand], stay.tasks, stay.devices);
    if (!stay.running && stay.from <= time && time < stay.to) free.take(demands_[stay.demand], stay.tasks, stay.devices);
  }
  return free;
}

NodeFree HostAvailability::free_over(NodeIndex node, TimePoint from, TimePoint to) const {
  from = std::max(from, now_);
  NodeFree least = free_at(node, from);
  for (const Stay& stay : lines_[node].stays) {
    if (stay.from > from && stay.from < to) least.lower_to(free_at(node, stay.from));
  }
  return least;
}

/// Keeps the nodes in free_ as the answer.
const View& HostAvailability::keep_view(ShapeId shape, TimePoint from, TimePoint to) {
  View& view = views_[next_view_];
  next_view_ = (next_view_ + 1) % kViews;
  if (view.slots.size() != lines_.size()) {
    view.nodes = NodeSet(lines_.size());
    view.slots.assign(lines_.size(), 0);
  }
  view.nodes.each([&view](NodeIndex node) { view.slots[node] = 0; });
  view.nodes.clear();
  for (const FreeNodes::Node& free : free_.nodes()) {
    view.nodes.insert(free.node);
    view.slots[free.node] = 1;
  }
  view.total = static_cast<std::int64_t>(free_.nodes().size());
  view.shape = shape;
  view.from = from;
  view.to = to;
  return view;
}

void HostAvailability::forget_views() {
  for (View& view : views_) view.shape = kNoIndex;
}

Room HostAvailability::room(ShapeId shape, TimePoint from, TimePoint to) {
  if (Availability* general = general_for(shape)) return general->room(shape, from, to);
  from = std::max(from, now_);
  to = std::max(to, from + Duration{1});
  for (const View& view : views_) {
    if (view.shape == shape && view.from == from && view.to == to) return view.room();
  }
  build();
  const Hosts& hosts = hosts_of(shape);
  free_.clear();
  holes_.each_while(to == kNever ? kForever : to - from, [&](const Hole& hole) {
    if (hole.start > from) return false;
    if (hole.end >= to && hosts.nodes.contains(hole.node)) free_.push({hole.end, hole.node});
    return true;
  });
  return keep_view(shape, from, to).room();
}

/// Room grows only where a hole begins, so after the first candidate only those times are looked at.
std::optional<TimePoint> HostAvailability::first_time(ShapeId shape, std::int64_t tasks, Duration walltime, TimePoint after) {
  if (Availability* general = general_for(shape)) return general->first_time(shape, tasks, walltime, after);
  const Hosts& hosts = hosts_of(shape);
  if (hosts.count < tasks) return std::nullopt;
  TimePoint time = now_;
  if (after > now_) {
    const auto first = ends_.lower_bound(after);
    if (first == ends_.end()) return std::nullopt;
    time = first->first;
  }
  build();
  free_.clear();
  const auto enough = [&] {
    if (static_cast<std::int64_t>(free_.nodes().size()) < tasks) return false;
    free_.forget_before(end_after(time, walltime));
    return static_cast<std::int64_t>(free_.nodes().size()) >= tasks;
  };
  bool found = false;
  holes_.each_while(walltime, [&](const Hole& hole) {
    if (hole.start > time) {
      found = enough();
      if (found) return false;
      time = hole.start;
    }
    if (hosts.nodes.contains(hole.node)) free_.push({hole.end, hole.node});
    return true;
  });
  if (!found && !enough()) return std::nullopt;
  keep_view(shape, time, end_after(time, walltime));
  return time;
}

}  // namespace

std::unique_ptr<Availability> make_host_availability(const ClusterSnapshot& cluster, TimePoint now) {
  return std::make_unique<HostAvailability>(cluster, now);
}

}  // namespace trainyard::sched
