#include <algorithm>

#include "sched/internal/builtin.h"
#include "sched/internal/decayed_usage.h"
#include "sched/internal/queue_shares.h"

namespace trainyard::sched {
namespace {

class FairShareSharePass final : public SharePass {
 public:
  explicit FairShareSharePass(const ShareView& view)
      : queue_(view.queue), shares_(view), levels_(queue_.queues().size()), open_(queue_.queues().size()) {
    const DecayedUsage history = decayed_usage(view.cluster, queue_, view.now);
    for (QueueIndex index = 0; index < levels_.size(); ++index) {
      const std::int64_t weight = queue_.queue(index).settings.weight_milli;
      levels_[index] = {.last = weight <= 0,
                        .usage = history.queues[index] / static_cast<double>(std::max<std::int64_t>(1, weight)),
                        .share = shares_.share(index)};
    }
  }

  std::size_t pick(std::span<const QueueHead> heads) override {
    note_open(heads);
    QueueIndex index = 0;
    while (!queue_.queue(index).leaf()) index = best_child(index);
    const auto place =
        std::lower_bound(heads.begin(), heads.end(), index, [](const QueueHead& head, QueueIndex queue) { return head.queue < queue; });
    return static_cast<std::size_t>(place - heads.begin());
  }

  void started(const JobSnapshot& job, std::int64_t tasks) override {
    shares_.started(job, tasks);
    for (QueueIndex index = job.queue; index != kNoIndex; index = queue_.queue(index).parent) levels_[index].share = shares_.share(index);
  }
  double share(QueueIndex queue) const override { return shares_.fraction(queue); }

 private:
  /// Among siblings, least use for the weight comes first: the order of the fair tree's levels S / F.
  struct Level {
    bool last = false;  ///< Weight 0.
    double usage = 0;   ///< Decayed, over the weight.
    Share share;        ///< Of now, over the weight: decides where history is equal.
  };

  /// Queues never open again during a pass.
  void note_open(std::span<const QueueHead> heads) {
    if (heads.size() == heads_) return;
    heads_ = heads.size();
    open_.assign(open_.size(), false);
    for (const QueueHead& head : heads) {
      for (QueueIndex index = head.queue; index != kNoIndex && !open_[index]; index = queue_.queue(index).parent) open_[index] = true;
    }
  }

  QueueIndex best_child(QueueIndex parent) const {
    QueueIndex best = kNoIndex;
    for (const QueueIndex child : queue_.queue(parent).children) {
      if (open_[child] && (best == kNoIndex || before(child, best))) best = child;
    }
    CHECK(best != kNoIndex, "a group of queues is open without an open queue");
    return best;
  }

  bool before(QueueIndex a, QueueIndex b) const {
    const Level& left = levels_[a];
    const Level& right = levels_[b];
    if (left.last != right.last) return right.last;
    if (left.usage != right.usage) return left.usage < right.usage;
    if (left.share != right.share) return left.share < right.share;
    return queue_.queue(a).settings.name < queue_.queue(b).settings.name;
  }

  const QueueSnapshot& queue_;
  QueueShares shares_;
  std::vector<Level> levels_;  ///< By queue.
  std::vector<bool> open_;     ///< By queue: it or one below it has a head.
  std::size_t heads_ = 0;
};

class FairShareShare final : public SharePolicy {
 public:
  const PolicyInfo& info() const override {
    static const PolicyInfo kInfo{
        .name = "fair_share",
        .meaning =
            "From the root to the child with the least decayed use for its weight; where history is equal, or the half-life is 0, to "
            "the one with the smallest share now.",
        .source = "Slurm's Fair Tree, with usage that decays",
        .parameters = {},
        .promise = {.overtakes_max = std::nullopt, .work_conserving = true},
    };
    return kInfo;
  }
  std::unique_ptr<SharePass> begin(const ShareView& view) const override { return std::make_unique<FairShareSharePass>(view); }
};

}  // namespace

const SharePolicy& fair_share_share() {
  static const FairShareShare kPolicy;
  return kPolicy;
}

}  // namespace trainyard::sched
