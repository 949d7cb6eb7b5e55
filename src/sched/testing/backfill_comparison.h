#pragma once
#include <string>
#include <vector>

#include "base/rng.h"
#include "sched/testing/event_loop.h"
#include "sched/testing/naive_backfill.h"

namespace trainyard::sched::testing {

/// Name of the backfill policy that implements the rule.
std::string policy_of(BackfillRule rule);

/// The planner's schedule of these jobs on so many hosts of one core.
LoopOutcome planned_schedule(const std::string& backfill, std::size_t hosts, const std::vector<HostJob>& jobs,
                             const LoopSettings& settings = {});

/// Runs the naive rule and the planner event by event. Differs: which job starts where or when, or what a job is promised after which event
/// (not for the count rule, which promises nothing); or a plan breaks one of the checks of every pass.
Violation compare_with_naive(BackfillRule rule, std::size_t hosts, const std::vector<HostJob>& jobs);

struct HostWorkload {
  std::size_t hosts = 1;
  std::vector<HostJob> jobs;
};

/// Arrivals that often coincide, early ends, kills at the limit and jobs that end at once.
HostWorkload random_host_workload(Rng& rng, std::size_t hosts_max, std::size_t jobs_max);

/// Compares random workloads of seeds [1, seeds]. On a difference drops jobs while it stays and tells seed, difference and what is left.
Violation compare_random_workloads(BackfillRule rule, std::uint64_t seeds, std::size_t hosts_max, std::size_t jobs_max);

/// Totals of a schedule in seconds.
struct WaitTotals {
  double mean_wait_s = 0;
  double max_wait_s = 0;
  double mean_turnaround_s = 0;
  double makespan_s = 0;
  std::size_t waited = 0;  ///< Jobs that did not start at once.
};
WaitTotals totals_of(const LoopOutcome& outcome, const std::vector<HostJob>& jobs);

}  // namespace trainyard::sched::testing
