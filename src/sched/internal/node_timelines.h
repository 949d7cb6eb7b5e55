#pragma once
#include <span>
#include <vector>

#include "sched/cluster.h"

namespace trainyard::sched {

/// What is free on each node as a step function of time: running jobs give back at their limits, holds take and give back. Nodes get steps
/// only when something is held there or a running job's end was loaded; until then they have what they have now. Not thread-safe.
class NodeTimelines {
 public:
  /// A running job that gives back its room on one node.
  struct Release {
    TimePoint end;
    NodeIndex node = 0;
  };
  /// From `time` until the next step nothing changes.
  struct Step {
    TimePoint time;
    std::uint32_t level = 0;   ///< Where the room is: see free().
    std::uint32_t starts = 0;  ///< Holds that begin here.
  };

  NodeTimelines(const ClusterSnapshot& cluster, TimePoint now) : cluster_(cluster), now_(now) {}

  /// Takes or gives back room during [from, to), now <= from < to. Giving back needs an equal taking before it (CHECK).
  void take(const Demand& demand, const TaskPlace& place, TimePoint from, TimePoint to);
  void give(const Demand& demand, const TaskPlace& place, TimePoint from, TimePoint to);

  /// Makes the ends of running jobs up to and including `time` known.
  void load_until(TimePoint time);
  /// Makes more ends known; false when there are none.
  bool load_more();
  /// The known ends, ascending.
  const std::vector<Release>& releases() const { return releases_; }
  /// All ends up to here are known; loading more changes no step up to here.
  TimePoint loaded_until() const { return loaded_until_; }

  /// The least that is free at `from` and at every start of a hold on the node in (from, last]: since everything else adds room, the least
  /// over [from, last]. Ends up to `last` must be known. The answer lies in the timeline or in `scratch`.
  const NodeFree& least(NodeIndex node, TimePoint from, TimePoint last, NodeFree& scratch) const;
  /// How many tasks of the demand fit in that, at most `limit`. Stops at the first start that leaves no room.
  std::uint32_t slots(NodeIndex node, TimePoint from, TimePoint last, const Demand& demand, std::uint32_t limit) const;

  /// True when something was ever held on the node or its end loaded: else it has what it has now.
  bool touched(NodeIndex node) const { return node < lines_.size() && lines_[node].size != 0; }
  /// True when something is held on the node: else its room only grows.
  bool held(NodeIndex node) const { return node < lines_.size() && lines_[node].holds != 0; }
  /// The steps of a node, ascending, the first one at now; none when the node was never touched. Good until something is taken, given or
  /// loaded; loading moves no step up to loaded_until().
  std::span<const Step> steps(NodeIndex node) const;
  const NodeFree& free(const Step& step) const { return levels_[step.level].free; }

 private:
  struct Level {
    NodeFree free;
    std::uint32_t users = 0;  ///< Holds and releases that begin or end at the step; a step without any is removed.
  };
  /// One node's block of steps_.
  struct Line {
    std::uint32_t first = 0;
    std::uint32_t size = 0;  ///< 0: the node was never touched.
    std::uint32_t capacity = 0;
    std::uint32_t holds = 0;
  };

  Line& line(NodeIndex node);
  Step& step(const Line& line, std::size_t position) { return steps_[line.first + position]; }
  const Step& step(const Line& line, std::size_t position) const { return steps_[line.first + position]; }
  std::size_t position(const Line& line, TimePoint time) const;
  void grow(Line& line);
  std::uint32_t copy_level(std::uint32_t level);
  std::size_t step_at(Line& line, TimePoint time);
  void leave(Line& line, std::size_t position);
  void load(const RunningJob& job, TimePoint end);

  const ClusterSnapshot& cluster_;
  TimePoint now_;
  std::vector<Line> lines_;  ///< By node; empty until something is touched.
  std::vector<Step> steps_;
  std::vector<std::vector<std::uint32_t>> unused_blocks_;  ///< Of steps_, by the binary logarithm of their size.
  std::vector<Level> levels_;
  std::vector<std::uint32_t> unused_levels_;
  std::vector<Release> releases_;
  std::size_t jobs_loaded_ = 0;
  TimePoint loaded_until_ = TimePoint::min();
};

}  // namespace trainyard::sched
