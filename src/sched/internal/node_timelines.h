#pragma once
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
    std::uint32_t step = 0;
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

  /// The least that is free at `from` and at every start of a hold on the node in (from, last]: since everything else adds room, the least
  /// over [from, last]. Ends up to `last` must be known. `step` (optional) is a step of the node at or before `from` to begin at. The
  /// answer lies in the timeline or in `scratch`.
  const NodeFree& least(NodeIndex node, TimePoint from, TimePoint last, NodeFree& scratch, std::uint32_t step = 0) const;

  /// True when something was ever held on the node or its end loaded: else it has what it has now.
  bool touched(NodeIndex node) const { return node < lines_.size() && lines_[node].head != 0; }

 private:
  struct Step {
    TimePoint time;
    NodeFree free;
    std::uint32_t next = 0;    ///< 0: none.
    std::uint32_t users = 0;   ///< Holds and releases that begin or end here; a step without any is removed.
    std::uint32_t starts = 0;  ///< Holds that begin here.
  };
  struct Line {
    std::uint32_t head = 0;  ///< The step at now; 0: the node was never touched.
    std::uint32_t tail = 0;
    std::uint32_t holds = 0;
  };

  Line& line(NodeIndex node);
  std::uint32_t copy_step(std::uint32_t step);
  std::uint32_t step_at(Line& line, TimePoint time);
  void leave(Line& line, std::uint32_t step);
  void load(const RunningJob& job, TimePoint end);

  const ClusterSnapshot& cluster_;
  TimePoint now_;
  std::vector<Line> lines_;  ///< By node; empty until something is touched.
  std::vector<Step> steps_;  ///< [0] stands for none.
  std::vector<std::uint32_t> unused_steps_;
  std::vector<Release> releases_;
  std::size_t jobs_loaded_ = 0;
  TimePoint loaded_until_ = TimePoint::min();  ///< All ends up to here are known.
};

}  // namespace trainyard::sched
