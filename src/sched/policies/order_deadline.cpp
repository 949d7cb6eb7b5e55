#include <limits>

#include "sched/internal/builtin.h"
#include "sched/internal/keyed_order.h"
#include "sched/internal/run_length.h"

namespace trainyard::sched {
namespace {

OrderKey slack_and_deadline(const JobSnapshot& job, TimePoint now) {
  constexpr double kLast = std::numeric_limits<double>::infinity();
  if (job.deadline == kNever) return {kLast, kLast};
  const Duration length = expected_length(job);
  const Duration known = length == kForever ? Duration(0) : length;
  const auto left = static_cast<double>((job.deadline - now).count());
  return {left - static_cast<double>(known.count()), left};
}

class DeadlineOrder final : public OrderPolicy {
 public:
  const PolicyInfo& info() const override {
    static const PolicyInfo kInfo{
        .name = "deadline",
        .meaning =
            "Higher tiers first, then least slack (time to the deadline less the expected run time), then the earlier deadline; jobs "
            "without a deadline last.",
        .source = "least laxity first, Mok 1983",
        .parameters = {},
        .promise = {.overtakes_max = std::nullopt, .work_conserving = true},
    };
    return kInfo;
  }
  std::unique_ptr<OrderPass> begin(const OrderView& view) const override {
    return keyed_order(view, [&view](const JobSnapshot& job) { return slack_and_deadline(job, view.now); });
  }
};

}  // namespace

const OrderPolicy& deadline_order() {
  static const DeadlineOrder kPolicy;
  return kPolicy;
}

}  // namespace trainyard::sched
