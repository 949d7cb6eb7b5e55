// Ten thousand one-core jobs onto two thousand empty nodes of eight cores: one pass. Prints one JSON line.
#include <fmt/core.h>

#include <cstdlib>

#include "planner_workload.h"

int main(int argc, char** argv) {
  using namespace trainyard;
  const std::int64_t jobs = argc > 1 ? std::atoll(argv[1]) : 10'000;
  const std::int64_t nodes = std::max<std::int64_t>(jobs / 5, 1);
  std::vector<double> passes;
  for (int round = 0; round < 5; ++round) {
    sched::SchedulerState state = bench::pool(nodes, "easy");
    for (std::int64_t i = 1; i <= jobs; ++i) {
      sched::JobSnapshot job;
      job.id = JobId(static_cast<std::uint64_t>(i));
      job.queue = 1;
      job.demand.amounts[sched::kCpu] = 1000;
      job.walltime = std::chrono::hours(1);
      state.submit(std::move(job));
    }
    const TimePoint now{std::chrono::seconds(1)};
    passes.push_back(bench::seconds_of([&] {
      const sched::Decisions decisions = sched::plan(state.cluster, state.queue, now);
      CHECK(decisions.starts.size() == static_cast<std::size_t>(jobs), "every job has room");
      state.apply(decisions, now);
    }));
  }
  fmt::print(R"({{"benchmark": "decide_one_core_jobs", "jobs": {}, "nodes": {}, "median_s": {:.4f}, "max_s": {:.4f}, "target_s": 0.1, )"
             R"("seed": 0, "rss_mib": {:.0f}}})"
             "\n",
             jobs, nodes, bench::percentile(passes, 50), bench::percentile(passes, 100), bench::peak_rss_mib());
}
