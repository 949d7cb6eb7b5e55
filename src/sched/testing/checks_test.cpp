#include "sched/testing/checks.h"

#include <gtest/gtest.h>

#include "sched/testing/contract.h"
#include "sched/testing/naive_backfill.h"
#include "sched/testing/random_state.h"
#include "sched/testing/scenario.h"

namespace trainyard::sched::testing {
namespace {

using namespace std::chrono_literals;

// Every check is given a decision that breaks it: a check that cannot fail
// would not be one.

Violation judge(Violation (*check)(const PlannedPass&), const Scenario& s, const Decisions& decisions, TimePoint now = at(0s)) {
  return check({.before = s.state, .decisions = decisions, .now = now});
}

Start start_on(JobId job, const Placement& nodes) { return {.job = job, .nodes = nodes}; }

TEST(Checks, too_many_tasks_on_a_node_are_oversubscription) {
  Scenario s = Scenario::of_hosts(2, "strict_fifo");
  const JobId a = s.submit({});
  const JobId b = s.submit({});
  EXPECT_FALSE(judge(never_oversubscribes, s, {.starts = {start_on(a, tasks_on({{0, 1}})), start_on(b, tasks_on({{1, 1}}))}}));
  EXPECT_TRUE(judge(never_oversubscribes, s, {.starts = {start_on(a, tasks_on({{0, 1}})), start_on(b, tasks_on({{0, 1}}))}}));
}

TEST(Checks, device_that_is_given_away_twice_is_oversubscription) {
  Scenario s;
  s.node("a", {.cores = 4, .gpus = 2});
  const JobId a = s.submit({.gpus = 1});
  const JobId b = s.submit({.gpus = 1});
  const auto decisions = [&](DeviceMask second) {
    return Decisions{
        .starts = {start_on(a, {{.node = 0, .tasks = 1, .devices = 1}}), start_on(b, {{.node = 0, .tasks = 1, .devices = second}})}};
  };
  EXPECT_FALSE(judge(never_oversubscribes, s, decisions(2)));
  EXPECT_TRUE(judge(never_oversubscribes, s, decisions(1)));
}

TEST(Checks, start_in_the_room_of_a_claim_is_oversubscription) {
  Scenario s = Scenario::of_hosts(1, "easy");
  const JobId victim = s.running_on({}, tasks_on({{0, 1}}), at(0s));
  const JobId preemptor = s.submit({.tier = 1});
  const Claim claim{.nodes = tasks_on({{0, 1}}), .victims = {victim}, .since = at(0s), .grace_ends = at(9s)};
  s.state.apply({.preemptions = {{.preemptor = preemptor, .claim = claim}}}, at(0s));
  EXPECT_FALSE(judge(never_oversubscribes, s, {}, at(1s)));
  s.end(victim, at(1s), true);
  const JobId thief = s.submit({});
  EXPECT_TRUE(judge(never_oversubscribes, s, {.starts = {start_on(thief, tasks_on({{0, 1}}))}}, at(1s)));
}

TEST(Checks, half_a_gang_or_a_wrong_node_is_not_whole) {
  Scenario s = Scenario::of_hosts(3, "strict_fifo");
  const JobId gang = s.submit({.tasks = 2});
  EXPECT_FALSE(judge(gangs_whole, s, {.starts = {start_on(gang, tasks_on({{0, 1}, {1, 1}}))}}));
  EXPECT_TRUE(judge(gangs_whole, s, {.starts = {start_on(gang, tasks_on({{0, 1}}))}}));
  EXPECT_TRUE(judge(gangs_whole, s, {.starts = {start_on(gang, tasks_on({{1, 1}, {0, 1}}))}}));
  s.state.cluster.set_drained(1, true);
  EXPECT_TRUE(judge(gangs_whole, s, {.starts = {start_on(gang, tasks_on({{0, 1}, {1, 1}}))}}));
}

TEST(Checks, start_of_a_held_job_or_twice_the_same_is_not_allowed) {
  Scenario s = Scenario::of_hosts(3, "strict_fifo");
  const JobId held = s.submit({.held = true});
  const JobId free = s.submit({});
  EXPECT_TRUE(judge(gangs_whole, s, {.starts = {start_on(held, tasks_on({{0, 1}}))}}));
  EXPECT_TRUE(judge(gangs_whole, s, {.starts = {start_on(free, tasks_on({{0, 1}})), start_on(free, tasks_on({{1, 1}}))}}));
}

TEST(Checks, other_decisions_than_the_planner_makes_are_not_deterministic) {
  Scenario s = Scenario::of_hosts(2, "strict_fifo");
  s.submit({});
  Decisions decisions = s.planned(at(0s));
  EXPECT_FALSE(judge(deterministic, s, decisions));
  decisions.wake_at = at(9s);
  EXPECT_TRUE(judge(deterministic, s, decisions));
}

TEST(Checks, job_without_or_with_two_or_with_the_wrong_reason_is_noticed) {
  Scenario s = Scenario::of_hosts(1, "strict_fifo");
  const JobId job = s.submit({.tasks = 2});
  const Wait wait{.job = job, .reason = Reason::kWaitingForResources};
  const Wait suspended{.job = job, .reason = Reason::kSuspended};
  EXPECT_FALSE(judge(every_pending_job_has_one_reason, s, {.waits = {wait}}));
  EXPECT_TRUE(judge(every_pending_job_has_one_reason, s, {}));
  EXPECT_TRUE(judge(every_pending_job_has_one_reason, s, {.waits = {wait, wait}}));
  EXPECT_TRUE(judge(every_pending_job_has_one_reason, s, {.waits = {suspended}}));
  EXPECT_TRUE(judge(every_pending_job_has_one_reason, s, {.starts = {start_on(job, tasks_on({{0, 2}}))}, .waits = {wait}}));
}

TEST(Checks, start_beyond_quota_or_limit_is_noticed) {
  Scenario s = Scenario::of_hosts(4, "strict_fifo");
  Amounts one_core = Amounts::unlimited();
  one_core[kCpu] = 1000;
  s.queue({.name = "quota", .nominal = one_core});
  const JobId a = s.submit({});
  const JobId b = s.submit({});
  s.queue({.name = "limit", .running_jobs_max = 1});
  const JobId c = s.submit({});
  const JobId d = s.submit({});
  EXPECT_FALSE(judge(quota_never_exceeded, s, {.starts = {start_on(a, tasks_on({{0, 1}})), start_on(c, tasks_on({{1, 1}}))}}));
  EXPECT_TRUE(judge(quota_never_exceeded, s, {.starts = {start_on(a, tasks_on({{0, 1}})), start_on(b, tasks_on({{1, 1}}))}}));
  EXPECT_TRUE(judge(quota_never_exceeded, s, {.starts = {start_on(c, tasks_on({{0, 1}})), start_on(d, tasks_on({{1, 1}}))}}));
}

TEST(Checks, start_over_a_reservation_is_not_feasible) {
  Scenario s = Scenario::of_hosts(1, "easy");
  const JobId reserved = s.submit({.walltime = 10s});
  const JobId late = s.submit({.walltime = 6s});
  const ReservationChange promise{.job = reserved, .reservation = Reservation{.start = at(5s), .nodes = tasks_on({{0, 1}})}};
  EXPECT_FALSE(judge(promises_are_feasible, s, {.reservations = {promise}}));
  EXPECT_TRUE(judge(promises_are_feasible, s, {.starts = {start_on(late, tasks_on({{0, 1}}))}, .reservations = {promise}}));
}

TEST(Checks, idle_node_beside_a_job_that_fits_is_not_work_conserving) {
  Scenario s = Scenario::of_hosts(1, "easy");
  const JobId job = s.submit({.walltime = 10s});
  EXPECT_FALSE(judge(work_conserving, s, {.starts = {start_on(job, tasks_on({{0, 1}}))}}));
  EXPECT_TRUE(judge(work_conserving, s, {}));
}

TEST(Checks, reservation_that_is_lost_late_or_missed_is_noticed) {
  Scenario s = Scenario::of_hosts(1, "conservative");
  s.running_on({.walltime = 5s}, tasks_on({{0, 1}}), at(0s));
  const JobId job = s.submit({.walltime = 10s});
  s.run(at(0s));
  const auto moved_to = [job](Duration start) {
    return Decisions{.reservations = {{.job = job, .reservation = Reservation{.start = at(start), .nodes = tasks_on({{0, 1}})}}}};
  };
  EXPECT_FALSE(judge(reservations_never_move_later, s, {}, at(1s)));
  EXPECT_FALSE(judge(reservations_never_move_later, s, moved_to(4s), at(1s)));
  EXPECT_TRUE(judge(reservations_never_move_later, s, moved_to(6s), at(1s)));
  EXPECT_TRUE(judge(reservations_never_move_later, s, {.reservations = {{.job = job, .reservation = std::nullopt}}}, at(1s)));
  EXPECT_TRUE(judge(reservations_never_move_later, s, {}, at(5s)));
}

TEST(Checks, backoff_or_reservation_without_a_wake_up_is_noticed) {
  Scenario s = Scenario::of_hosts(1, "conservative");
  const JobId job = s.submit({.walltime = 10s, .eligible_at = at(9s)});
  Decisions decisions{.waits = {{.job = job, .reason = Reason::kBackoff}}};
  EXPECT_TRUE(judge(wakes_up_in_time, s, decisions));
  decisions.wake_at = at(9s);
  EXPECT_FALSE(judge(wakes_up_in_time, s, decisions));
  EXPECT_TRUE(judge(wakes_up_in_time, s, decisions, at(9s)));
  const ReservationChange promise{.job = job, .reservation = Reservation{.start = at(5s), .nodes = tasks_on({{0, 1}})}};
  EXPECT_TRUE(judge(wakes_up_in_time, s, {.reservations = {promise}}));
}

TEST(Checks, later_job_before_a_waiting_one_overtakes_it) {
  Scenario s = Scenario::of_hosts(1, "strict_fifo");
  s.submit({});
  const JobId second = s.submit({});
  OvertakesAtMost overtakes;
  EXPECT_FALSE(overtakes.after({.before = s.state, .decisions = s.planned(at(0s)), .now = at(0s)}));
  const Decisions wrong{.starts = {start_on(second, tasks_on({{0, 1}}))}};
  EXPECT_TRUE(overtakes.after({.before = s.state, .decisions = wrong, .now = at(0s)}));
}

TEST(Checks, shrinking_keeps_only_what_a_failure_needs) {
  SeededRng rng(7);
  const Recipe recipe = random_recipe(rng, {.pending_max = 30, .full = true});
  const auto fails = [](const Recipe& smaller) {
    return std::any_of(smaller.jobs.begin(), smaller.jobs.end(), [](const RandomJob& job) { return job.spec.id == JobId(11); });
  };
  const Recipe small = shrink(recipe, fails);
  ASSERT_EQ(small.jobs.size(), 1u);
  EXPECT_EQ(small.jobs[0].spec.id, JobId(11));
  EXPECT_EQ(small.nodes.size(), 1u);
  EXPECT_TRUE(small.queues.empty());
}

TEST(Checks, equal_seeds_build_equal_states) {
  const RandomStateSettings settings{.pending_max = 30, .elastic = true, .preemption = true};
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const Scenario a = random_scenario(seed, settings);
    const Scenario b = random_scenario(seed, settings);
    EXPECT_EQ(a.planned(at(10s)), b.planned(at(10s))) << "seed " << seed;
  }
}

// The naive rules are the measure for the planner; these figures are known for
// them from elsewhere.

TEST(NaiveBackfill, second_example_runs_as_published) {
  const std::vector<HostJob> jobs{
      {JobId(1), at(0s), 1, 6s, 6s}, {JobId(2), at(1s), 2, 8s, 4s}, {JobId(3), at(2s), 3, 2s, 1s}, {JobId(4), at(3s), 1, 2s, 2s}};
  const HostSchedule schedule = naive_schedule(BackfillRule::kConservative, 3, jobs);
  ASSERT_EQ(schedule.runs.size(), 4u);
  EXPECT_EQ(schedule.runs[2].job, JobId(4));
  EXPECT_EQ(schedule.runs[2].start, at(5s));
  EXPECT_EQ(schedule.runs[3].start, at(7s));
  EXPECT_EQ(schedule.promises.at(at(5s)).at(JobId(3)).start, at(8s));
}

}  // namespace
}  // namespace trainyard::sched::testing
