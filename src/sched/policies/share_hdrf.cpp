#include <algorithm>
#include <cmath>

#include "sched/internal/builtin.h"
#include "sched/internal/queue_shares.h"
#include "sched/internal/saturation.h"

namespace trainyard::sched {
namespace {

/// Shares are compared in steps of 2^-40, so that equal ones that were computed on different ways are equal. Rescaling multiplies rationals
/// along the whole tree, which no fixed number of bits holds exactly.
std::int64_t in_steps(double share) { return std::llround(share * 0x1p40); }

/// A queue or a group of queues.
struct Node {
  std::array<double, kAmountKinds> vector{};  ///< Use as fractions of the cluster; of a group rescaled.
  double share = 0;                           ///< Largest entry that counts, over the weight.
  std::int64_t steps = 0;                     ///< The same, for comparing.
  std::int64_t allocations = 0;
  double weight = 1;  ///< 0: served last, and never rescaled.
  bool blocked = true;
  bool stale = true;
};

class HdrfPass final : public SharePass {
 public:
  explicit HdrfPass(const ShareView& view)
      : queue_(view.queue), capacity_(view.cluster.capacity()), shares_(view), saturation_(view), nodes_(view.queue.queues().size()) {
    for (QueueIndex index = 0; index < nodes_.size(); ++index) {
      const QueueState& queue = queue_.queue(index);
      nodes_[index].allocations = queue.running_jobs;
      nodes_[index].weight = static_cast<double>(std::max<std::int64_t>(0, queue.settings.weight_milli)) / 1000;
    }
  }

  std::size_t pick(std::span<const QueueHead> heads) override {
    note_blocked(heads);
    if (saturation_.update(heads)) {
      for (Node& node : nodes_) node.stale = true;
    }
    QueueIndex index = 0;
    refresh(index);
    while (!queue_.queue(index).leaf()) index = best_child(index);
    const auto place =
        std::lower_bound(heads.begin(), heads.end(), index, [](const QueueHead& head, QueueIndex queue) { return head.queue < queue; });
    return static_cast<std::size_t>(place - heads.begin());
  }

  void started(const JobSnapshot& job, std::int64_t tasks) override {
    shares_.started(job, tasks);
    saturation_.started(job, tasks);
    for (QueueIndex index = job.queue; index != kNoIndex; index = queue_.queue(index).parent) {
      ++nodes_[index].allocations;
      nodes_[index].stale = true;
    }
  }
  double share(QueueIndex queue) const override { return shares_.fraction(queue); }

 private:
  /// A leaf without a head is blocked, a group when all below it are. Leaves never open again during a pass.
  void note_blocked(std::span<const QueueHead> heads) {
    if (heads.size() == heads_) return;
    heads_ = heads.size();
    for (Node& node : nodes_) node.blocked = node.stale = true;
    for (const QueueHead& head : heads) {
      for (QueueIndex index = head.queue; index != kNoIndex && nodes_[index].blocked; index = queue_.queue(index).parent) {
        nodes_[index].blocked = false;
      }
    }
  }

  void refresh(QueueIndex index) {
    Node& node = nodes_[index];
    if (!node.stale) return;
    node.stale = false;
    const QueueState& queue = queue_.queue(index);
    if (queue.leaf()) {
      const Amounts& usage = shares_.usage(index);
      for (std::size_t kind = 0; kind < kAmountKinds; ++kind) {
        node.vector[kind] = capacity_[kind] > 0 ? static_cast<double>(usage[kind]) / static_cast<double>(capacity_[kind]) : 0;
      }
    } else {
      add_children(node, queue);
    }
    double share = 0;
    for (std::size_t kind = 0; kind < kAmountKinds; ++kind) {
      if (queue.leaf() || !saturation_.saturated(kind)) share = std::max(share, node.vector[kind]);
    }
    node.share = node.weight > 0 ? share / node.weight : share;
    node.steps = in_steps(node.share);
  }

  /// The vector of a group: children that are still served are scaled down to the least share among them, the others count as they are.
  void add_children(Node& node, const QueueState& queue) {
    double least = -1;
    for (const QueueIndex child : queue.children) {
      refresh(child);
      if (scaled(nodes_[child])) least = least < 0 ? nodes_[child].share : std::min(least, nodes_[child].share);
    }
    node.vector.fill(0);
    for (const QueueIndex index : queue.children) {
      const Node& child = nodes_[index];
      double factor = 1;
      if (scaled(child)) factor = child.share > 0 ? least / child.share : 0;
      for (std::size_t kind = 0; kind < kAmountKinds; ++kind) node.vector[kind] += child.vector[kind] * factor;
    }
  }

  static bool scaled(const Node& child) { return !child.blocked && child.weight > 0; }

  QueueIndex best_child(QueueIndex parent) const {
    QueueIndex best = kNoIndex;
    for (const QueueIndex child : queue_.queue(parent).children) {
      if (!nodes_[child].blocked && (best == kNoIndex || before(child, best))) best = child;
    }
    CHECK(best != kNoIndex, "a group of queues is open without an open queue");
    return best;
  }

  bool before(QueueIndex a, QueueIndex b) const {
    const Node& left = nodes_[a];
    const Node& right = nodes_[b];
    if ((left.weight > 0) != (right.weight > 0)) return left.weight > 0;
    if (left.steps != right.steps) return left.steps < right.steps;
    if (left.allocations != right.allocations) return left.allocations < right.allocations;
    return queue_.queue(a).settings.name < queue_.queue(b).settings.name;
  }

  const QueueSnapshot& queue_;
  const Amounts& capacity_;
  QueueShares shares_;
  Saturation saturation_;
  std::vector<Node> nodes_;  ///< By queue.
  std::size_t heads_ = 0;    ///< How many there were at the last pick.
};

class HdrfShare final : public SharePolicy {
 public:
  const PolicyInfo& info() const override {
    static const PolicyInfo kInfo{
        .name = "hdrf",
        .meaning =
            "Hierarchical DRF: from the root to the child with the smallest weighted dominant share, where resources that have run "
            "out do not count and a group is measured by the child that has least.",
        .source = "Bhattacharya et al., Hierarchical Scheduling for Diverse Datacenter Workloads, SoCC 2013",
        .parameters = {},
        .promise = {.overtakes_max = std::nullopt, .work_conserving = true},
    };
    return kInfo;
  }
  std::unique_ptr<SharePass> begin(const ShareView& view) const override { return std::make_unique<HdrfPass>(view); }
};

}  // namespace

const SharePolicy& hdrf_share() {
  static const HdrfShare kPolicy;
  return kPolicy;
}

}  // namespace trainyard::sched
