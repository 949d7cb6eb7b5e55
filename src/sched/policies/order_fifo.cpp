#include "sched/internal/builtin.h"
#include "sched/internal/keyed_order.h"

namespace trainyard::sched {
namespace {

class FifoOrder final : public OrderPolicy {
 public:
  const PolicyInfo& info() const override {
    static const PolicyInfo kInfo{
        .name = "fifo",
        .meaning = "Higher tiers first, then in the order of arrival; priorities do not count.",
        .source = "docs/guide/scheduling.md",
        .parameters = {},
        .promise = {.overtakes_max = 0, .work_conserving = true},
    };
    return kInfo;
  }
  std::unique_ptr<OrderPass> begin(const OrderView& view) const override { return make_pending_order(view); }
};

}  // namespace

const OrderPolicy& fifo_order() {
  static const FifoOrder kPolicy;
  return kPolicy;
}

}  // namespace trainyard::sched
