#include <algorithm>

#include "sched/internal/settled_jobs.h"
#include "sched/preemption.h"
#include "sched/share.h"

namespace trainyard::sched {
namespace {

constexpr std::int64_t kPotentialUnit = 1'000'000'000'000;

/// used / (capacity * weight) in units of 10^-12. One division: equal shares have equal numbers.
std::int64_t rounded(const Share& share) {
  const std::int64_t weight = share.weight_milli > 0 ? share.weight_milli : 1;
  const __int128 units = static_cast<__int128>(share.used) * 1000 * kPotentialUnit / (static_cast<__int128>(share.capacity) * weight);
  return static_cast<std::int64_t>(std::min<__int128>(kUnlimited, units));
}

/// Tiers of live jobs, highest first. They change with outside events only.
std::vector<std::int32_t> live_tiers(const ClusterSnapshot& cluster, const QueueSnapshot& queue) {
  std::set<std::int32_t> tiers;
  cluster.each_by_end([&tiers](const RunningJob& running) { return tiers.insert(running.job.tier), true; });
  for (const QueueState& state : queue.queues()) {
    for (const PendingEntry& entry : state.pending) tiers.insert(entry.tier);
  }
  return {tiers.rbegin(), tiers.rend()};
}

}  // namespace

Potential potential_of(const ClusterSnapshot& cluster, const QueueSnapshot& queue) {
  const std::vector<SettledJob> jobs = settled_jobs(cluster, queue);
  const Amounts& capacity = cluster.capacity();
  Potential potential;
  for (const std::int32_t tier : live_tiers(cluster, queue)) {
    std::vector<Amounts> used(queue.queues().size());
    Amounts all;
    for (const SettledJob& settled : jobs) {
      if (settled.job->tier < tier) continue;
      const Amounts firm = firm_use(*settled.job, settled.tasks);
      used[settled.job->queue] += firm;
      all += firm;
    }
    std::vector<Share> shares;
    for (QueueIndex index = 0; index < used.size(); ++index) {
      const QueueState& state = queue.queue(index);
      if (state.leaf()) shares.push_back(share_of(used[index], capacity, state.settings.weight_milli));
    }
    std::sort(shares.begin(), shares.end());
    for (const Share& share : shares) potential.push_back(rounded(share));
    __int128 sum = 0;
    for (std::size_t kind = 0; kind < kAmountKinds; ++kind) {
      if (capacity[kind] > 0) sum += static_cast<__int128>(all[kind]) * kPotentialUnit / capacity[kind];
    }
    potential.push_back(static_cast<std::int64_t>(std::min<__int128>(kUnlimited, sum)));
  }
  return potential;
}

}  // namespace trainyard::sched
