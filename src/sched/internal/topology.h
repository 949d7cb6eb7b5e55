#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "sched/cluster.h"

namespace trainyard::sched {

/// Number of a rack, a switch or a node within its level; those of lower nodes come first.
using DomainIndex = std::uint32_t;

/// Which nodes belong together at each level. A node without a rack is one of its own; within a rack, nodes without a switch share one.
class Topology {
 public:
  explicit Topology(const ClusterSnapshot& cluster);
  /// The domain of every node at `level`.
  const std::vector<DomainIndex>& domains(TopologyLevel level) const { return domains_[static_cast<std::size_t>(level)]; }

 private:
  std::array<std::vector<DomainIndex>, 4> domains_;
};

/// One level out or in. There is none outside kCluster and none inside kNode.
constexpr TopologyLevel wider(TopologyLevel level) { return static_cast<TopologyLevel>(static_cast<std::uint8_t>(level) - 1); }
constexpr TopologyLevel narrower(TopologyLevel level) { return static_cast<TopologyLevel>(static_cast<std::uint8_t>(level) + 1); }

/// The sum of `slots` of `nodes` by domain.
std::vector<std::int64_t> domain_room(std::span<const NodeIndex> nodes, const std::vector<std::uint32_t>& slots,
                                      const std::vector<DomainIndex>& domains);

}  // namespace trainyard::sched
