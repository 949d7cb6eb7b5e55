#pragma once
#include <deque>
#include <vector>

#include "sched/availability.h"

namespace trainyard::sched::testing {

/// The definition of Availability as plainly as it can be written: one list of intervals, everything counted anew for each question.
class NaiveAvailability final : public Availability {
 public:
  NaiveAvailability(const ClusterSnapshot& cluster, TimePoint now);

  Room room(ShapeId shape, TimePoint from, TimePoint to) override;
  NodeFree free_over(NodeIndex node, TimePoint from, TimePoint to) const override;
  std::optional<TimePoint> first_time(ShapeId shape, std::int64_t tasks, Duration walltime, TimePoint after) override;
  void hold(const Demand& demand, const Placement& nodes, TimePoint from, TimePoint to) override;
  void drop(const Demand& demand, const Placement& nodes, TimePoint from, TimePoint to) override;

 private:
  struct Interval {
    Demand demand;
    Placement nodes;
    TimePoint from;
    TimePoint to;
    bool operator==(const Interval&) const = default;
  };
  struct Count {
    NodeSet nodes;
    std::vector<std::uint32_t> slots;
    std::int64_t total = 0;
  };

  NodeFree free_at(NodeIndex node, TimePoint time) const;
  Count count(ShapeId shape, TimePoint from, TimePoint to) const;

  const ClusterSnapshot& cluster_;
  TimePoint now_;
  std::vector<Interval> intervals_;  ///< Running jobs, then holds.
  std::deque<Count> rooms_;          ///< What views look at.
};

}  // namespace trainyard::sched::testing
