#include "sched/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace trainyard::sched {
namespace {

struct FreeNode {
  NodeName name;
  Resources free;
};

std::vector<FreeNode> free_nodes(const ClusterSnapshot& cluster) {
  std::vector<FreeNode> nodes;
  for (const NodeSnapshot& node : cluster.nodes) {
    if (node.ready) nodes.push_back({node.name, node.capacity - node.used});
  }
  return nodes;
}

/// Places every task on `nodes`, which is changed only when all of them fit.
std::vector<NodeName> place_gang(std::vector<FreeNode>& nodes, const Resources& request, std::int64_t tasks) {
  std::vector<FreeNode> scratch = nodes;
  std::vector<NodeName> placement;
  for (std::int64_t task = 0; task < tasks; ++task) {
    FreeNode* best = nullptr;
    for (FreeNode& node : scratch) {
      if (!request.fits_in(node.free)) continue;
      if (best == nullptr || std::tie(node.free.milli_cpu, node.name) < std::tie(best->free.milli_cpu, best->name)) best = &node;
    }
    if (best == nullptr) return {};
    best->free -= request;
    placement.push_back(best->name);
  }
  nodes = std::move(scratch);
  return placement;
}

std::string shortage(const std::vector<FreeNode>& nodes, const PendingJob& job) {
  Resources free;
  for (const FreeNode& node : nodes) free += node.free;
  return fmt::format("needs {} x ({}), free on {} nodes: {}", job.tasks, job.request.text(), nodes.size(), free.text());
}

/// Submission refuses what no node can hold; a job that came before any node did can only be told.
WaitReason wait_of(const PendingJob& job, const std::vector<FreeNode>& nodes, bool possible) {
  if (possible) return {job.id, "WaitingForResources", shortage(nodes, job)};
  return {job.id, "ImpossibleResources",
          fmt::format("no set of the nodes that are known can ever hold it: cancel it and ask for less per task or fewer tasks, or add a "
                      "node; {}",
                      shortage(nodes, job))};
}

}  // namespace

Decisions plan(const ClusterSnapshot& cluster, const QueueSnapshot& queue, TimePoint now) {
  std::vector<PendingJob> pending = queue.pending;
  std::sort(pending.begin(), pending.end(),
            [](const PendingJob& a, const PendingJob& b) { return std::tie(a.queued_at, a.id) < std::tie(b.queued_at, b.id); });

  std::vector<FreeNode> nodes = free_nodes(cluster);
  Decisions decisions;
  std::optional<JobId> blocker;
  for (const PendingJob& job : pending) {
    if (job.eligible_at > now) {
      decisions.wake_at = decisions.wake_at ? std::min(*decisions.wake_at, job.eligible_at) : job.eligible_at;
      decisions.waits.push_back({job.id, "Backoff", fmt::format("restarts at {}", to_rfc3339(job.eligible_at))});
      continue;
    }
    if (nodes.empty()) {
      decisions.waits.push_back({job.id, "NoNodes", "no node is ready: start an agent with `trainyard agent`"});
      continue;
    }
    if (blocker) {
      decisions.waits.push_back({job.id, "BehindInQueue", fmt::format("job {} waits before it in the queue", blocker->text())});
      continue;
    }
    if (std::vector<NodeName> placement = place_gang(nodes, job.request, job.tasks); !placement.empty()) {
      decisions.starts.push_back({job.id, std::move(placement)});
    } else {
      blocker = job.id;
      decisions.waits.push_back(wait_of(job, nodes, could_ever_fit(cluster, job.request, job.tasks)));
    }
  }
  return decisions;
}

bool could_ever_fit(const ClusterSnapshot& cluster, const Resources& request, std::int64_t tasks) {
  if (cluster.nodes.empty()) return true;
  std::vector<FreeNode> nodes;
  for (const NodeSnapshot& node : cluster.nodes) nodes.push_back({node.name, node.capacity});
  return !place_gang(nodes, request, tasks).empty();
}

}  // namespace trainyard::sched
