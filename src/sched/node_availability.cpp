#include <algorithm>

#include "base/check.h"
#include "sched/availability.h"
#include "sched/internal/node_timelines.h"
#include "sched/internal/sliding_room.h"

namespace trainyard::sched {
namespace {

constexpr std::size_t kFutures = 16;             ///< Rooms of windows that begin later that are kept at a time.
constexpr std::size_t kCacheBytes = 32U << 20U;  ///< Of counts of slots that are kept for windows that begin now.

/// Slots by node for all windows that begin at `from` and in which `last` is the last start of a hold (`from` when there is none). Room is
/// lost at starts of holds only, so these windows have the same room.
struct Count {
  TimePoint from;
  TimePoint last;
  std::size_t seen = 0;  ///< Changes up to this one are counted.
  NodeSet nodes;
  std::vector<std::uint32_t> slots;
  std::int64_t total = 0;

  Room room() const { return {nodes, slots, total}; }
  void set(NodeIndex node, std::uint32_t now_counted) {
    std::uint32_t& counted = slots[node];
    if (now_counted == counted) return;
    total += std::int64_t{now_counted} - counted;
    counted = now_counted;
    nodes.set(node, now_counted > 0);
  }
};

/// Room now when nothing is held.
Room room_now(const ShapeFit& fit) { return {fit.fitting, fit.slots, fit.total}; }

/// One hold, and where its nodes are in the list of all places.
struct Hold {
  Demand demand;
  TimePoint from;
  TimePoint to;
  std::size_t first = 0;
  std::size_t size = 0;
};

/// One end of a hold on one of its nodes, with the other end, so that a hold is found by its interval.
struct Moment {
  TimePoint time;
  TimePoint other;
  std::uint32_t hold = 0;
  NodeIndex node = 0;
  auto operator<=>(const Moment&) const = default;
};

/// Moments in ascending order; sorted when they are looked at, since most passes never look.
class Moments {
 public:
  void add(const Moment& moment) { moments_.push_back(moment); }
  const std::vector<Moment>& sorted() {
    if (sorted_ == moments_.size()) return moments_;
    const auto added = moments_.begin() + static_cast<std::ptrdiff_t>(sorted_);
    std::sort(added, moments_.end());
    if (added->hold == moments_.back().hold) {  // they stay together
      std::rotate(std::upper_bound(moments_.begin(), added, *added), added, moments_.end());
    } else {
      std::inplace_merge(moments_.begin(), added, moments_.end());
    }
    sorted_ = moments_.size();
    return moments_;
  }
  void erase_hold(TimePoint time, TimePoint other, std::uint32_t hold) {
    sorted();
    const auto first = std::lower_bound(moments_.begin(), moments_.end(), Moment{time, other, hold, 0});
    const auto last = std::find_if(first, moments_.end(), [hold](const Moment& moment) { return moment.hold != hold; });
    CHECK(first < last, "a hold has no such moment");
    moments_.erase(first, last);
    sorted_ = moments_.size();
  }

 private:
  std::vector<Moment> moments_;
  std::size_t sorted_ = 0;
};

/// At most so many tasks of the shape may be on one node.
std::uint32_t tasks_per_node_max(const ShapeFit& fit) {
  constexpr std::uint32_t kAll = 1'000'000;
  const std::int32_t most = fit.constraints ? fit.constraints->tasks_per_node_max : 0;
  return most > 0 ? static_cast<std::uint32_t>(most) : kAll;
}

class NodeAvailability final : public Availability {
 public:
  NodeAvailability(const ClusterSnapshot& cluster, TimePoint now) : cluster_(cluster), now_(now), lines_(cluster, now), sliding_(lines_) {}

  Room room(ShapeId shape, TimePoint from, TimePoint to) override;
  NodeFree free_over(NodeIndex node, TimePoint from, TimePoint to) const override;
  std::optional<TimePoint> first_time(ShapeId shape, std::int64_t tasks, Duration walltime, TimePoint after) override;
  void hold(const Demand& demand, const Placement& nodes, TimePoint from, TimePoint to) override;
  void drop(const Demand& demand, const Placement& nodes, TimePoint from, TimePoint to) override;

 private:
  using CountPointer = std::unique_ptr<Count>;
  struct Ask {
    ShapeId shape;
    std::int64_t tasks;
    Duration walltime;
    TimePoint after;
  };

  TimePoint last_start(TimePoint from, TimePoint to) const;
  const Count& current(ShapeId shape, TimePoint last);
  const Count& future(ShapeId shape, TimePoint from, TimePoint last);
  const Count& keep_future(ShapeId shape, CountPointer count);
  CountPointer begin_count(const Room& room, TimePoint from, TimePoint last);
  bool counts(const ShapeFit& fit, NodeIndex node) const { return fit.allowed.contains(node) && cluster_.node(node).usable(); }
  void recount(Count& count, const ShapeFit& fit, NodeIndex node) const;
  void recount_touched(Count& count, const ShapeFit& fit) const;
  void catch_up(Count& count, const ShapeFit& fit) const;
  std::optional<TimePoint> walk(Count& count, const Ask& ask);
  void slide(Count& count, const ShapeFit& fit, NodeIndex node);
  void list_moments();
  std::uint32_t find_hold(const Demand& demand, const Placement& nodes, TimePoint from, TimePoint to);
  void changed(const Placement& nodes);

  const ClusterSnapshot& cluster_;
  const TimePoint now_;
  mutable NodeTimelines lines_;  ///< Ends of running jobs are loaded when somebody asks.
  SlidingRoom sliding_;          ///< Of the walk that goes on.

  std::vector<Hold> holds_;
  std::vector<TaskPlace> places_;  ///< Of all holds, one after the other.
  std::size_t listed_ = 0;         ///< So many holds are in ends_ and, unless they begin now, in begins_.
  Moments begins_;
  Moments ends_;
  std::vector<TimePoint> starts_;   ///< Of holds that begin later than now, ascending.
  std::vector<NodeIndex> changes_;  ///< Nodes that were held or dropped, in order.

  std::vector<std::vector<CountPointer>> current_;  ///< By shape: windows that begin now, ascending by `last`.
  std::size_t current_size_ = 0;
  struct Future {
    ShapeId shape;
    CountPointer count;
  };
  std::vector<Future> future_;  ///< Windows that begin later; forgotten with every change.
  std::vector<CountPointer> spare_;
};

/// The last start of a hold in (from, to), else `from`.
TimePoint NodeAvailability::last_start(TimePoint from, TimePoint to) const {
  const auto after = std::lower_bound(starts_.begin(), starts_.end(), to);
  return after == starts_.begin() ? from : std::max(from, *(after - 1));
}

NodeAvailability::CountPointer NodeAvailability::begin_count(const Room& room, TimePoint from, TimePoint last) {
  CountPointer count;
  if (spare_.empty()) {
    count = std::make_unique<Count>();
  } else {
    count = std::move(spare_.back());
    spare_.pop_back();
  }
  count->from = from;
  count->last = last;
  count->seen = 0;
  count->nodes = room.nodes;
  count->slots = room.slots;
  count->total = room.total;
  return count;
}

/// Counts the slots of one node again.
void NodeAvailability::recount(Count& count, const ShapeFit& fit, NodeIndex node) const {
  if (counts(fit, node)) count.set(node, lines_.slots(node, count.from, count.last, fit.demand, tasks_per_node_max(fit)));
}

void NodeAvailability::recount_touched(Count& count, const ShapeFit& fit) const {
  for (NodeIndex node = 0; node < count.slots.size(); ++node) {
    if (lines_.touched(node)) recount(count, fit, node);
  }
  count.seen = changes_.size();
}

/// Counts what was held and dropped since the count was last used.
void NodeAvailability::catch_up(Count& count, const ShapeFit& fit) const {
  if (changes_.size() - count.seen > count.slots.size()) return recount_touched(count, fit);
  for (; count.seen < changes_.size(); ++count.seen) recount(count, fit, changes_[count.seen]);
}

const Count& NodeAvailability::current(ShapeId shape, TimePoint last) {
  if (current_.size() <= shape) current_.resize(shape + 1);
  std::vector<CountPointer>& counts = current_[shape];
  const auto place =
      std::lower_bound(counts.begin(), counts.end(), last, [](const CountPointer& count, TimePoint time) { return count->last < time; });
  const ShapeFit& fit = cluster_.shape(shape);
  if (place != counts.end() && (*place)->last == last) {
    catch_up(**place, fit);
    return **place;
  }
  ++current_size_;
  Count& count = **counts.insert(place, begin_count(room_now(fit), now_, last));
  catch_up(count, fit);
  return count;
}

const Count& NodeAvailability::future(ShapeId shape, TimePoint from, TimePoint last) {
  for (const Future& known : future_) {
    if (known.shape == shape && known.count->from == from && known.count->last == last) return *known.count;
  }
  const ShapeFit& fit = cluster_.shape(shape);
  CountPointer count = begin_count(room_now(fit), from, last);
  recount_touched(*count, fit);
  return keep_future(shape, std::move(count));
}

const Count& NodeAvailability::keep_future(ShapeId shape, CountPointer count) {
  if (future_.size() == kFutures) {
    spare_.push_back(std::move(future_.front().count));
    future_.erase(future_.begin());
  }
  future_.push_back({shape, std::move(count)});
  return *future_.back().count;
}

Room NodeAvailability::room(ShapeId shape, TimePoint from, TimePoint to) {
  from = std::max(from, now_);
  if (from == now_ && changes_.empty()) {
    return room_now(cluster_.shape(shape));
  }
  const TimePoint last = last_start(from, to);
  lines_.load_until(last);
  return from == now_ ? current(shape, last).room() : future(shape, from, last).room();
}

NodeFree NodeAvailability::free_over(NodeIndex node, TimePoint from, TimePoint to) const {
  from = std::max(from, now_);
  const TimePoint last = last_start(from, to);
  lines_.load_until(last);
  NodeFree scratch;
  return lines_.least(node, from, last, scratch);
}

std::optional<TimePoint> NodeAvailability::first_time(ShapeId shape, std::int64_t tasks, Duration walltime, TimePoint after) {
  const ShapeFit& fit = cluster_.shape(shape);
  if (fit.total_empty < tasks) return std::nullopt;
  const TimePoint to = end_after(now_, walltime);
  const Room now = room(shape, now_, to);
  if (after <= now_ && now.total >= tasks) return now_;
  CountPointer count = begin_count(now, now_, last_start(now_, to));
  const std::optional<TimePoint> found = walk(*count, {shape, tasks, walltime, after});
  if (found) {
    keep_future(shape, std::move(count));
  } else {
    spare_.push_back(std::move(count));
  }
  return found;
}

/// Counts the slots of one node again in a walk.
void NodeAvailability::slide(Count& count, const ShapeFit& fit, NodeIndex node) {
  if (sliding_.blocked(node, count.from) || !counts(fit, node)) return;
  count.set(node, sliding_.slots(node, count.from, count.last));
}

/// Goes from candidate to candidate and counts again, for each, the nodes where the window gained or lost a step that matters: those where
/// a job or hold ended, and those where a hold begins before the window's new end. A hold's start that the window's beginning passes
/// changes nothing, for the least room before it was the one after it.
std::optional<TimePoint> NodeAvailability::walk(Count& count, const Ask& ask) {
  const ShapeFit& fit = cluster_.shape(ask.shape);
  sliding_.begin(count.slots.size(), fit.demand, tasks_per_node_max(fit));
  list_moments();
  const std::vector<Moment>& begins = begins_.sorted();
  const std::vector<Moment>& ends = ends_.sorted();
  std::size_t release = 0;
  std::size_t begin = 0;
  std::size_t end = 0;
  while (true) {
    while (release == lines_.releases().size() && lines_.load_more()) {
    }
    TimePoint time = end < ends.size() ? ends[end].time : kNever;
    if (release < lines_.releases().size()) time = std::min(time, lines_.releases()[release].end);
    if (time == kNever) return std::nullopt;
    const TimePoint to = end_after(time, ask.walltime);
    std::size_t begun = begin;
    while (begun < begins.size() && begins[begun].time < to) ++begun;
    count.from = time;
    count.last = begun == 0 ? time : std::max(time, begins[begun - 1].time);
    lines_.load_until(count.last);
    for (; release < lines_.releases().size() && lines_.releases()[release].end == time; ++release) {
      slide(count, fit, lines_.releases()[release].node);
    }
    for (; end < ends.size() && ends[end].time == time; ++end) slide(count, fit, ends[end].node);
    for (; begin < begun; ++begin) slide(count, fit, begins[begin].node);
    if (time >= ask.after && count.total >= ask.tasks) return time;
  }
}

void NodeAvailability::changed(const Placement& nodes) {
  for (const TaskPlace& place : nodes) changes_.push_back(place.node);
  for (Future& known : future_) spare_.push_back(std::move(known.count));
  future_.clear();
  if (current_size_ <= 64 || current_size_ * cluster_.nodes().size() * sizeof(std::uint32_t) <= kCacheBytes) return;
  current_.clear();
  spare_.clear();
  current_size_ = 0;
}

void NodeAvailability::hold(const Demand& demand, const Placement& nodes, TimePoint from, TimePoint to) {
  from = std::max(from, now_);
  if (from >= to || nodes.empty()) return;
  for (const TaskPlace& place : nodes) lines_.take(demand, place, from, to);
  holds_.push_back({demand, from, to, places_.size(), nodes.size()});
  places_.insert(places_.end(), nodes.begin(), nodes.end());
  if (from > now_) starts_.insert(std::upper_bound(starts_.begin(), starts_.end(), from), from);
  changed(nodes);
}

/// Makes begins_ and ends_ complete. Most passes never look at them.
void NodeAvailability::list_moments() {
  for (; listed_ < holds_.size(); ++listed_) {
    const Hold& hold = holds_[listed_];
    const auto index = static_cast<std::uint32_t>(listed_);
    for (std::size_t i = hold.first; i < hold.first + hold.size; ++i) {
      ends_.add({hold.to, hold.from, index, places_[i].node});
      if (hold.from > now_) begins_.add({hold.from, hold.to, index, places_[i].node});
    }
  }
}

/// The last hold with these arguments.
std::uint32_t NodeAvailability::find_hold(const Demand& demand, const Placement& nodes, TimePoint from, TimePoint to) {
  list_moments();
  const std::vector<Moment>& ends = ends_.sorted();
  const auto equal = [&](const Hold& hold) {
    return hold.size == nodes.size() && hold.demand == demand &&
           std::equal(nodes.begin(), nodes.end(), places_.begin() + static_cast<std::ptrdiff_t>(hold.first));
  };
  auto moment = std::upper_bound(ends.begin(), ends.end(), Moment{to, from, static_cast<std::uint32_t>(holds_.size()), 0});
  while (moment != ends.begin() && (moment - 1)->time == to && (moment - 1)->other == from) {
    --moment;
    if (equal(holds_[moment->hold])) return moment->hold;
  }
  CHECK(false, "room was dropped that was not held");
  return 0;
}

void NodeAvailability::drop(const Demand& demand, const Placement& nodes, TimePoint from, TimePoint to) {
  from = std::max(from, now_);
  if (from >= to || nodes.empty()) return;
  const std::uint32_t index = find_hold(demand, nodes, from, to);
  ends_.erase_hold(to, from, index);
  if (from > now_) {
    begins_.erase_hold(from, to, index);
    starts_.erase(std::lower_bound(starts_.begin(), starts_.end(), from));
  }
  for (const TaskPlace& place : nodes) lines_.give(demand, place, from, to);
  changed(nodes);
}

}  // namespace

std::unique_ptr<Availability> make_node_availability(const ClusterSnapshot& cluster, TimePoint now) {
  return std::make_unique<NodeAvailability>(cluster, now);
}

}  // namespace trainyard::sched
