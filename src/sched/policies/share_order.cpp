#include <algorithm>

#include "sched/internal/builtin.h"
#include "sched/internal/queue_shares.h"

namespace trainyard::sched {
namespace {

/// Place of a queue's next job in the one line that all queues form.
struct LineKey {
  double score = 0;
  TimePoint queued_at;
  std::uint64_t seq = 0;
  std::int32_t tier = 0;
  QueueIndex queue = 0;
  const JobSnapshot* job = nullptr;
};

/// For a heap whose top is the job that comes first.
bool comes_later(const LineKey& a, const LineKey& b) {
  if (a.tier != b.tier) return a.tier < b.tier;
  if (a.score != b.score) return a.score < b.score;
  if (a.queued_at != b.queued_at) return a.queued_at > b.queued_at;
  return a.seq > b.seq;
}

/// Between two picks the queue that was picked gets another head, and queues close; so the heap is put right at its top.
class OrderSharePass final : public SharePass {
 public:
  explicit OrderSharePass(const ShareView& view) : now_(view.now), shares_(view) {
    for (const QueueState& queue : view.queue.queues()) ageing_.push_back(ageing_of(queue));
  }

  std::size_t pick(std::span<const QueueHead> heads) override {
    if (line_.empty()) {
      for (const QueueHead& head : heads) line_.push_back(key_of(head));
      std::make_heap(line_.begin(), line_.end(), comes_later);
    }
    while (!line_.empty()) {
      const LineKey& top = line_.front();
      const auto place = std::lower_bound(heads.begin(), heads.end(), top.queue,
                                          [](const QueueHead& head, QueueIndex queue) { return head.queue < queue; });
      const bool open = place != heads.end() && place->queue == top.queue;
      if (open && place->job == top.job) return static_cast<std::size_t>(place - heads.begin());
      std::pop_heap(line_.begin(), line_.end(), comes_later);
      line_.pop_back();
      if (!open) continue;
      line_.push_back(key_of(*place));
      std::push_heap(line_.begin(), line_.end(), comes_later);
    }
    return 0;
  }
  void started(const JobSnapshot& job, std::int64_t tasks) override { shares_.started(job, tasks); }
  double share(QueueIndex queue) const override { return shares_.fraction(queue); }

 private:
  LineKey key_of(const QueueHead& head) const {
    const JobSnapshot& job = *head.job;
    return {.score = aged_priority(job, ageing_[head.queue], now_),
            .queued_at = job.queued_at,
            .seq = job.seq,
            .tier = job.tier,
            .queue = head.queue,
            .job = head.job};
  }

  TimePoint now_;
  QueueShares shares_;
  std::vector<Ageing> ageing_;  ///< By queue.
  std::vector<LineKey> line_;   ///< Binary heap, one entry for each open queue.
};

class OrderShare final : public SharePolicy {
 public:
  const PolicyInfo& info() const override {
    static const PolicyInfo kInfo{
        .name = "order",
        .meaning =
            "All queues form one line: higher tiers first, then priority (with the ageing of queues that order by it), then arrival.",
        .source = "docs/guide/scheduling.md",
        .parameters = {},
        .promise = {.overtakes_max = std::nullopt, .work_conserving = true},
    };
    return kInfo;
  }
  std::unique_ptr<SharePass> begin(const ShareView& view) const override { return std::make_unique<OrderSharePass>(view); }
};

}  // namespace

const SharePolicy& order_share() {
  static const OrderShare kPolicy;
  return kPolicy;
}

}  // namespace trainyard::sched
