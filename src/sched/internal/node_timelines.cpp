#include "sched/internal/node_timelines.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace trainyard::sched {
namespace {

constexpr std::size_t kLevelsAtFirst = 128;
constexpr std::uint32_t kLineAtFirst = 4;  ///< Steps that a node has space for; a power of two.
constexpr std::size_t kJobsAtOnce = 4;     ///< Least number of running jobs that are loaded together.

}  // namespace

NodeTimelines::Line& NodeTimelines::line(NodeIndex node) {
  if (lines_.empty()) {
    lines_.resize(cluster_.nodes().size());
    levels_.reserve(kLevelsAtFirst);
    steps_.reserve(kLevelsAtFirst);
  }
  Line& line = lines_[node];
  if (line.size == 0) {
    grow(line);
    line.size = 1;
    step(line, 0) = {.time = now_, .level = static_cast<std::uint32_t>(levels_.size())};
    levels_.push_back({.free = cluster_.node(node).free, .users = 1});  // used by the line itself: it stays
  }
  return line;
}

/// The last step at or before `time`, which is not before now.
std::size_t NodeTimelines::position(const Line& line, TimePoint time) const {
  const Step* const first = steps_.data() + line.first;
  if (first[line.size - 1].time <= time) return line.size - 1;
  const auto later = std::upper_bound(first, first + line.size, time, [](TimePoint t, const Step& each) { return t < each.time; });
  return static_cast<std::size_t>(later - first) - 1;
}

/// Twice the space for a line. Blocks that lines have grown out of are used again.
void NodeTimelines::grow(Line& line) {
  const std::uint32_t capacity = std::max(kLineAtFirst, 2 * line.capacity);
  const auto kind = static_cast<std::size_t>(std::countr_zero(capacity));
  if (unused_blocks_.size() <= kind) unused_blocks_.resize(kind + 1);
  std::uint32_t first = 0;
  if (unused_blocks_[kind].empty()) {
    first = static_cast<std::uint32_t>(steps_.size());
    steps_.resize(steps_.size() + capacity);
  } else {
    first = unused_blocks_[kind].back();
    unused_blocks_[kind].pop_back();
  }
  std::copy_n(steps_.begin() + line.first, line.size, steps_.begin() + first);
  if (line.capacity > 0) unused_blocks_[kind - 1].push_back(line.first);
  line.first = first;
  line.capacity = capacity;
}

/// A copy of the level without users.
std::uint32_t NodeTimelines::copy_level(std::uint32_t level) {
  std::uint32_t added = 0;
  if (unused_levels_.empty()) {
    added = static_cast<std::uint32_t>(levels_.size());
    levels_.push_back(levels_[level]);
  } else {
    added = unused_levels_.back();
    unused_levels_.pop_back();
    levels_[added] = levels_[level];
  }
  levels_[added].users = 0;
  return added;
}

/// The position of the step at `time`, made when there is none.
std::size_t NodeTimelines::step_at(Line& line, TimePoint time) {
  const std::size_t before = position(line, time);
  if (step(line, before).time == time) return before;
  if (line.size == line.capacity) grow(line);
  const auto first = steps_.begin() + line.first;
  const auto place = first + static_cast<std::ptrdiff_t>(before + 1);
  std::move_backward(place, first + line.size, first + line.size + 1);
  ++line.size;
  *place = {.time = time, .level = copy_level(step(line, before).level)};
  return before + 1;
}

/// One user of the step less.
void NodeTimelines::leave(Line& line, std::size_t position) {
  const std::uint32_t level = step(line, position).level;
  if (--levels_[level].users > 0) return;
  const auto first = steps_.begin() + line.first;
  const auto place = first + static_cast<std::ptrdiff_t>(position);
  std::move(place + 1, first + line.size, place);
  --line.size;
  unused_levels_.push_back(level);
}

void NodeTimelines::take(const Demand& demand, const TaskPlace& place, TimePoint from, TimePoint to) {
  Line& line = this->line(place.node);
  ++line.holds;
  const std::size_t first = step_at(line, from);
  ++levels_[step(line, first).level].users;
  ++step(line, first).starts;
  std::size_t end = line.size;
  if (to != kNever) {
    end = step_at(line, to);
    ++levels_[step(line, end).level].users;
  }
  for (std::size_t i = first; i < end; ++i) levels_[step(line, i).level].free.take(demand, place.tasks, place.devices);
}

void NodeTimelines::give(const Demand& demand, const TaskPlace& place, TimePoint from, TimePoint to) {
  Line& line = this->line(place.node);
  CHECK(line.holds > 0, "room was given back on a node where nothing is held");
  --line.holds;
  const std::size_t first = position(line, from);
  const std::size_t end = to == kNever ? line.size : position(line, to);
  const bool ends = to == kNever || step(line, end).time == to;
  CHECK(ends && step(line, first).time == from && step(line, first).starts > 0, "room was given back that was not held");
  for (std::size_t i = first; i < end; ++i) levels_[step(line, i).level].free.give(demand, place.tasks, place.devices);
  --step(line, first).starts;
  if (to != kNever) leave(line, end);
  leave(line, first);
}

void NodeTimelines::load(const RunningJob& job, TimePoint end) {
  for (const TaskPlace& place : job.nodes) {
    Line& line = this->line(place.node);
    const std::size_t first = step_at(line, end);
    ++levels_[step(line, first).level].users;
    for (std::size_t i = first; i < line.size; ++i) levels_[step(line, i).level].free.give(job.job.demand, place.tasks, place.devices);
    releases_.push_back({end, place.node});
  }
}

bool NodeTimelines::load_more() {
  if (loaded_until_ == kNever) return false;
  const std::size_t known = jobs_loaded_;
  const std::size_t least = known + std::max(kJobsAtOnce,
                                             known);  // doubling: skipping what is known stays cheap
  std::size_t position = 0;
  TimePoint reached = loaded_until_;
  bool all = true;
  cluster_.each_by_end([&](const RunningJob& job) {
    if (position++ < known) return true;
    const TimePoint end = std::max(job.limit_end, now_ + Duration{1});
    if (end == kNever) return false;
    if (position > least && end != reached) {
      all = false;
      return false;
    }
    load(job, end);
    reached = end;
    jobs_loaded_ = position;
    return true;
  });
  loaded_until_ = all ? kNever : reached;
  return jobs_loaded_ > known;
}

void NodeTimelines::load_until(TimePoint time) {
  if (time <= now_) return;
  while (loaded_until_ < time) load_more();
}

std::span<const NodeTimelines::Step> NodeTimelines::steps(NodeIndex node) const {
  if (!touched(node)) return {};
  return {steps_.data() + lines_[node].first, lines_[node].size};
}

const NodeFree& NodeTimelines::least(NodeIndex node, TimePoint from, TimePoint last, NodeFree& scratch) const {
  if (!touched(node)) return cluster_.node(node).free;
  const Line& line = lines_[node];
  std::size_t i = position(line, from);
  if (line.holds == 0 || from == last) return free(step(line, i));
  scratch = free(step(line, i));
  for (++i; i < line.size && step(line, i).time <= last; ++i) {
    if (step(line, i).starts > 0) scratch.lower_to(free(step(line, i)));
  }
  return scratch;
}

std::uint32_t NodeTimelines::slots(NodeIndex node, TimePoint from, TimePoint last, const Demand& demand, std::uint32_t limit) const {
  if (!touched(node)) return cluster_.node(node).free.slots(demand, limit);
  const Line& line = lines_[node];
  std::size_t i = position(line, from);
  std::uint32_t slots = free(step(line, i)).slots(demand, limit);
  if (line.holds == 0 || from == last) return slots;
  for (++i; slots > 0 && i < line.size && step(line, i).time <= last; ++i) {
    if (step(line, i).starts > 0) slots = free(step(line, i)).slots(demand, slots);
  }
  if (slots == 0 || demand.gpus == 0) return slots;
  NodeFree scratch;  // A task stays on its devices, so that the least of each counts.
  return least(node, from, last, scratch).slots(demand, limit);
}

}  // namespace trainyard::sched
