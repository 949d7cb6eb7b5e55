#pragma once
#include <span>
#include <vector>

#include "sched/placement.h"

namespace trainyard::sched {

/// The tasks of one job on their way to nodes: picks nodes by preference, score and index, and devices on them.
class Gang {
 public:
  /// The arguments must outlive the gang; `room` is that of the job's shape over the window of `ask`. `scorer` may be null.
  Gang(const ClusterSnapshot& cluster, const Availability& availability, const PlacementAsk& ask, const Room& room,
       PlacementScorer* scorer);

  const Room& room() const { return room_; }
  std::int64_t tasks() const { return ask_.tasks; }
  /// True when nodes are equal but for their index.
  bool lowest_first() const { return scorer_ == nullptr && preferences_.empty(); }

  /// The best of `nodes`, which are not empty and have slots.
  NodeIndex best(std::span<const NodeIndex> nodes);
  /// Puts `tasks` tasks on `nodes`, which have slots for them, the best node first, asking again after each task.
  void fill(std::span<const NodeIndex> nodes, std::int64_t tasks);
  /// Puts all tasks on the lowest nodes that have slots.
  void fill_lowest();
  /// Puts `tasks` tasks on a node that has none of them yet and slots for all.
  void put(NodeIndex node, std::uint32_t tasks);
  /// What was put where: ascending by node, one entry for all tasks of a node or, of shares, for all on one device.
  Placement take();

 private:
  struct Preference {
    Constraints test;
    std::int64_t weight = 1;
  };
  struct Choice {
    std::int64_t preference = 0;
    std::int64_t score = 0;
    NodeIndex node = 0;
    std::uint32_t slots = 0;
    std::size_t used = 0;  ///< Position in `used` + 1; 0: no task yet.
  };
  static bool worse(const Choice& a, const Choice& b);
  Choice judge(NodeIndex node, const NodeFree& free);
  NodeFree free_of(NodeIndex node) const { return availability_.free_over(node, ask_.from, ask_.to); }
  std::int64_t preference(NodeIndex node) const;
  void put(NodeIndex node, NodeFree& free, std::uint32_t tasks);

  const ClusterSnapshot& cluster_;
  const Availability& availability_;
  const PlacementAsk& ask_;
  const Demand& demand_;
  const Room& room_;
  PlacementScorer* scorer_;
  std::vector<Preference> preferences_;
  Placement placement_;
  bool tidy_ = false;  ///< Known to be in the form that take() promises.
};

}  // namespace trainyard::sched
