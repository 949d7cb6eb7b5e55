#include "sched/internal/topology.h"

#include <string_view>
#include <unordered_map>

namespace trainyard::sched {
namespace {

struct SwitchKey {
  DomainIndex rack = 0;
  std::string_view name;
  bool operator==(const SwitchKey&) const = default;
};

struct SwitchKeyHash {
  std::size_t operator()(const SwitchKey& key) const { return std::hash<std::string_view>{}(key.name) * 31 + key.rack; }
};

}  // namespace

Topology::Topology(const ClusterSnapshot& cluster) {
  auto& [whole, racks, switches, nodes] = domains_;
  const std::size_t count = cluster.nodes().size();
  whole.assign(count, 0);
  racks.reserve(count);
  switches.reserve(count);
  nodes.reserve(count);
  DomainIndex rack_count = 0;
  std::unordered_map<std::string_view, DomainIndex> rack_of;
  std::unordered_map<SwitchKey, DomainIndex, SwitchKeyHash> switch_of;
  for (NodeIndex node = 0; node < count; ++node) {
    const NodeInfo& info = *cluster.node(node).info;
    DomainIndex rack = rack_count;
    if (!info.rack.empty()) rack = rack_of.try_emplace(info.rack, rack_count).first->second;
    if (rack == rack_count) ++rack_count;
    racks.push_back(rack);
    switches.push_back(switch_of.try_emplace({rack, info.switch_name}, static_cast<DomainIndex>(switch_of.size())).first->second);
    nodes.push_back(node);
  }
}

std::vector<std::int64_t> domain_room(std::span<const NodeIndex> nodes, const std::vector<std::uint32_t>& slots,
                                      const std::vector<DomainIndex>& domains) {
  std::vector<std::int64_t> room;
  for (const NodeIndex node : nodes) {
    if (room.size() <= domains[node]) room.resize(domains[node] + std::size_t{1}, 0);
    room[domains[node]] += slots[node];
  }
  return room;
}

}  // namespace trainyard::sched
