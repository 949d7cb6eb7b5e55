#include "sched/internal/sliding_room.h"

#include <algorithm>

namespace trainyard::sched {

void SlidingRoom::begin(std::size_t nodes, const Demand& demand, std::uint32_t limit) {
  cursors_.assign(nodes, {});
  demand_ = demand;
  limit_ = limit;
  minima_used_ = 0;
}

std::uint32_t SlidingRoom::slots(NodeIndex node, TimePoint from, TimePoint last) {
  Cursor& cursor = cursors_[node];
  if (from < cursor.blocked_until) return 0;
  const std::span<const NodeTimelines::Step> steps = lines_.steps(node);
  const auto size = static_cast<std::uint32_t>(steps.size());
  while (cursor.first + 1 < size && steps[cursor.first + 1].time <= from) ++cursor.first;
  if (!lines_.held(node)) return lines_.free(steps[cursor.first]).slots(demand_, limit_);
  const std::uint32_t tested = std::max(cursor.end, cursor.first);
  cursor.end = std::max(cursor.end, cursor.first + 1);
  while (cursor.end < size && steps[cursor.end].time <= last) ++cursor.end;
  for (std::uint32_t i = cursor.end; i-- > tested;) {
    if (fits(steps[i])) continue;
    // The step may turn out to be shorter when more ends become known.
    cursor.blocked_until = i + 1 < size ? steps[i + 1].time : kNever;
    if (lines_.loaded_until() < cursor.blocked_until) cursor.blocked_until = lines_.loaded_until() + Duration{1};
    return 0;
  }
  return slots_over(cursor, steps);
}

std::uint32_t SlidingRoom::slots_over(Cursor& cursor, std::span<const NodeTimelines::Step> steps) {
  if (cursor.end - cursor.first == 1) return lines_.free(steps[cursor.first]).slots(demand_, limit_);
  if (cursor.minima == 0) {
    if (minima_used_ == minima_.size()) minima_.emplace_back();
    cursor.minima = ++minima_used_;
    minima_[cursor.minima - 1].middle = 0;
  }
  Minima& minima = minima_[cursor.minima - 1];
  if (minima.middle <= cursor.first) {
    minima.middle = minima.end = cursor.end;
    minima.from_step.clear();
    for (std::uint32_t i = cursor.end; i-- > cursor.first;) {
      minima.from_step.push_back(lines_.free(steps[i]));
      if (i + 1 < cursor.end) minima.from_step.back().lower_to(minima.from_step[minima.from_step.size() - 2]);
    }
  }
  for (; minima.end < cursor.end; ++minima.end) {
    if (minima.end == minima.middle) {
      minima.since_middle = lines_.free(steps[minima.end]);
    } else {
      minima.since_middle.lower_to(lines_.free(steps[minima.end]));
    }
  }
  const NodeFree& least = minima.from_step[minima.middle - 1 - cursor.first];
  if (minima.end == minima.middle) return least.slots(demand_, limit_);
  NodeFree scratch = least;
  scratch.lower_to(minima.since_middle);
  return scratch.slots(demand_, limit_);
}

}  // namespace trainyard::sched
