#include "sched/internal/eviction_rules.h"

#include <algorithm>

#include "sched/internal/settled_jobs.h"

namespace trainyard::sched {
namespace {

/// a / b in units of 2^-60, rounded down; b > 0.
__int128 fraction_of(std::int64_t a, std::int64_t b) { return (static_cast<__int128>(a) << 60) / b; }

/// The sum over resources of used / capacity rises by more than the rounding of this sum.
bool rises(const Amounts& change, const Amounts& capacity) {
  __int128 sum = 0;
  for (std::size_t kind = 0; kind < kAmountKinds; ++kind) {
    if (capacity[kind] > 0) sum += fraction_of(change[kind], capacity[kind]);
  }
  return sum > static_cast<__int128>(kAmountKinds);
}

}  // namespace

EvictionRules::EvictionRules(const PreemptionView& view, const JobSnapshot& job, std::int64_t tasks)
    : view_(view), job_(job), asked_(job.demand.amounts * tasks), book_(view.quota) {
  const std::vector<QueueState>& queues = view.queue.queues();
  tiered_.resize(queues.size());
  firm_.resize(queues.size());
  toward_job_.assign(queues.size(), kNoIndex);
  for (QueueIndex queue = job.queue; queues[queue].parent != kNoIndex; queue = queues[queue].parent) {
    toward_job_[queues[queue].parent] = queue;
  }
  flat_ = std::all_of(queues.begin(), queues.end(), [](const QueueState& queue) { return queue.parent == kNoIndex || queue.parent == 0; });

  const PassSoFar pass{&view.leaving, view.decided};
  for (const SettledJob& settled : settled_jobs(view.cluster, view.queue, pass)) {
    if (settled.job->tier < job.tier) continue;
    const Amounts used = settled.job->demand.amounts * settled.tasks;
    for (QueueIndex queue = settled.job->queue; queue != kNoIndex; queue = queues[queue].parent) tiered_[queue] += used;
    firm_[settled.job->queue] += firm_use(*settled.job, settled.tasks);
  }
  for (QueueIndex queue = job.queue; queue != kNoIndex; queue = queues[queue].parent) tiered_[queue] += asked_;

  // The pass books victims until they have gone; their room and quota are somebody's already.
  view.cluster.each_by_end([&](const RunningJob& running) {
    const std::int64_t held = task_count(running.nodes);
    if (running.stopping || view.leaving.contains(running.job.id)) {
      book_.charge(running.job.queue, running.job.demand.amounts * -held, -1);
    } else if (!running.shrink_to.empty()) {
      book_.charge(running.job.queue, running.job.demand.amounts * (task_count(running.shrink_to) - held), 0);
    }
    return true;
  });
  if (view.decided == nullptr) return;
  for (const Resize& shrink : view.decided->shrinks) {
    const RunningJob& running = *view.cluster.find(shrink.job);
    book_.charge(running.job.queue, running.job.demand.amounts * (task_count(shrink.nodes) - task_count(running.nodes)), 0);
  }
}

Standing EvictionRules::standing(const RunningJob& running) const {
  Standing standing;
  standing.same_tier = running.job.tier == job_.tier;
  if (running.job.queue == job_.queue) return standing;
  standing.theirs = running.job.queue;
  while (toward_job_[view_.queue.queue(standing.theirs).parent] == kNoIndex) standing.theirs = view_.queue.queue(standing.theirs).parent;
  standing.mine = toward_job_[view_.queue.queue(standing.theirs).parent];
  return standing;
}

void EvictionRules::charge(const RunningJob& running, std::int64_t tasks) {
  const Amounts amounts = running.job.demand.amounts * tasks;
  book_.charge(running.job.queue, amounts, 0);
  if (running.job.tier < job_.tier) return;
  for (QueueIndex queue = running.job.queue; queue != kNoIndex; queue = view_.queue.queue(queue).parent) tiered_[queue] += amounts;
}

void EvictionRules::take(const RunningJob& running, std::int64_t tasks) { charge(running, -tasks); }

void EvictionRules::give_back(const RunningJob& running, std::int64_t tasks) { charge(running, tasks); }

Share EvictionRules::share(QueueIndex queue) const {
  return share_of(tiered_[queue], view_.cluster.capacity(), view_.queue.queue(queue).settings.weight_milli);
}

bool EvictionRules::takes_back(QueueIndex mine) const {
  for (QueueIndex queue = job_.queue;; queue = view_.queue.queue(queue).parent) {
    if (!book_.within_nominal(queue, asked_)) return false;
    if (queue == mine) return true;
  }
}

bool EvictionRules::beyond_nominal(const Loss& loss) const {
  if (loss.standing.theirs == kNoIndex) return true;
  const Amounts lost = loss.running->job.demand.amounts * loss.tasks;
  for (QueueIndex queue = loss.running->job.queue;; queue = view_.queue.queue(queue).parent) {
    if (!book_.over_nominal(queue, lost)) return false;
    if (queue == loss.standing.theirs) return true;
  }
}

bool EvictionRules::permits(const Loss& loss) const {
  if (loss.standing.theirs == kNoIndex) return true;
  if (!beyond_nominal(loss)) return false;
  if (!loss.standing.same_tier || takes_back(loss.standing.mine)) return true;
  return share(loss.standing.mine) <= share(loss.standing.theirs);
}

bool EvictionRules::raises_potential(const std::vector<Loss>& losses) const {
  const bool by_share = std::any_of(losses.begin(), losses.end(), [this](const Loss& loss) {
    return loss.standing.same_tier && loss.standing.theirs != kNoIndex && !takes_back(loss.standing.mine);
  });
  if (!by_share || !flat_) return true;
  const Amounts& capacity = view_.cluster.capacity();
  std::vector<Amounts> after = firm_;
  after[job_.queue] += asked_;
  Amounts change = asked_;
  for (const Loss& loss : losses) {
    if (loss.running->job.tier < job_.tier) continue;
    const std::int64_t held = loss.tasks + loss.tasks_left;
    const Amounts lost = firm_use(loss.running->job, held) - firm_use(loss.running->job, loss.tasks_left);
    after[loss.running->job.queue] -= lost;
    change -= lost;
  }
  std::vector<Share> shares_before;
  std::vector<Share> shares_after;
  for (QueueIndex queue = 0; queue < firm_.size(); ++queue) {
    const QueueState& state = view_.queue.queue(queue);
    if (!state.leaf()) continue;
    shares_before.push_back(share_of(firm_[queue], capacity, state.settings.weight_milli));
    shares_after.push_back(share_of(after[queue], capacity, state.settings.weight_milli));
  }
  std::sort(shares_before.begin(), shares_before.end());
  std::sort(shares_after.begin(), shares_after.end());
  for (std::size_t i = 0; i < shares_before.size(); ++i) {
    if (shares_before[i] != shares_after[i]) return shares_before[i] < shares_after[i];
  }
  return rises(change, capacity);
}

}  // namespace trainyard::sched
