#pragma once
#include <vector>

#include "sched/internal/topology.h"
#include "sched/placement.h"

namespace trainyard::sched {

/// Room for one job over one window as it would be if some running jobs gave back theirs. Counts as it goes: giving and taking cost the
/// nodes that they touch. Reservations and claims of others stay in the way: beyond a running job's end its room may be promised already.
class FreedRoom final : public Availability {
 public:
  /// `base` must stay as it is. `room_is_promised`: something is held that begins later; without it windows need not be cut.
  FreedRoom(const ClusterSnapshot& cluster, Availability& base, const PlacementAsk& ask, bool room_is_promised);

  /// True when the job may use the node.
  bool counts(NodeIndex node) const { return fit_.allowed.contains(node) && cluster_.node(node).usable(); }
  /// Announces a running job that holds room on the node `until` then. To be called for all of them before anything else.
  void expect(NodeIndex node, TimePoint until);
  /// Room that a running job holds until then is free, or is not after all. Ignored on nodes that do not count.
  void give(const Demand& demand, const TaskPlace& place, TimePoint until);
  void take(const Demand& demand, const TaskPlace& place, TimePoint until);

  std::uint32_t slots(NodeIndex node) const { return slots_[node]; }
  /// Parts of the cluster of which one must hold the whole job; one part when it may be spread.
  DomainIndex domain_of(NodeIndex node) const { return domains_.empty() ? 0 : domains_[node]; }
  std::size_t domain_count() const { return totals_.size(); }
  /// Slots of a domain.
  std::int64_t total(DomainIndex domain) const { return totals_[domain]; }

  // For place(): only the window and the shape of the job are known here.
  Room room(ShapeId shape, TimePoint from, TimePoint to) override;
  NodeFree free_over(NodeIndex node, TimePoint from, TimePoint to) const override;
  std::optional<TimePoint> first_time(ShapeId shape, std::int64_t tasks, Duration walltime, TimePoint after) override;
  void hold(const Demand& demand, const Placement& nodes, TimePoint from, TimePoint to) override;
  void drop(const Demand& demand, const Placement& nodes, TimePoint from, TimePoint to) override;

 private:
  struct Segment {
    TimePoint from;
    NodeFree free;
  };
  /// A node on which something is given: its window cut at the ends of the jobs that could give.
  struct Line {
    std::vector<TimePoint> ends;
    std::vector<Segment> segments;  ///< Empty until it is touched.
  };
  std::vector<Segment>& segments(NodeIndex node);
  static NodeFree least(const std::vector<Segment>& segments);
  void recount(NodeIndex node);

  const ClusterSnapshot& cluster_;
  Availability& base_;
  const PlacementAsk ask_;
  const ShapeFit& fit_;
  const bool room_is_promised_;
  std::vector<DomainIndex> domains_;
  NodeSet nodes_;
  std::vector<std::uint32_t> slots_;
  std::vector<std::int64_t> totals_;
  std::int64_t total_ = 0;
  std::vector<std::uint32_t> line_of_;  ///< By node; 0: none.
  std::vector<Line> lines_;
};

}  // namespace trainyard::sched
