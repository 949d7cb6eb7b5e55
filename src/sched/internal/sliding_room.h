#pragma once
#include <vector>

#include "sched/internal/node_timelines.h"

namespace trainyard::sched {

/// Counts the tasks of one demand that fit on a node over the whole of a window, for windows whose two ends only move forward. However
/// often it is asked, the work for a node grows with the number of steps that its windows pass, not with their product: each step is tested
/// once, and the least over many steps is kept as a queue of two stacks (one holds minima from each step to its end, the other one
/// minimum). A node without room is passed over until the step that takes the last of it has ended. Not thread-safe.
class SlidingRoom {
 public:
  explicit SlidingRoom(const NodeTimelines& lines) : lines_(lines) {}

  /// Forgets all windows and begins to count tasks of another demand, at most `limit` a node.
  void begin(std::size_t nodes, const Demand& demand, std::uint32_t limit);
  /// True when it is known from an earlier answer that the node has no room in any window that begins at `from`.
  bool blocked(NodeIndex node, TimePoint from) const { return from < cursors_[node].blocked_until; }
  /// Tasks that fit on a node where something was held or loaded during all of [from, last]. Neither may lie before that of an earlier
  /// question about the node, and ends of running jobs up to `last` must be known. Meanwhile more may become known, but nothing held.
  std::uint32_t slots(NodeIndex node, TimePoint from, TimePoint last);

 private:
  /// Where a node's window is; positions are those of its steps.
  struct Cursor {
    TimePoint blocked_until = TimePoint::min();
    std::uint32_t first = 0;   ///< The step at the window's beginning.
    std::uint32_t end = 0;     ///< One past its last step; 0: nobody asked yet.
    std::uint32_t minima = 0;  ///< Position in minima_ plus one; 0: none.
  };
  /// The least over [first, end) of a cursor that has been there.
  struct Minima {
    std::uint32_t middle = 0;
    std::uint32_t end = 0;
    std::vector<NodeFree> from_step;  ///< Of [i, middle) for each i before middle, backwards.
    NodeFree since_middle;            ///< Of [middle, end), when that is not empty.
  };

  bool fits(const NodeTimelines::Step& step) const { return lines_.free(step).slots(demand_, 1) > 0; }
  std::uint32_t slots_over(Cursor& cursor, std::span<const NodeTimelines::Step> steps);

  const NodeTimelines& lines_;
  Demand demand_;
  std::uint32_t limit_ = 0;
  std::vector<Cursor> cursors_;  ///< By node.
  std::vector<Minima> minima_;   ///< Of nodes that had room in a window of several steps.
  std::uint32_t minima_used_ = 0;
};

}  // namespace trainyard::sched
