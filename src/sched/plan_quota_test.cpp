#include <gtest/gtest.h>

#include "sched/plan.h"
#include "sched/testing/checks.h"
#include "sched/testing/scenario.h"

namespace trainyard::sched::testing {
namespace {

using namespace std::chrono_literals;

Amounts cores(std::int64_t count) {
  Amounts amounts = Amounts::unlimited();
  amounts[kCpu] = count * 1000;
  return amounts;
}

/// 16 cores; queues "a" and "b" of 4 cores each, settings of "a" as given.
Scenario two_queues(QueueSettings a = {}, QueueSettings b = {}) {
  Scenario s;
  s.node("n", {.cores = 16});
  a.name = "a";
  b.name = "b";
  a.nominal = b.nominal = cores(4);
  s.queue(std::move(a));
  s.queue(std::move(b));
  return s;
}

void submit_to(Scenario& s, const std::string& queue, int jobs) {
  for (int i = 0; i < jobs; ++i) s.submit({.cores = 1, .queue = queue});
}

std::int64_t running_in(const Scenario& s, const std::string& queue) {
  return s.state.queue.queue(*s.state.queue.find_queue(queue)).running_jobs;
}

TEST(Quota, queue_borrows_what_others_of_its_cohort_do_not_use) {
  Scenario s = two_queues();
  submit_to(s, "a", 10);
  s.run(at(0s));
  EXPECT_EQ(running_in(s, "a"), 8);
}

TEST(Quota, what_another_queue_uses_is_not_borrowed) {
  Scenario s = two_queues();
  submit_to(s, "b", 3);
  s.run(at(0s));
  submit_to(s, "a", 10);
  s.run(at(1s));
  EXPECT_EQ(running_in(s, "a"), 5);
  EXPECT_EQ(running_in(s, "b"), 3);
}

TEST(Quota, borrow_limit_holds) {
  Scenario s = two_queues({.borrow_limit = cores(2)});
  submit_to(s, "a", 10);
  s.run(at(0s));
  EXPECT_EQ(running_in(s, "a"), 6);
}

TEST(Quota, promised_job_that_its_quota_stops_says_so_and_holds_no_node) {
  Scenario s;
  const NodeIndex large = s.node("n1", {.cores = 4});
  s.node("n2", {.cores = 1});
  s.queue({.name = "free", .backfill = "conservative"});
  s.queue({.name = "bound", .nominal = cores(4), .borrow_limit = {}, .backfill = "conservative"});
  const JobId before = s.running_on({.cores = 4, .walltime = 10s, .queue = "free"}, tasks_on({{large, 1}}), at(0s));
  const JobId promised = s.submit({.cores = 4, .walltime = 100s, .queue = "bound"});
  s.run(at(0s));
  ASSERT_EQ(s.waiting(promised).reservation->start, at(10s));
  s.submit({.cores = 1, .queue = "bound", .queued_at = at(1s)});
  s.run(at(1s));
  s.end(before, at(10s));
  const Decisions decisions = s.run(at(10s));
  EXPECT_EQ(reason_of(decisions, s.state.queue, promised), Reason::kWaitingForQuota);
  EXPECT_EQ(s.waiting(promised).reservation, std::nullopt);
  EXPECT_LE(decisions.wake_at, at(10s) + Duration(1)) << "others get the node at once";
  const JobId other = s.submit({.cores = 4, .walltime = 50s, .queue = "free", .queued_at = at(11s)});
  s.run(at(11s));
  EXPECT_TRUE(s.is_running(other));
}

TEST(Quota, lend_limit_holds) {
  Scenario s = two_queues({}, {.lend_limit = cores(1)});
  submit_to(s, "a", 10);
  s.run(at(0s));
  EXPECT_EQ(running_in(s, "a"), 5);
  submit_to(s, "b", 10);
  s.run(at(1s));
  EXPECT_EQ(running_in(s, "b"), 3) << "one of its four is lent out";
}

TEST(Quota, quota_of_a_cohort_is_there_for_its_queues) {
  Scenario s;
  s.node("n", {.cores = 16});
  s.queue({.name = "cohort", .nominal = cores(3)});
  s.queue({.name = "a", .parent = "cohort", .nominal = cores(4)});
  s.queue({.name = "b", .parent = "cohort", .nominal = cores(2)});
  submit_to(s, "a", 16);
  s.run(at(0s));
  EXPECT_EQ(running_in(s, "a"), 9);
}

TEST(Quota, limit_of_a_cohort_is_tested_at_every_ancestor) {
  Scenario s;
  s.node("n", {.cores = 16});
  s.queue({.name = "left", .nominal = cores(0), .borrow_limit = cores(1)});
  s.queue({.name = "a", .parent = "left", .nominal = cores(2)});
  s.queue({.name = "right", .nominal = cores(8)});
  submit_to(s, "a", 10);
  s.run(at(0s));
  EXPECT_EQ(running_in(s, "a"), 3) << "two of its own, one that the cohort may borrow";
}

TEST(Quota, queue_without_a_quota_is_limited_by_room_alone) {
  Scenario s;
  s.node("n", {.cores = 3});
  s.queue({.name = "a"});
  submit_to(s, "a", 10);
  s.run(at(0s));
  EXPECT_EQ(running_in(s, "a"), 3);
}

TEST(Quota, resource_that_the_job_does_not_ask_for_does_not_gate) {
  Scenario s;
  s.node("n", {.cores = 4, .gpus = 2});
  Amounts no_gpu = cores(4);
  no_gpu[kGpu] = 0;
  s.queue({.name = "a", .nominal = no_gpu, .backfill = "easy"});
  s.running_on({.cores = 1, .gpus = 1}, {{.node = 0, .tasks = 1, .devices = 1}}, at(0s));
  const JobId with_gpu = s.submit({.cores = 1, .gpus = 1});
  const JobId without = s.submit({.cores = 1});
  s.run(at(0s));
  EXPECT_FALSE(s.is_running(with_gpu));
  EXPECT_TRUE(s.is_running(without)) << "GPUs are used beyond the quota, but it asks for none";
}

TEST(Quota, gang_counts_with_all_its_tasks) {
  Scenario s = two_queues({.borrow_limit = cores(0)}, {});
  const JobId gang = s.submit({.cores = 1, .tasks = 5, .queue = "a"});
  s.run(at(0s));
  EXPECT_FALSE(s.is_running(gang));
  s.state.withdraw(gang);
  const JobId smaller = s.submit({.cores = 1, .tasks = 4, .queue = "a"});
  s.run(at(1s));
  EXPECT_TRUE(s.is_running(smaller));
}

TEST(Quota, job_larger_than_the_queue_could_ever_use_exceeds_its_maximum) {
  Scenario s = two_queues({.borrow_limit = cores(2)});
  const JobId job = s.submit({.cores = 7, .queue = "a"});
  EXPECT_EQ(reason_of(s.planned(at(0s)), s.state.queue, job), Reason::kExceedsMaxQuota);
}

TEST(Quota, job_at_the_borrow_limit_says_so) {
  Scenario s = two_queues({.borrow_limit = cores(2)});
  submit_to(s, "a", 7);
  const Decisions decisions = s.planned(at(0s));
  EXPECT_EQ(decisions.starts.size(), 6u);
  EXPECT_EQ(reason_of(decisions, s.state.queue, JobId(7)), Reason::kBorrowingLimitReached);
}

TEST(Quota, job_that_waits_for_quota_of_others_says_so) {
  Scenario s = two_queues();
  submit_to(s, "b", 4);
  s.run(at(0s));
  submit_to(s, "a", 5);
  const Decisions decisions = s.planned(at(1s));
  EXPECT_EQ(decisions.starts.size(), 4u);
  EXPECT_EQ(reason_of(decisions, s.state.queue, JobId(9)), Reason::kWaitingForQuota);
}

TEST(Quota, admitted_job_always_has_nodes) {
  Scenario s;
  s.nodes(2, {.cores = 2});
  s.queue({.name = "a", .nominal = cores(3)});
  s.queue({.name = "b", .nominal = cores(3)});
  const JobId wide = s.submit({.cores = 3, .queue = "a"});
  const JobId other = s.submit({.cores = 2, .tasks = 2, .queue = "b"});
  const Decisions decisions = s.run(at(0s));
  EXPECT_FALSE(s.is_running(wide)) << "within its quota, but no node is that large";
  EXPECT_TRUE(s.is_running(other)) << "a job without nodes charges no quota: one core is borrowed";
}

TEST(Quota, release_of_quota_lets_the_next_job_start) {
  Scenario s = two_queues({.borrow_limit = cores(0)});
  submit_to(s, "a", 5);
  s.run(at(0s));
  EXPECT_EQ(running_in(s, "a"), 4);
  s.end(JobId(1), at(5s));
  EXPECT_EQ(started(s.run(at(5s))), (std::vector<JobId>{JobId(5)}));
}

}  // namespace
}  // namespace trainyard::sched::testing
