// Reading why a job waits and computing what would start it, with ten thousand jobs pending behind a full cluster. Prints one JSON line.
#include <fmt/core.h>

#include <cstdlib>

#include "planner_workload.h"
#include "sched/explain.h"
#include "sched/fix.h"

int main(int argc, char**) {
  using namespace trainyard;
  constexpr std::uint64_t kSeed = 1;
  const bool small = argc > 1;
  const std::int64_t nodes = small ? 50 : 2'000;
  const std::int64_t jobs = small ? 500 : 10'800;
  SeededRng rng(kSeed);
  sched::SchedulerState state = bench::pool(nodes, "easy");
  bench::submit_mixed(state, jobs, rng);
  const TimePoint now{std::chrono::seconds(1)};
  state.apply(sched::plan(state.cluster, state.queue, now), now);
  const TimePoint later = now + std::chrono::minutes(1);
  const sched::Decisions decisions = sched::plan(state.cluster, state.queue, later);
  state.apply(decisions, later);

  std::vector<JobId> waiting;
  for (const sched::PendingEntry& entry : state.queue.queue(1).pending) waiting.push_back(state.queue.job(entry).id);
  std::vector<double> reads;
  std::vector<double> fixes;
  for (int i = 0; i < (small ? 5 : 100); ++i) {
    const JobId job = waiting[rng.below(waiting.size())];
    reads.push_back(1e3 * bench::seconds_of([&] { CHECK(sched::explain(state, decisions, job, later).ok(), "it waits"); }));
    if (i % 5 == 0) fixes.push_back(1e3 * bench::seconds_of([&] { CHECK(sched::fixes_of(state, job, later).ok(), "it waits"); }));
  }
  fmt::print(R"({{"benchmark": "explain", "pending": {}, "nodes": {}, "read_p50_ms": {:.3f}, "read_p99_ms": {:.3f}, "read_target_ms": 1, )"
             R"("all_fixes_p50_ms": {:.1f}, "all_fixes_max_ms": {:.1f}, "fix_target_ms": 100, "seed": {}, "rss_mib": {:.0f}}})"
             "\n",
             waiting.size(), nodes, bench::percentile(reads, 50), bench::percentile(reads, 99), bench::percentile(fixes, 50),
             bench::percentile(fixes, 100), kSeed, bench::peak_rss_mib());
}
