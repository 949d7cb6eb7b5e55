#include <gtest/gtest.h>

#include <cmath>

#include "sched/change.h"
#include "sched/testing/backfill_comparison.h"
#include "sched/testing/holdings.h"
#include "sched/testing/schedule_files.h"

namespace trainyard::sched::testing {
namespace {

using namespace std::chrono_literals;

TEST(ConservativeBackfill, random_workloads_run_and_promise_as_the_naive_rule_says) {
  const Violation difference = compare_random_workloads(BackfillRule::kConservative, 500, 10, 30);
  EXPECT_FALSE(difference) << *difference;
}

TEST(ConservativeBackfill, long_random_workloads_run_and_promise_as_the_naive_rule_says) {
  const Violation difference = compare_random_workloads(BackfillRule::kConservative, 8, 40, 120);
  EXPECT_FALSE(difference) << *difference;
}

TEST(ConservativeBackfill, batsim_log_runs_as_the_naive_rule_says) {
  const PublishedSchedule log = read_batsim_log("tests/data/scheduling/batsim/batsim_medium_late.csv");
  const HostSchedule expected = naive_schedule(BackfillRule::kConservative, 32, log.jobs);
  const LoopOutcome outcome = planned_schedule("conservative", 32, log.jobs, {.on_pass = reservations_never_move_later});
  ASSERT_FALSE(outcome.violation) << *outcome.violation;
  ASSERT_EQ(outcome.segments.size(), 801u);
  std::map<JobId, HostRun> run_of;
  for (const HostRun& run : expected.runs) run_of[run.job] = run;
  std::size_t different = 0;
  for (const Segment& segment : outcome.segments) {
    const HostRun& run = run_of.at(segment.job);
    different += run.start == segment.start && run.hosts == segment.hosts ? 0 : 1;
  }
  EXPECT_EQ(different, 0u);
}

TEST(ConservativeBackfill, job_of_the_batsim_log_starts_no_later_than_first_promised) {
  const PublishedSchedule log = read_batsim_log("tests/data/scheduling/batsim/batsim_medium_late.csv");
  std::map<JobId, TimePoint> promised;
  LoopSettings settings;
  settings.on_pass = [&promised](const PlannedPass& pass) -> Violation {
    for (const auto& [job, reservation] : standing_reservations(pass)) promised.emplace(job, reservation.start);
    return std::nullopt;
  };
  const LoopOutcome outcome = planned_schedule("conservative", 32, log.jobs, settings);
  EXPECT_GT(promised.size(), 100u);
  for (const Segment& segment : outcome.segments) {
    if (const auto promise = promised.find(segment.job); promise != promised.end()) {
      EXPECT_LE(segment.start, promise->second) << "job " << segment.job.value;
    }
  }
}

TEST(ConservativeBackfill, example_gets_its_published_schedule) {
  const PublishedSchedule example = read_example("tests/data/scheduling/examples/ex2_conservative.trace.csv",
                                                 "tests/data/scheduling/examples/ex2_conservative.schedule.csv");
  const LoopOutcome outcome = planned_schedule("conservative", 3, example.jobs, {.on_pass = check_pass});
  ASSERT_FALSE(outcome.violation) << *outcome.violation;
  ASSERT_EQ(outcome.segments.size(), example.runs.size());
  for (const Segment& segment : outcome.segments) {
    const PublishedRun& run = example.runs.at(segment.job);
    EXPECT_EQ(static_cast<double>(micros(segment.start)) / 1e6, run.start_s) << "job " << segment.job.value;
    EXPECT_EQ(static_cast<double>(micros(segment.end)) / 1e6, run.end_s) << "job " << segment.job.value;
    EXPECT_EQ(segment.hosts, run.hosts) << "job " << segment.job.value;
  }
}

/// The second example of the rules, step by step: jobs 1 to 4 are J0 to J3.
TEST(ConservativeBackfill, reservation_moves_only_as_far_as_those_behind_it_let_it) {
  Scenario s = Scenario::of_hosts(3, "conservative");
  const JobId j0 = s.submit({.tasks = 1, .walltime = 6s});
  s.run(at(0s));
  const JobId j1 = s.submit({.tasks = 2, .walltime = 8s, .queued_at = at(1s)});
  s.run(at(1s));
  const JobId j2 = s.submit({.tasks = 3, .walltime = 2s, .queued_at = at(2s)});
  s.run(at(2s));
  EXPECT_EQ(s.waiting(j2).reservation->start, at(9s));
  const JobId j3 = s.submit({.tasks = 1, .walltime = 2s, .queued_at = at(3s)});
  s.run(at(3s));
  EXPECT_EQ(s.waiting(j2).reservation->start, at(9s));
  EXPECT_EQ(s.waiting(j3).reservation->start, at(6s));
  EXPECT_EQ(hosts_of(s.waiting(j3).reservation->nodes), (std::vector<NodeIndex>{0}));

  s.end(j1, at(5s));
  s.run(at(5s));
  EXPECT_EQ(s.waiting(j2).reservation->start, at(8s));
  ASSERT_TRUE(s.is_running(j3));
  EXPECT_EQ(s.hosts(j3), (std::vector<NodeIndex>{1}));

  s.end(j0, at(6s));
  s.run(at(6s));
  EXPECT_EQ(s.waiting(j2).reservation->start, at(7s));
  s.end(j3, at(7s));
  s.run(at(7s));
  EXPECT_TRUE(s.is_running(j2));
}

TEST(ConservativeBackfill, start_of_a_reservation_needs_no_event_but_the_wake_up) {
  Scenario s = Scenario::of_hosts(2, "conservative");
  s.submit({.tasks = 2, .walltime = 10s});
  s.run(at(0s));
  const JobId waiting = s.submit({.tasks = 1, .walltime = 5s, .queued_at = at(1s)});
  const Decisions decisions = s.run(at(1s));
  EXPECT_EQ(reservation_of(decisions, waiting)->start, at(10s));
  EXPECT_EQ(decisions.wake_at, at(10s));
}

TEST(ConservativeBackfill, plan_without_an_event_changes_nothing) {
  Scenario s = Scenario::of_hosts(3, "conservative");
  s.submit({.tasks = 2, .walltime = 10s});
  s.submit({.tasks = 3, .walltime = 10s});
  s.submit({.tasks = 2, .walltime = 10s});
  s.run(at(0s));
  const Decisions again = s.run(at(4s));
  EXPECT_TRUE(again.starts.empty());
  EXPECT_TRUE(again.reservations.empty());
}

TEST(ConservativeBackfill, node_that_joins_or_comes_back_is_used_at_once) {
  for (const bool joins : {true, false}) {
    Scenario s = Scenario::of_hosts(2, "conservative");
    s.state.cluster.set_drained(1, true);
    s.submit({.walltime = 100s});
    const JobId waiting = s.submit({.walltime = 10s});
    s.run(at(0s));
    ASSERT_EQ(s.waiting(waiting).reservation->start, at(100s));
    NodeInfo more = *s.state.cluster.node(0).info;
    more.name.text = "new";
    const Change change = joins ? Change(AddNodes{.node = more}) : Change(DrainNode{s.state.cluster.node(1).info->name, false});
    ASSERT_TRUE(apply_change(s.state, change).ok());
    s.run(at(1s));
    EXPECT_TRUE(s.is_running(waiting)) << joins;
  }
}

TEST(ReserveK, first_reserves_as_easy_does) {
  const PublishedSchedule log = read_batsim_log("tests/data/scheduling/batsim/batsim_medium_late.csv");
  Scenario s;
  s.nodes(32);
  s.configure({.backfill = "reserve_k", .parameters = {{"k", 1}}});
  std::vector<Arrival> arrivals;
  for (const HostJob& job : log.jobs) {
    const JobSpec spec{.tasks = static_cast<std::int32_t>(job.hosts), .walltime = job.walltime, .queued_at = job.submit, .id = job.id};
    arrivals.push_back({.at = job.submit, .spec = spec, .runtime = job.runtime});
  }
  const LoopOutcome outcome = run_loop(s, std::move(arrivals));
  ASSERT_EQ(outcome.segments.size(), 801u);
  std::size_t different = 0;
  for (const Segment& segment : outcome.segments) {
    const PublishedRun& run = log.runs.at(segment.job);
    const bool same = std::abs(run.start_s - static_cast<double>(micros(segment.start)) / 1e6) < 1e-5 && run.hosts == segment.hosts;
    different += same ? 0 : 1;
  }
  EXPECT_EQ(different, 0u);
}

TEST(ReserveK, exactly_the_first_k_blocked_jobs_have_reservations) {
  for (const int k : {1, 2, 3}) {
    Scenario s;
    s.nodes(3);
    s.configure({.backfill = "reserve_k", .parameters = {{"k", static_cast<double>(k)}}});
    s.submit({.tasks = 3, .walltime = 10s});
    std::vector<JobId> blocked;
    for (int i = 0; i < 4; ++i) blocked.push_back(s.submit({.tasks = 3, .walltime = 5s}));
    s.run(at(0s));
    for (int i = 0; i < 4; ++i)
      EXPECT_EQ(s.waiting(blocked[static_cast<std::size_t>(i)]).reservation.has_value(), i < k) << "k " << k << ", job " << i;
  }
}

}  // namespace
}  // namespace trainyard::sched::testing
