#include "sched/internal/builtin.h"
#include "sched/internal/keyed_order.h"
#include "sched/internal/run_length.h"

namespace trainyard::sched {
namespace {

class ShortestOrder final : public OrderPolicy {
 public:
  const PolicyInfo& info() const override {
    static const PolicyInfo kInfo{
        .name = "shortest",
        .meaning = "Higher tiers first, then the job that is expected to run shortest, by its estimate, else its limit.",
        .source = "shortest job first",
        .parameters = {},
        .promise = {.overtakes_max = std::nullopt, .work_conserving = true},
    };
    return kInfo;
  }
  std::unique_ptr<OrderPass> begin(const OrderView& view) const override {
    return keyed_order(view, [](const JobSnapshot& job) { return OrderKey{static_cast<double>(expected_length(job).count())}; });
  }
};

}  // namespace

const OrderPolicy& shortest_order() {
  static const ShortestOrder kPolicy;
  return kPolicy;
}

}  // namespace trainyard::sched
