#pragma once
#include <vector>

#include "sched/cluster.h"

namespace trainyard::sched {

using KindMask = std::uint32_t;  ///< Bit k: resource kind k.

/// The kinds of which one task takes more than half of the capacity: no two tasks that have such a kind in common fit on the node together.
inline KindMask mostly_taken(const Demand& demand, const Amounts& capacity) {
  KindMask mask = 0;
  for (std::size_t kind = 0; kind < kAmountKinds; ++kind) {
    if (demand.amounts[kind] > 0 && demand.amounts[kind] > capacity[kind] / 2) mask |= KindMask{1} << kind;
  }
  return mask;
}

/// Per node, the kinds of which everything that was put there takes more than half.
class WholeNodes {
 public:
  explicit WholeNodes(const ClusterSnapshot& cluster)
      : cluster_(cluster), kinds_(cluster.nodes().size(), (KindMask{1} << kAmountKinds) - 1) {}

  /// Puts tasks of this demand on the node. False: they need not have the node for themselves.
  bool put(NodeIndex node, const Demand& demand) {
    const KindMask left = kinds_[node] & mostly_taken(demand, cluster_.node(node).info->capacity);
    if (left != kinds_[node]) ++version_;
    kinds_[node] = left;
    return left != 0;
  }
  /// Whether a task of the shape never fits beside what was put anywhere, nor beside another one of its shape.
  bool apart(const ShapeFit& shape) const {
    bool apart = true;
    shape.allowed.each_while(
        [&](NodeIndex node) { return apart = (kinds_[node] & mostly_taken(shape.demand, cluster_.node(node).info->capacity)) != 0; });
    return apart;
  }
  /// Answers of `apart` stay as they are while this does; never 0.
  std::uint64_t version() const { return version_; }

 private:
  const ClusterSnapshot& cluster_;
  std::vector<KindMask> kinds_;
  std::uint64_t version_ = 1;
};

}  // namespace trainyard::sched
