#include "sched/internal/least_node.h"

#include <algorithm>

#include "sched/internal/fix_search.h"

namespace trainyard::sched {
namespace {

constexpr std::size_t kKindsTried = 12;

/// Labels that some waiting job looks at.
std::set<std::string> labels_that_count(const ClusterSnapshot& cluster) {
  std::set<std::string> keys;
  for (const ShapeId id : cluster.live_shapes()) {
    const ShapeFit& shape = cluster.shape(id);
    if (shape.constraints == nullptr) continue;
    for (const LabelRule& rule : shape.constraints->required) keys.insert(rule.key);
    for (const PreferredRule& preferred : shape.constraints->preferred) keys.insert(preferred.rule.key);
  }
  return keys;
}

struct Kind {
  NodeInfo info;  ///< Without a name.
  std::string like;
  std::uint32_t slots = 0;  ///< Tasks of the job that an empty one takes.
};

std::vector<Kind> kinds_of(const ClusterSnapshot& cluster, const JobSnapshot& job) {
  const std::set<std::string> keys = labels_that_count(cluster);
  const ShapeFit& shape = cluster.shape(job.shape);
  std::vector<Kind> kinds;
  std::vector<NodeInfo> seen;
  for (NodeIndex index = 0; index < cluster.nodes().size(); ++index) {
    const NodeState& node = cluster.node(index);
    if (node.gone || !node.info->capacity_known) continue;
    Kind kind{.info = *node.info, .like = node.info->name.text};
    kind.info.name.text.clear();
    NodeInfo looks = kind.info;
    std::erase_if(looks.labels, [&keys](const auto& label) { return !keys.contains(label.first); });
    if (std::find(seen.begin(), seen.end(), looks) != seen.end()) continue;
    seen.push_back(std::move(looks));
    if (shape.allowed.contains(index)) kind.slots = empty_node(kind.info.capacity).slots(job.demand);
    kinds.push_back(std::move(kind));
  }
  std::stable_sort(kinds.begin(), kinds.end(), [](const Kind& a, const Kind& b) { return a.slots > b.slots; });
  return kinds;
}

}  // namespace

/// A node that the job may not use can help too: others may go there.
std::optional<NodeLike> node_that_helps(const SchedulerState& state, const JobSnapshot& job, TimePoint now) {
  std::vector<Kind> kinds = kinds_of(state.cluster, job);
  if (kinds.size() > kKindsTried) kinds.resize(kKindsTried);
  QueueSnapshot queue = state.queue;
  ++queue.epoch;
  queue.ended_since_plan = true;  // As SchedulerState::touch, without a copy of the whole state for each try.
  for (Kind& kind : kinds) {
    std::string name = kind.like + "-more";
    while (state.cluster.find_node({name})) name += "-more";
    kind.info.name.text = name;
    AddNodes change{.node = std::move(kind.info), .count = 1};
    ClusterSnapshot cluster = state.cluster;
    if (cluster.add_node(change.node).ok() && starts_in_plan(cluster, queue, job.id, now)) return NodeLike{kind.like, std::move(change)};
  }
  return std::nullopt;
}

}  // namespace trainyard::sched
