#include <gtest/gtest.h>

#include "sched/plan.h"
#include "sched/testing/backfill_comparison.h"
#include "sched/testing/scenario.h"

namespace trainyard::sched::testing {
namespace {

using namespace std::chrono_literals;

struct ExpectedRun {
  Duration start;
  Duration end;
  std::vector<NodeIndex> hosts;
};

/// Jobs of an example as (submit, hosts, walltime, runtime), in order, on 3
/// hosts.
std::vector<HostJob> example(const std::vector<std::array<int, 4>>& lines) {
  std::vector<HostJob> jobs;
  for (const auto& [submit, hosts, walltime, runtime] : lines) {
    jobs.push_back({.id = JobId(jobs.size() + 1),
                    .submit = at(std::chrono::seconds(submit)),
                    .hosts = static_cast<std::size_t>(hosts),
                    .walltime = std::chrono::seconds(walltime),
                    .runtime = std::chrono::seconds(runtime)});
  }
  return jobs;
}

void expect_schedule(const std::string& backfill, const std::vector<HostJob>& jobs, const std::vector<ExpectedRun>& expected) {
  SCOPED_TRACE(backfill);
  const LoopOutcome outcome = planned_schedule(backfill, 3, jobs, {.on_pass = check_pass});
  EXPECT_FALSE(outcome.violation) << *outcome.violation;
  ASSERT_EQ(outcome.segments.size(), expected.size());
  for (const Segment& segment : outcome.segments) {
    const ExpectedRun& run = expected[segment.job.value - 1];
    EXPECT_EQ(segment.start, at(run.start)) << "J" << segment.job.value - 1;
    EXPECT_EQ(segment.end, at(run.end)) << "J" << segment.job.value - 1;
    EXPECT_EQ(segment.hosts, run.hosts) << "J" << segment.job.value - 1;
  }
}

const std::vector<std::array<int, 4>> kFirstExample{{0, 1, 4, 4}, {1, 2, 4, 4}, {2, 2, 2, 2}, {3, 1, 3, 1}};
const std::vector<std::array<int, 4>> kSecondExample{{0, 1, 6, 6}, {1, 2, 8, 4}, {2, 3, 2, 1}, {3, 1, 2, 2}};

TEST(Backfill, head_keeps_its_concrete_hosts_under_easy) {
  const std::vector<ExpectedRun> expected{{0s, 4s, {0}}, {1s, 5s, {1, 2}}, {5s, 7s, {0, 1}}, {5s, 6s, {2}}};
  expect_schedule("easy", example(kFirstExample), expected);
  expect_schedule("conservative", example(kFirstExample), expected);
  expect_schedule("reserve_k", example(kFirstExample), expected);
  expect_schedule("strict_fifo", example(kFirstExample), expected);
}

TEST(Backfill, count_rule_starts_a_job_on_a_host_that_easy_keeps) {
  expect_schedule("easy_count", example(kFirstExample), {{0s, 4s, {0}}, {1s, 5s, {1, 2}}, {5s, 7s, {0, 1}}, {4s, 5s, {0}}});
}

TEST(Backfill, conservative_starts_the_small_job_that_easy_refuses) {
  expect_schedule("conservative", example(kSecondExample), {{0s, 6s, {0}}, {1s, 5s, {1, 2}}, {7s, 8s, {0, 1, 2}}, {5s, 7s, {1}}});
  const std::vector<ExpectedRun> easy{{0s, 6s, {0}}, {1s, 5s, {1, 2}}, {6s, 7s, {0, 1, 2}}, {7s, 9s, {0}}};
  expect_schedule("easy", example(kSecondExample), easy);
  expect_schedule("easy_count", example(kSecondExample), easy);
  expect_schedule("strict_fifo", example(kSecondExample), easy);
}

TEST(Backfill, job_that_does_not_fit_blocks_all_behind_it_under_strict_fifo) {
  Scenario s = Scenario::of_hosts(3, "strict_fifo");
  s.submit({.tasks = 2});
  s.submit({.tasks = 2});
  s.submit({.tasks = 1});
  s.run(at(0s));
  EXPECT_EQ(s.running(), (std::vector<JobId>{JobId(1)}));
}

TEST(Backfill, job_that_is_short_of_gpus_blocks_only_jobs_with_gpus_under_fifo) {
  Scenario s;
  s.node("a", {.cores = 8, .memory_gib = 8, .gpus = 2});
  s.configure({.backfill = "fifo"});
  s.running_on({.gpus = 1}, {{.node = 0, .tasks = 1, .devices = 1}}, at(0s));
  const JobId blocked = s.submit({.cores = 1, .gpus = 2});
  const JobId with_gpu = s.submit({.cores = 1, .gpus = 1});
  const JobId without = s.submit({.cores = 2, .memory_gib = 2});
  const Decisions decisions = s.run(at(0s));
  EXPECT_EQ(started(decisions), (std::vector<JobId>{without}));
  EXPECT_EQ(reason_of(decisions, s.state.queue, blocked), Reason::kWaitingForResources);
  EXPECT_TRUE(reason_of(decisions, s.state.queue, with_gpu).has_value());
}

TEST(Backfill, window_is_half_open_so_a_job_may_end_when_the_reservation_starts) {
  Scenario s = Scenario::of_hosts(2, "easy");
  s.running_on({.walltime = 10s}, tasks_on({{0, 1}}), at(0s));
  const JobId head = s.submit({.tasks = 2, .walltime = 10s});
  const JobId longer = s.submit({.walltime = 10s + 1us});
  const JobId exact = s.submit({.walltime = 10s});
  const Decisions decisions = s.run(at(0s));
  EXPECT_EQ(started(decisions), (std::vector<JobId>{exact}));
  EXPECT_EQ(s.waiting(head).reservation->start, at(10s));
  EXPECT_EQ(reason_of(decisions, s.state.queue, head), Reason::kWaitingForResources);
  EXPECT_EQ(reason_of(decisions, s.state.queue, longer), Reason::kWaitingForReservation);
}

TEST(Backfill, limit_counts_and_not_the_estimate) {
  Scenario s = Scenario::of_hosts(2, "easy");
  s.running_on({.walltime = 10s, .estimate = 2s}, tasks_on({{0, 1}}), at(0s));
  const JobId head = s.submit({.tasks = 2, .walltime = 10s, .estimate = 1s});
  const JobId behind = s.submit({.walltime = 11s, .estimate = 1s});
  s.run(at(0s));
  EXPECT_EQ(s.waiting(head).reservation->start, at(10s));
  EXPECT_FALSE(s.is_running(behind));
}

TEST(Backfill, refused_job_is_told_which_job_the_reservation_protects) {
  Scenario s = Scenario::of_hosts(2, "easy");
  s.running_on({.walltime = 10s}, tasks_on({{0, 1}}), at(0s));
  const JobId head = s.submit({.tasks = 2, .walltime = 10s});
  const JobId behind = s.submit({.walltime = 60s});
  const Decisions decisions = s.planned(at(0s));
  ASSERT_EQ(decisions.waits.size(), 2u);
  EXPECT_EQ(decisions.waits[0].job, head);
  EXPECT_EQ(decisions.waits[0].at, at(10s));
  EXPECT_EQ(decisions.waits[1].job, behind);
  EXPECT_EQ(decisions.waits[1].blocker, head);
}

TEST(Backfill, job_past_its_limit_is_never_taken_for_gone) {
  Scenario s = Scenario::of_hosts(2, "easy");
  s.running_on({.walltime = 10s}, tasks_on({{0, 1}}), at(0s));
  const JobId head = s.submit({.tasks = 2, .walltime = 10s});
  for (const Duration now : {1s, 10s, 12s, 100s}) {
    const Decisions decisions = s.run(at(now));
    EXPECT_TRUE(decisions.starts.empty());
    ASSERT_TRUE(s.waiting(head).reservation.has_value());
    EXPECT_GT(s.waiting(head).reservation->start, at(now) - Duration(1));
  }
}

TEST(Backfill, job_that_cannot_be_reserved_takes_no_place_of_a_protected_one) {
  Scenario s = Scenario::of_hosts(3, "easy");
  s.running_on({.walltime = 10s}, tasks_on({{0, 1}}), at(0s));
  const JobId impossible = s.submit({.gpus = 1, .walltime = 10s});
  const JobId head = s.submit({.tasks = 3, .walltime = 10s});
  const JobId small = s.submit({.tasks = 2, .walltime = 10s});
  const JobId long_one = s.submit({.tasks = 2, .walltime = 11s});
  s.run(at(0s));
  EXPECT_FALSE(s.is_running(impossible));
  ASSERT_TRUE(s.is_pending(head));
  ASSERT_TRUE(s.waiting(head).reservation.has_value());
  EXPECT_EQ(s.waiting(head).reservation->start, at(10s));
  EXPECT_TRUE(s.is_running(small));
  EXPECT_FALSE(s.is_running(long_one));
}

TEST(Backfill, reservation_of_one_queue_holds_against_another) {
  Scenario s;
  s.nodes(2);
  s.queue({.name = "large", .backfill = "easy"});
  s.queue({.name = "small", .backfill = "easy"});
  s.running_on({.walltime = 10s, .queue = "large"}, tasks_on({{0, 1}}), at(0s));
  const JobId head = s.submit({.tasks = 2, .walltime = 10s, .queue = "large", .queued_at = at(0s)});
  const JobId other = s.submit({.walltime = 11s, .queue = "small", .queued_at = at(1s)});
  const JobId short_one = s.submit({.walltime = 9s, .queue = "small", .queued_at = at(1s)});
  s.run(at(1s));
  EXPECT_EQ(s.waiting(head).reservation->start, at(10s));
  EXPECT_FALSE(s.is_running(other));
  EXPECT_TRUE(s.is_running(short_one));
}

TEST(Backfill, gangs_of_several_resources_are_reserved_whole) {
  Scenario s;
  s.nodes(2, {.cores = 8, .memory_gib = 32, .gpus = 4});
  s.configure({.backfill = "easy"});
  s.running_on({.cores = 2, .gpus = 3, .walltime = 100s}, {{.node = 0, .tasks = 1, .devices = 7}}, at(0s));
  s.running_on({.cores = 2, .gpus = 2, .walltime = 50s}, {{.node = 1, .tasks = 1, .devices = 3}}, at(0s));
  const JobId head = s.submit({.cores = 2, .gpus = 2, .tasks = 3, .walltime = 60s});
  const JobId cpu_only = s.submit({.cores = 4, .tasks = 2, .walltime = kForever});
  const JobId one_gpu = s.submit({.cores = 1, .gpus = 1, .walltime = 50s});
  s.run(at(0s));
  ASSERT_TRUE(s.is_pending(head));
  EXPECT_EQ(s.waiting(head).reservation->start, at(100s));
  EXPECT_EQ(task_count(s.waiting(head).reservation->nodes), 3);
  EXPECT_TRUE(s.is_running(cpu_only)) << "4 + 4 cores fit beside three tasks of 2";
  EXPECT_TRUE(s.is_running(one_gpu)) << "it ends before the reservation";
}

// --- room held for a claim

struct ClaimedNode {
  Scenario s;
  JobId first_victim;
  JobId second_victim;
  JobId preemptor;
};

/// A node of 4 cores, two victims of 2 cores that have been asked to leave, and
/// who gets the room.
ClaimedNode claimed_node() {
  ClaimedNode world;
  Scenario& s = world.s;
  s.node("a", {.cores = 4});
  s.configure({.backfill = "easy"});
  world.first_victim = s.running_on({.cores = 2}, tasks_on({{0, 1}}), at(0s));
  world.second_victim = s.running_on({.cores = 2}, tasks_on({{0, 1}}), at(0s));
  world.preemptor = s.submit({.cores = 4, .walltime = 100s, .tier = 1});
  const Claim claim{
      .nodes = tasks_on({{0, 1}}), .victims = {world.first_victim, world.second_victim}, .since = at(1s), .grace_ends = at(31s)};
  s.state.apply({.preemptions = {{.preemptor = world.preemptor, .claim = claim}}}, at(1s));
  return world;
}

TEST(Claims, freed_room_is_kept_while_other_victims_still_leave) {
  ClaimedNode world = claimed_node();
  Scenario& s = world.s;
  const JobId other = s.submit({.cores = 2, .walltime = 1s, .tier = 2});
  s.end(world.first_victim, at(5s), true);
  const Decisions decisions = s.run(at(5s));
  EXPECT_TRUE(decisions.starts.empty());
  EXPECT_EQ(reason_of(decisions, s.state.queue, world.preemptor), Reason::kWaitingForPreempted);
  EXPECT_FALSE(s.is_running(other));
}

TEST(Claims, preemptor_starts_in_its_claim_when_the_last_victim_is_gone) {
  ClaimedNode world = claimed_node();
  Scenario& s = world.s;
  s.submit({.cores = 2, .walltime = 1s, .tier = 2});
  s.end(world.first_victim, at(5s), true);
  s.run(at(5s));
  s.end(world.second_victim, at(6s), true);
  EXPECT_EQ(started(s.run(at(6s))), (std::vector<JobId>{world.preemptor}));
  EXPECT_EQ(s.hosts(world.preemptor), (std::vector<NodeIndex>{0}));
}

TEST(Claims, room_of_a_claim_that_was_dropped_is_free_again) {
  ClaimedNode world = claimed_node();
  Scenario& s = world.s;
  const JobId other = s.submit({.cores = 2});
  s.end(world.first_victim, at(5s), true);
  s.state.withdraw(world.preemptor);
  s.run(at(5s));
  EXPECT_TRUE(s.is_running(other));
}

}  // namespace
}  // namespace trainyard::sched::testing
