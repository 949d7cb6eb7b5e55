#include "sched/internal/builtin.h"

namespace trainyard::sched {
namespace {

class FifoPass final : public OrderPass {
 public:
  explicit FifoPass(const OrderView& view) : queue_(view.queue), pending_(view.queue.queue(view.index).pending) {}

  const JobSnapshot* next() override { return position_ == pending_.size() ? nullptr : &queue_.job(pending_[position_++]); }

 private:
  const QueueSnapshot& queue_;
  const PendingList& pending_;
  std::size_t position_ = 0;
};

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
  std::unique_ptr<OrderPass> begin(const OrderView& view) const override { return std::make_unique<FifoPass>(view); }
};

}  // namespace

const OrderPolicy& fifo_order() {
  static const FifoOrder kPolicy;
  return kPolicy;
}

}  // namespace trainyard::sched
