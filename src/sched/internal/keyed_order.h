#pragma once
#include <array>

#include "sched/policy.h"

namespace trainyard::sched {

/// What a job is sorted by within its tier: smaller first, then arrival.
using OrderKey = std::array<double, 2>;

/// A job of a queue with its key.
struct KeyedJob {
  OrderKey key{};
  std::int32_t tier = 0;
  std::uint32_t position = 0;  ///< In QueueState::pending.
};

/// Higher tiers first, then smaller keys, then arrival. Sorting is lazy: O(jobs) at first and O(log jobs) for each that is looked at.
std::unique_ptr<OrderPass> make_keyed_order(const OrderView& view, std::vector<KeyedJob> jobs);

/// The same for all jobs of the queue, with `key(job)` as the key of each.
template <typename Key>
std::unique_ptr<OrderPass> keyed_order(const OrderView& view, Key key) {
  const PendingList& pending = view.queue.queue(view.index).pending;
  std::vector<KeyedJob> jobs(pending.size());
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    jobs[i] = {key(view.queue.job(pending[i])), pending[i].tier, static_cast<std::uint32_t>(i)};
  }
  return make_keyed_order(view, std::move(jobs));
}

/// The jobs of the queue as they wait: higher tiers first, then age, then arrival. Costs nothing before it is asked.
std::unique_ptr<OrderPass> make_pending_order(const OrderView& view);

}  // namespace trainyard::sched
