#include "sched/internal/saturation.h"

#include <algorithm>

namespace trainyard::sched {

Saturation::Saturation(const ShareView& view) : view_(view), free_(view.cluster.capacity() - view.cluster.used()) {}

void Saturation::started(const JobSnapshot& job, std::int64_t tasks) {
  free_ -= job.demand.amounts * tasks;
  started_.push_back(&job);
  if (!requests_) return;
  const Amounts asked = job.total_min();
  for (std::size_t kind = 0; kind < kAmountKinds; ++kind) {
    const auto found = (*requests_)[kind].find(asked[kind]);
    if (found != (*requests_)[kind].end() && --found->second == 0) (*requests_)[kind].erase(found);
  }
}

const Saturation::Counts& Saturation::requests() {
  if (requests_) return *requests_;
  requests_.emplace();
  std::sort(started_.begin(), started_.end());
  for (const QueueState& queue : view_.queue.queues()) {
    for (const PendingEntry& entry : queue.pending) {
      const JobSnapshot& job = view_.queue.job(entry);
      const bool gated = job.held || job.eligible_at > view_.now || !job.waits_for.empty();
      if (gated || std::binary_search(started_.begin(), started_.end(), &job)) continue;
      const Amounts asked = job.total_min();
      for (std::size_t kind = 0; kind < kAmountKinds; ++kind) {
        if (asked[kind] > 0) ++(*requests_)[kind][asked[kind]];
      }
    }
  }
  return *requests_;
}

bool Saturation::servable(std::size_t kind, std::span<const QueueHead> heads) {
  if (free_[kind] <= 0) return false;
  for (const QueueHead& head : heads) {
    const std::int64_t asked = head.job->total_min()[kind];
    if (asked > 0 && asked <= free_[kind]) return true;
  }
  const auto& waiting = requests()[kind];
  return waiting.empty() || waiting.begin()->first <= free_[kind];
}

bool Saturation::update(std::span<const QueueHead> heads) {
  bool changed = false;
  for (std::size_t kind = 0; kind < kAmountKinds; ++kind) {
    if (saturated_[kind] || view_.cluster.capacity()[kind] <= 0 || servable(kind, heads)) continue;
    saturated_[kind] = true;
    changed = true;
  }
  return changed;
}

}  // namespace trainyard::sched
