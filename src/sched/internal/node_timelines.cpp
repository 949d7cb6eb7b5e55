#include "sched/internal/node_timelines.h"

#include <algorithm>

#include "base/check.h"

namespace trainyard::sched {
namespace {

constexpr std::size_t kStepsAtFirst = 128;
constexpr std::size_t kJobsAtOnce = 4;  ///< Least number of running jobs that are loaded together.

}  // namespace

NodeTimelines::Line& NodeTimelines::line(NodeIndex node) {
  if (lines_.empty()) {
    lines_.resize(cluster_.nodes().size());
    steps_.reserve(kStepsAtFirst);
    steps_.emplace_back();
  }
  Line& line = lines_[node];
  if (line.head == 0) {
    line.head = line.tail = static_cast<std::uint32_t>(steps_.size());
    steps_.push_back({.time = now_, .free = cluster_.node(node).free, .users = 1});  // used by the line itself: it stays
  }
  return line;
}

/// A copy of the step, to be given a time.
std::uint32_t NodeTimelines::copy_step(std::uint32_t step) {
  std::uint32_t added = 0;
  if (unused_steps_.empty()) {
    added = static_cast<std::uint32_t>(steps_.size());
    steps_.push_back(steps_[step]);
  } else {
    added = unused_steps_.back();
    unused_steps_.pop_back();
    steps_[added] = steps_[step];
  }
  steps_[added].users = steps_[added].starts = 0;
  return added;
}

/// The step at `time`, made when there is none.
std::uint32_t NodeTimelines::step_at(Line& line, TimePoint time) {
  std::uint32_t before = line.head;
  if (steps_[line.tail].time <= time) {
    before = line.tail;
  } else {
    while (steps_[steps_[before].next].time <= time) before = steps_[before].next;
  }
  if (steps_[before].time == time) return before;
  const std::uint32_t added = copy_step(before);
  steps_[added].time = time;
  steps_[before].next = added;
  if (line.tail == before) line.tail = added;
  return added;
}

/// One user of the step less.
void NodeTimelines::leave(Line& line, std::uint32_t step) {
  if (--steps_[step].users > 0) return;
  std::uint32_t before = line.head;
  while (steps_[before].next != step) before = steps_[before].next;
  steps_[before].next = steps_[step].next;
  if (line.tail == step) line.tail = before;
  unused_steps_.push_back(step);
}

void NodeTimelines::take(const Demand& demand, const TaskPlace& place, TimePoint from, TimePoint to) {
  Line& line = this->line(place.node);
  ++line.holds;
  const std::uint32_t first = step_at(line, from);
  ++steps_[first].users;
  ++steps_[first].starts;
  std::uint32_t end = 0;
  if (to != kNever) {
    end = step_at(line, to);
    ++steps_[end].users;
  }
  for (std::uint32_t step = first; step != end; step = steps_[step].next) steps_[step].free.take(demand, place.tasks, place.devices);
}

void NodeTimelines::give(const Demand& demand, const TaskPlace& place, TimePoint from, TimePoint to) {
  Line& line = this->line(place.node);
  CHECK(line.holds > 0, "room was given back on a node where nothing is held");
  --line.holds;
  const std::uint32_t first = step_at(line, from);
  const std::uint32_t end = to == kNever ? 0 : step_at(line, to);
  CHECK(steps_[first].starts > 0 && (end == 0 || steps_[end].users > 0), "room was given back that was not held");
  for (std::uint32_t step = first; step != end; step = steps_[step].next) steps_[step].free.give(demand, place.tasks, place.devices);
  --steps_[first].starts;
  leave(line, first);
  if (end != 0) leave(line, end);
}

void NodeTimelines::load(const RunningJob& job, TimePoint end) {
  for (const TaskPlace& place : job.nodes) {
    const std::uint32_t first = step_at(line(place.node), end);
    ++steps_[first].users;
    for (std::uint32_t step = first; step != 0; step = steps_[step].next) {
      steps_[step].free.give(job.job.demand, place.tasks, place.devices);
    }
    releases_.push_back({end, place.node, first});
  }
}

bool NodeTimelines::load_more() {
  if (loaded_until_ == kNever) return false;
  const std::size_t known = jobs_loaded_;
  const std::size_t least = known + std::max(kJobsAtOnce, known);  // doubling: skipping what is known stays cheap
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

const NodeFree& NodeTimelines::least(NodeIndex node, TimePoint from, TimePoint last, NodeFree& scratch, std::uint32_t step) const {
  if (!touched(node)) return cluster_.node(node).free;
  if (step == 0) step = lines_[node].head;
  while (steps_[step].next != 0 && steps_[steps_[step].next].time <= from) step = steps_[step].next;
  if (lines_[node].holds == 0 || from == last) return steps_[step].free;
  scratch = steps_[step].free;
  for (step = steps_[step].next; step != 0 && steps_[step].time <= last; step = steps_[step].next) {
    if (steps_[step].starts > 0) scratch.lower_to(steps_[step].free);
  }
  return scratch;
}

}  // namespace trainyard::sched
