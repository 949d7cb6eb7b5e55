// Passes of conservative backfill over thousands of small jobs that share nodes: one to four of the 32 cores of a node and 5 to 1,400
// minutes each. The first pass starts on an empty cluster and promises every job that does not fit nodes and a start. The following ones
// come after the end of a running job, when every promise is looked at anew. `gang` jobs have up to four such tasks, `wide_gang` jobs up
// to 64, `gpu` jobs ask for a share of one of eight devices besides. One JSON line each.
#include <fmt/core.h>

#include <cstdlib>

#include "planner_workload.h"

namespace {

using namespace trainyard;

struct Mix {
  std::string name;
  std::int64_t nodes = 0;
  std::int64_t jobs = 0;
  std::uint64_t tasks_max = 1;
  bool gpu = false;
  double target_ms = 0;  ///< Of the first pass.
};

sched::SchedulerState shared_nodes(const Mix& mix) {
  sched::SchedulerState state;
  for (std::int64_t i = 0; i < mix.nodes; ++i) {
    sched::NodeInfo node;
    node.name.text = "n" + std::to_string(i);
    node.capacity[sched::kCpu] = 32'000;
    node.capacity[sched::kMemory] = std::int64_t{128} << 30;
    node.capacity[sched::kGpu] = mix.gpu ? 8'000 : 0;
    CHECK(state.cluster.add_node(std::move(node)).ok(), "names differ");
  }
  sched::QueueSettings queue;
  queue.name = "default";
  queue.backfill = "conservative";
  CHECK(state.queue.add_queue(std::move(queue)).ok(), "the policy exists");
  return state;
}

void submit(sched::SchedulerState& state, const Mix& mix, Rng& rng) {
  for (std::int64_t i = 1; i <= mix.jobs; ++i) {
    sched::JobSnapshot job;
    job.id = JobId(static_cast<std::uint64_t>(i));
    job.queue = 1;
    job.demand.amounts[sched::kCpu] = static_cast<std::int64_t>(1'000 * (1 + rng.below(4)));
    job.demand.amounts[sched::kMemory] = std::int64_t{1} << 30;
    if (mix.gpu) job.demand.ask_gpus(1, static_cast<std::int32_t>(100 * (2 + rng.below(9))));
    job.tasks = static_cast<std::int32_t>(1 + rng.below(mix.tasks_max));
    job.walltime = std::chrono::minutes(5 + rng.below(1396));
    state.submit(std::move(job));
  }
}

void run(const Mix& mix, std::int64_t passes_max) {
  constexpr std::uint64_t kSeed = 1;
  SeededRng rng(kSeed);
  sched::SchedulerState state = shared_nodes(mix);
  submit(state, mix, rng);
  TimePoint now{std::chrono::seconds(1)};
  std::vector<double> passes;
  std::size_t first_starts = 0;
  std::size_t reservations = 0;
  for (std::int64_t pass = 0; pass < passes_max; ++pass) {
    sched::Decisions decisions;
    passes.push_back(1e3 * bench::seconds_of([&] { decisions = sched::plan(state.cluster, state.queue, now); }));
    if (pass == 0) {
      first_starts = decisions.starts.size();
      reservations = decisions.reservations.size();
    }
    state.apply(decisions, now);
    JobId ends;
    std::size_t left = rng.below(state.cluster.running_count());
    state.cluster.each_by_end([&](const sched::RunningJob& running) {
      ends = running.job.id;
      return left-- > 0;
    });
    now += std::chrono::seconds(1 + rng.below(60));
    state.end(ends, now);
  }
  const std::vector<double> later(passes.begin() + 1, passes.end());
  fmt::print(R"({{"benchmark": "shared_nodes", "mix": "{}", "policy": "conservative", "nodes": {}, "pending": {}, "passes": {}, )"
             R"("first_starts": {}, "first_reservations": {}, "first_ms": {:.1f}, "later_p50_ms": {:.1f}, "later_max_ms": {:.1f}, )"
             R"("target_ms": {}, "seed": {}, "rss_mib": {:.0f}}})"
             "\n",
             mix.name, mix.nodes, mix.jobs, passes.size(), first_starts, reservations, passes.front(), bench::percentile(later, 50),
             bench::percentile(later, 100), mix.target_ms, kSeed, bench::peak_rss_mib());
}

}  // namespace

int main(int argc, char**) {
  const bool small = argc > 1;
  const std::int64_t passes = small ? 3 : 5;
  const std::int64_t jobs = small ? 200 : 2'000;
  run({.name = "cores", .nodes = 4, .jobs = jobs, .target_ms = 500}, passes);
  run({.name = "cores", .nodes = small ? 8 : 50, .jobs = small ? 300 : 5'000, .target_ms = 2'000}, passes);
  run({.name = "gang", .nodes = 4, .jobs = jobs, .tasks_max = 4, .target_ms = 1'000}, passes);
  run({.name = "gpu", .nodes = 4, .jobs = jobs, .gpu = true, .target_ms = 1'000}, passes);
  run({.name = "wide_gang", .nodes = small ? 20 : 500, .jobs = jobs, .tasks_max = 64, .target_ms = 1'000}, passes);
}
