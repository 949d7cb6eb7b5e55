#include "sched/internal/ageing.h"
#include "sched/internal/builtin.h"
#include "sched/internal/decayed_usage.h"
#include "sched/internal/keyed_order.h"

namespace trainyard::sched {
namespace {

std::vector<ParameterInfo> priority_parameters() {
  std::vector<ParameterInfo> parameters = ageing_parameters();
  parameters.push_back({.name = "fair_share_weight",
                        .fallback = 0,
                        .least = 0,
                        .most = 1e9,
                        .meaning = "Priority of a user who is first in the fair tree; the last of n has an n-th of it."});
  return parameters;
}

class PriorityOrder final : public OrderPolicy {
 public:
  const PolicyInfo& info() const override {
    static const PolicyInfo kInfo{
        .name = "priority",
        .meaning = "Higher tiers first, then the larger sum of priority, age and, when weighted, the user's fair-share factor.",
        .source = "Slurm's multifactor priority",
        .parameters = priority_parameters(),
        .promise = {.overtakes_max = std::nullopt, .work_conserving = true},
    };
    return kInfo;
  }

  std::unique_ptr<OrderPass> begin(const OrderView& view) const override {
    const QueueState& queue = view.queue.queue(view.index);
    const Ageing ageing = ageing_of(queue);
    const double fair_share_weight = parameter(info(), queue.settings.parameters, "fair_share_weight");
    // Of jobs with one priority the older ones come first, which is how they wait.
    if (fair_share_weight <= 0 && queue.priority_least == queue.priority_most) return make_pending_order(view);
    if (fair_share_weight <= 0) {
      return keyed_order(view, [&](const JobSnapshot& job) { return OrderKey{-aged_priority(job, ageing, view.now)}; });
    }
    const std::vector<FairTreeRank> ranks = rank_users(view);
    return keyed_order(view, [&](const JobSnapshot& job) {
      const double factor = job.user < ranks.size() ? ranks[job.user].factor : 1;
      return OrderKey{-(aged_priority(job, ageing, view.now) + fair_share_weight * factor)};
    });
  }
};

}  // namespace

const OrderPolicy& priority_order() {
  static const PriorityOrder kPolicy;
  return kPolicy;
}

}  // namespace trainyard::sched
