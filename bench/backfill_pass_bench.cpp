// Full passes over thousands of mixed pending jobs (1-64 whole nodes, 5-1,400 minutes) on two thousand nodes, for EASY and for conservative
// backfill. The first pass starts on an empty cluster; the following ones come after the next end of a running job. One JSON line each.
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>

#include "planner_workload.h"

namespace {

using namespace trainyard;

/// `wide`: gangs of 16 nodes and more. Some nodes stay free then, and no pass can end before it has looked at every job.
void run(const std::string& policy, std::int64_t nodes, std::int64_t jobs, std::int64_t passes_max, double target_ms, bool wide = false) {
  constexpr std::uint64_t kSeed = 1;
  SeededRng rng(kSeed);
  sched::SchedulerState state = bench::pool(nodes, policy);
  bench::submit_mixed(state, jobs, rng, wide);
  TimePoint now{std::chrono::seconds(1)};
  std::vector<double> passes;
  std::size_t first_starts = 0;
  std::size_t reservations = 0;
  std::size_t looked_at = 0;
  for (std::int64_t pass = 0; pass < passes_max; ++pass) {
    sched::Decisions decisions;
    passes.push_back(1e3 * bench::seconds_of([&] { decisions = sched::plan(state.cluster, state.queue, now); }));
    if (pass == 0) {
      first_starts = decisions.starts.size();
      reservations = decisions.reservations.size();
    }
    looked_at = std::max(looked_at, decisions.waits.size() + decisions.starts.size());
    state.apply(decisions, now);
    // Somebody ends before its limit, as most jobs do.
    const std::size_t chosen = rng.below(state.cluster.running_count());
    std::size_t at = 0;
    JobId ends;
    state.cluster.each_by_end([&](const sched::RunningJob& running) {
      ends = running.job.id;
      return at++ < chosen;
    });
    now += std::chrono::seconds(1 + rng.below(60));
    state.end(ends, now);
  }
  fmt::print(R"({{"benchmark": "backfill_pass", "policy": "{}", "nodes": {}, "pending": {}, "passes": {}, "jobs": "{}", )"
             R"("looked_at_max": {}, "first_starts": {}, "first_reservations": {}, )"
             R"("first_ms": {:.2f}, "p50_ms": {:.2f}, "p99_ms": {:.2f}, "max_ms": {:.2f}, "target_ms": {}, "seed": {}, "rss_mib": {:.0f}}})"
             "\n",
             policy, nodes, jobs, passes.size(), wide ? "wide" : "mixed", looked_at, first_starts, reservations, passes.front(),
             bench::percentile(passes, 50), bench::percentile(passes, 99), bench::percentile(passes, 100), target_ms, kSeed,
             bench::peak_rss_mib());
}

}  // namespace

int main(int argc, char**) {
  const bool small = argc > 1;
  const std::int64_t nodes = small ? 100 : 2'000;
  const std::int64_t jobs = small ? 300 : 7'580;
  run("easy", nodes, jobs, small ? 20 : 300, 20);
  run("easy", nodes, jobs, small ? 20 : 300, 20, true);
  run("conservative", nodes, jobs, small ? 3 : 10, 500);
  if (!small) run("easy", 10'000, 100'000, 20, 300);
  if (!small) run("easy", 10'000, 100'000, 20, 300, true);
}
