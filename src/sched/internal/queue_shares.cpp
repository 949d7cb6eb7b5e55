#include "sched/internal/queue_shares.h"

namespace trainyard::sched {

QueueShares::QueueShares(const ShareView& view) : queue_(view.queue), capacity_(view.cluster.capacity()) {
  usage_.reserve(queue_.queues().size());
  for (const QueueState& queue : queue_.queues()) usage_.push_back(queue.usage);
}

void QueueShares::started(const JobSnapshot& job, std::int64_t tasks) {
  const Amounts taken = job.demand.amounts * tasks;
  for (QueueIndex queue = job.queue; queue != kNoIndex; queue = queue_.queue(queue).parent) usage_[queue] += taken;
}

Share QueueShares::share(QueueIndex queue) const { return share_of(usage_[queue], capacity_, queue_.queue(queue).settings.weight_milli); }

}  // namespace trainyard::sched
