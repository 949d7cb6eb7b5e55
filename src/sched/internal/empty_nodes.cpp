#include "sched/internal/empty_nodes.h"

#include <algorithm>

namespace trainyard::sched {
namespace {

/// The rack or switch that a node is in; a node without a rack is one of its own.
std::pair<std::string, std::string> domain_of(const NodeInfo& node, TopologyLevel level) {
  if (level == TopologyLevel::kCluster) return {};
  if (level == TopologyLevel::kNode || node.rack.empty()) return {"node", node.name.text};
  return {"rack " + node.rack, level == TopologyLevel::kSwitch ? node.switch_name : std::string()};
}

}  // namespace

bool fits_when_empty(const ClusterSnapshot& cluster, const JobSnapshot& job, const std::function<bool(const NodeState&)>& counts) {
  const Constraints none;
  const Constraints& constraints = job.constraints ? *job.constraints : none;
  const std::uint32_t most = constraints.tasks_per_node_max > 0 ? static_cast<std::uint32_t>(constraints.tasks_per_node_max) : 1'000'000;
  const TopologyLevel level = constraints.within_required ? constraints.within : TopologyLevel::kCluster;
  const std::int64_t needed = job.tasks_min > 0 ? job.tasks_min : job.tasks;
  std::map<std::pair<std::string, std::string>, std::int64_t> slots;
  for (const NodeState& node : cluster.nodes()) {
    if (!counts(node) || !allows(*node.info, constraints)) continue;
    std::int64_t& here = slots[domain_of(*node.info, level)];
    here += node.info->capacity_known ? empty_node(node.info->capacity).slots(job.demand, most) : most;
    if (here >= needed) return true;
  }
  return false;
}

}  // namespace trainyard::sched
