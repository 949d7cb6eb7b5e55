#include "sched/testing/backfill_comparison.h"

#include <fmt/format.h>

#include <algorithm>

#include "sched/testing/holdings.h"

namespace trainyard::sched::testing {
namespace {

using namespace std::chrono_literals;

using Promises = std::map<TimePoint, std::map<JobId, HostReservation>>;

std::string text_of(const std::vector<NodeIndex>& hosts) { return fmt::format("{{{}}}", fmt::join(hosts, ",")); }

double in_seconds(Duration duration) { return static_cast<double>(duration.count()) / 1e6; }
double in_seconds(TimePoint time) { return in_seconds(time.time_since_epoch()); }

Violation compare_runs(std::vector<HostRun> expected, std::vector<Segment> actual) {
  std::sort(expected.begin(), expected.end(),
            [](const HostRun& a, const HostRun& b) { return std::tie(a.start, a.job) < std::tie(b.start, b.job); });
  std::sort(actual.begin(), actual.end(),
            [](const Segment& a, const Segment& b) { return std::tie(a.start, a.job) < std::tie(b.start, b.job); });
  for (std::size_t i = 0; i < std::max(expected.size(), actual.size()); ++i) {
    const auto tell = [](const auto& run) {
      return fmt::format("job {} at {} on {}", run.job.value, in_seconds(run.start), text_of(run.hosts));
    };
    if (i == actual.size()) return fmt::format("the planner never starts {}", tell(expected[i]));
    if (i == expected.size()) return fmt::format("only the planner starts {}", tell(actual[i]));
    const HostRun& a = expected[i];
    const Segment& b = actual[i];
    if (a.job != b.job || a.start != b.start || a.hosts != b.hosts || a.end != b.end) {
      return fmt::format("expected {} until {}, planned {} until {}", tell(a), in_seconds(a.end), tell(b), in_seconds(b.end));
    }
  }
  return std::nullopt;
}

Violation compare_promises(const Promises& expected, const Promises& actual) {
  for (const auto& [time, promises] : expected) {
    const auto found = actual.find(time);
    if (found == actual.end()) return fmt::format("no plan at {}", in_seconds(time));
    for (const auto& [job, promise] : promises) {
      const auto planned = found->second.find(job);
      const std::string wanted = fmt::format("at {}: job {} should be promised {} on {}", in_seconds(time), job.value,
                                             in_seconds(promise.start), text_of(promise.hosts));
      if (planned == found->second.end()) return wanted + ", but is promised nothing";
      if (!(planned->second == promise)) {
        return wanted + fmt::format(", but is promised {} on {}", in_seconds(planned->second.start), text_of(planned->second.hosts));
      }
    }
    if (promises.size() != found->second.size()) {
      return fmt::format("at {}: {} jobs should be promised room, {} are", in_seconds(time), promises.size(), found->second.size());
    }
  }
  return std::nullopt;
}

std::string describe(const HostWorkload& workload) {
  std::string text = fmt::format("{} hosts; jobs (submit, hosts, walltime, runtime):", workload.hosts);
  for (const HostJob& job : workload.jobs) {
    text += fmt::format(" J{} ({}, {}, {}, {})", job.id.value, in_seconds(job.submit), job.hosts, in_seconds(job.walltime),
                        in_seconds(job.runtime));
  }
  return text;
}

HostWorkload shrink_workload(BackfillRule rule, HostWorkload workload) {
  for (bool smaller = true; smaller;) {
    smaller = false;
    for (std::size_t i = workload.jobs.size(); i-- > 0;) {
      HostWorkload without = workload;
      without.jobs.erase(without.jobs.begin() + static_cast<std::ptrdiff_t>(i));
      if (!compare_with_naive(rule, without.hosts, without.jobs)) continue;
      workload = std::move(without);
      smaller = true;
    }
  }
  return workload;
}

}  // namespace

std::string policy_of(BackfillRule rule) {
  switch (rule) {
    case BackfillRule::kStrictFifo:
      return "strict_fifo";
    case BackfillRule::kEasy:
      return "easy";
    case BackfillRule::kEasyCount:
      return "easy_count";
    case BackfillRule::kConservative:
      return "conservative";
  }
  return {};
}

LoopOutcome planned_schedule(const std::string& backfill, std::size_t hosts, const std::vector<HostJob>& jobs,
                             const LoopSettings& settings) {
  Scenario scenario = Scenario::of_hosts(hosts, backfill);
  std::vector<Arrival> arrivals;
  for (const HostJob& job : jobs) {
    const JobSpec spec{.tasks = static_cast<std::int32_t>(job.hosts), .walltime = job.walltime, .queued_at = job.submit, .id = job.id};
    arrivals.push_back({.at = job.submit, .spec = spec, .runtime = job.runtime});
  }
  return run_loop(scenario, std::move(arrivals), settings);
}

Violation compare_with_naive(BackfillRule rule, std::size_t hosts, const std::vector<HostJob>& jobs) {
  const HostSchedule expected = naive_schedule(rule, hosts, jobs);
  Promises promises;
  LoopSettings settings;
  settings.on_pass = [&promises](const PlannedPass& pass) {
    promises[pass.now].clear();
    for (const auto& [job, reservation] : standing_reservations(pass)) {
      promises[pass.now][job] = {.start = reservation.start, .hosts = hosts_of(reservation.nodes)};
    }
    return check_pass(pass);
  };
  const LoopOutcome outcome = planned_schedule(policy_of(rule), hosts, jobs, settings);
  if (outcome.violation) return outcome.violation;
  if (Violation runs = compare_runs(expected.runs, outcome.segments)) return runs;
  if (rule == BackfillRule::kEasyCount) return std::nullopt;
  return compare_promises(expected.promises, promises);
}

HostWorkload random_host_workload(Rng& rng, std::size_t hosts_max, std::size_t jobs_max) {
  HostWorkload workload;
  workload.hosts = 1 + rng.below(hosts_max);
  const std::uint64_t gap_max = 1 + rng.below(4);
  TimePoint submit{};
  for (std::uint64_t i = 1 + rng.below(jobs_max); i > 0; --i) {
    submit += std::chrono::seconds(rng.below(gap_max));
    HostJob job{.id = JobId(workload.jobs.size() + 1), .submit = submit};
    job.hosts = 1 + rng.below(rng.below(2) == 0 ? workload.hosts : (workload.hosts + 2) / 3);
    job.walltime = std::chrono::seconds(1 + rng.below(12));
    job.runtime = rng.below(3) == 0 ? job.walltime : Duration(std::chrono::milliseconds(500)) * static_cast<std::int64_t>(rng.below(27));
    workload.jobs.push_back(job);
  }
  return workload;
}

Violation compare_random_workloads(BackfillRule rule, std::uint64_t seeds, std::size_t hosts_max, std::size_t jobs_max) {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    SeededRng rng(seed);
    HostWorkload workload = random_host_workload(rng, hosts_max, jobs_max);
    if (!compare_with_naive(rule, workload.hosts, workload.jobs)) continue;
    workload = shrink_workload(rule, std::move(workload));
    const Violation difference = compare_with_naive(rule, workload.hosts, workload.jobs);
    return fmt::format("{}, seed {}: {}\n{}", policy_of(rule), seed, *difference, describe(workload));
  }
  return std::nullopt;
}

WaitTotals totals_of(const LoopOutcome& outcome, const std::vector<HostJob>& jobs) {
  std::map<JobId, TimePoint> submits;
  for (const HostJob& job : jobs) submits[job.id] = job.submit;
  WaitTotals totals;
  for (const Segment& segment : outcome.segments) {
    const double wait = in_seconds(segment.start - submits.at(segment.job));
    totals.mean_wait_s += wait;
    totals.max_wait_s = std::max(totals.max_wait_s, wait);
    totals.mean_turnaround_s += in_seconds(segment.end - submits.at(segment.job));
    totals.makespan_s = std::max(totals.makespan_s, in_seconds(segment.end));
    totals.waited += wait > 0 ? 1 : 0;
  }
  const auto count = static_cast<double>(std::max<std::size_t>(1, outcome.segments.size()));
  totals.mean_wait_s /= count;
  totals.mean_turnaround_s /= count;
  return totals;
}

}  // namespace trainyard::sched::testing
