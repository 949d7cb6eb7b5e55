#include <algorithm>

#include "sched/drf_sorter.h"
#include "sched/internal/builtin.h"
#include "sched/internal/queue_shares.h"

namespace trainyard::sched {
namespace {

class DrfSharePass final : public SharePass {
 public:
  explicit DrfSharePass(const ShareView& view)
      : shares_(view), sorter_(view.cluster.capacity()), clients_(view.queue.queues().size(), kNoIndex) {
    for (QueueIndex index = 0; index < clients_.size(); ++index) {
      const QueueState& queue = view.queue.queue(index);
      if (!queue.leaf() || queue.pending.empty()) continue;
      clients_[index] = sorter_.add({.name = queue.settings.name,
                                     .weight_milli = queue.settings.weight_milli,
                                     .used = queue.usage,
                                     .allocations = queue.running_jobs});
      queues_.push_back(index);
    }
  }

  std::size_t pick(std::span<const QueueHead> heads) override {
    while (const std::optional<DrfSorter::Client> first = sorter_.first()) {
      const QueueIndex queue = queues_[*first];
      const auto place =
          std::lower_bound(heads.begin(), heads.end(), queue, [](const QueueHead& head, QueueIndex index) { return head.queue < index; });
      if (place != heads.end() && place->queue == queue) return static_cast<std::size_t>(place - heads.begin());
      sorter_.deactivate(*first);
    }
    return 0;
  }

  void started(const JobSnapshot& job, std::int64_t tasks) override {
    shares_.started(job, tasks);
    if (clients_[job.queue] != kNoIndex) sorter_.allocate(clients_[job.queue], job.demand.amounts * tasks);
  }
  double share(QueueIndex queue) const override { return shares_.fraction(queue); }

 private:
  QueueShares shares_;
  DrfSorter sorter_;                        ///< A queue that was missing once is closed for the pass, and inactive here.
  std::vector<DrfSorter::Client> clients_;  ///< By queue.
  std::vector<QueueIndex> queues_;          ///< By client.
};

class DrfShare final : public SharePolicy {
 public:
  const PolicyInfo& info() const override {
    static const PolicyInfo kInfo{
        .name = "drf",
        .meaning = "The queue with the smallest weighted dominant share of what is in use now; the tree of queues does not count.",
        .source = "Ghodsi et al., Dominant Resource Fairness, NSDI 2011",
        .parameters = {},
        .promise = {.overtakes_max = std::nullopt, .work_conserving = true},
    };
    return kInfo;
  }
  std::unique_ptr<SharePass> begin(const ShareView& view) const override { return std::make_unique<DrfSharePass>(view); }
};

}  // namespace

const SharePolicy& drf_share() {
  static const DrfShare kPolicy;
  return kPolicy;
}

}  // namespace trainyard::sched
