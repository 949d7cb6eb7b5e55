#pragma once
#include "sched/internal/ageing.h"
#include "sched/share.h"

namespace trainyard::sched {

/// Use of every queue as the pass decides: what runs, and what it starts.
class QueueShares {
 public:
  explicit QueueShares(const ShareView& view);

  /// Tasks start: use of the job's queue and of all above it.
  void started(const JobSnapshot& job, std::int64_t tasks);
  const Amounts& usage(QueueIndex queue) const { return usage_[queue]; }
  /// Dominant share over the weight of the queue.
  Share share(QueueIndex queue) const;
  /// Dominant share alone, a fraction of the cluster.
  double fraction(QueueIndex queue) const { return share(queue).fraction(); }

 private:
  const QueueSnapshot& queue_;
  const Amounts& capacity_;
  std::vector<Amounts> usage_;
};

}  // namespace trainyard::sched
