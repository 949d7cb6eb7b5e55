#include "sched/internal/ageing.h"
#include "sched/internal/builtin.h"
#include "sched/internal/decayed_usage.h"
#include "sched/internal/keyed_order.h"

namespace trainyard::sched {
namespace {

class FairShareOrder final : public OrderPolicy {
 public:
  const PolicyInfo& info() const override {
    static const PolicyInfo kInfo{
        .name = "fair_share",
        .meaning = "Higher tiers first, then users by their rank in a fair tree over accounts and decayed usage, then priority with age.",
        .source = "Slurm's Fair Tree",
        .parameters = ageing_parameters(),
        .promise = {.overtakes_max = std::nullopt, .work_conserving = true},
    };
    return kInfo;
  }

  std::unique_ptr<OrderPass> begin(const OrderView& view) const override {
    const Ageing ageing = ageing_of(view.queue.queue(view.index));
    const std::vector<FairTreeRank> ranks = rank_users(view);
    return keyed_order(view, [&](const JobSnapshot& job) {
      const double rank = job.user < ranks.size() ? ranks[job.user].rank : 1;
      return OrderKey{rank, -aged_priority(job, ageing, view.now)};
    });
  }
};

}  // namespace

const OrderPolicy& fair_share_order() {
  static const FairShareOrder kPolicy;
  return kPolicy;
}

}  // namespace trainyard::sched
