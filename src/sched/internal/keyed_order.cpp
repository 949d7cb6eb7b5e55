#include "sched/internal/keyed_order.h"

#include <algorithm>

namespace trainyard::sched {
namespace {

/// For a heap whose top is the job that comes first.
bool comes_after(const KeyedJob& a, const KeyedJob& b) {
  if (a.tier != b.tier) return a.tier < b.tier;
  if (a.key != b.key) return a.key > b.key;
  return a.position > b.position;
}

class KeyedPass final : public OrderPass {
 public:
  KeyedPass(const OrderView& view, std::vector<KeyedJob> jobs)
      : queue_(view.queue), pending_(view.queue.queue(view.index).pending), heap_(std::move(jobs)) {
    std::make_heap(heap_.begin(), heap_.end(), comes_after);
  }

  const JobSnapshot* next() override {
    if (heap_.empty()) return nullptr;
    std::pop_heap(heap_.begin(), heap_.end(), comes_after);
    const std::uint32_t position = heap_.back().position;
    heap_.pop_back();
    return &queue_.job(pending_[position]);
  }

 private:
  const QueueSnapshot& queue_;
  const PendingList& pending_;
  std::vector<KeyedJob> heap_;
};

class PendingPass final : public OrderPass {
 public:
  explicit PendingPass(const OrderView& view) : queue_(view.queue), pending_(view.queue.queue(view.index).pending) {}

  const JobSnapshot* next() override { return position_ == pending_.size() ? nullptr : &queue_.job(pending_[position_++]); }

 private:
  const QueueSnapshot& queue_;
  const PendingList& pending_;
  std::size_t position_ = 0;
};

}  // namespace

std::unique_ptr<OrderPass> make_pending_order(const OrderView& view) { return std::make_unique<PendingPass>(view); }

std::unique_ptr<OrderPass> make_keyed_order(const OrderView& view, std::vector<KeyedJob> jobs) {
  return std::make_unique<KeyedPass>(view, std::move(jobs));
}

}  // namespace trainyard::sched
