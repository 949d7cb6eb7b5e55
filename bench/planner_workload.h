#pragma once
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "sched/plan.h"
#include "sched/state.h"

namespace trainyard::bench {

inline double seconds_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// Nearest-rank percentile, 0 < p <= 100.
inline double percentile(std::vector<double> values, double p) {
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<std::size_t>(p / 100 * static_cast<double>(values.size()) + 0.999999);
  return values[std::min(std::max<std::size_t>(rank, 1), values.size()) - 1];
}

inline double peak_rss_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

/// `nodes` nodes of eight cores and one queue with this backfill policy.
inline sched::SchedulerState pool(std::int64_t nodes, const std::string& backfill) {
  sched::SchedulerState state;
  for (std::int64_t i = 0; i < nodes; ++i) {
    sched::NodeInfo node;
    node.name.text = "n" + std::to_string(i);
    node.capacity[sched::kCpu] = 8000;
    node.capacity[sched::kMemory] = std::int64_t{64} << 30;
    CHECK(state.cluster.add_node(std::move(node)).ok(), "names differ");
  }
  sched::QueueSettings queue;
  queue.name = "default";
  queue.backfill = backfill;
  CHECK(state.queue.add_queue(std::move(queue)).ok(), "the policy exists");
  return state;
}

/// Jobs of 1 to 64 whole nodes (most are small) and 5 to 1,400 minutes. `wide`: 16 to 64 nodes, so that some nodes are free for nobody.
inline void submit_mixed(sched::SchedulerState& state, std::int64_t jobs, Rng& rng, bool wide = false) {
  for (std::int64_t i = 1; i <= jobs; ++i) {
    sched::JobSnapshot job;
    job.id = JobId(static_cast<std::uint64_t>(i));
    job.queue = 1;
    job.demand.amounts[sched::kCpu] = 8000;
    job.tasks = static_cast<std::int32_t>(std::int64_t{1} << rng.below(7));
    job.tasks -= static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(job.tasks) / 2 + 1));
    if (wide) job.tasks = static_cast<std::int32_t>(16 + rng.below(49));
    job.walltime = std::chrono::minutes(5 + rng.below(1396));
    state.submit(std::move(job));
  }
}

}  // namespace trainyard::bench
