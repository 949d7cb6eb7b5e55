#include <gtest/gtest.h>

#include "sched/policy.h"
#include "sched/testing/scenario.h"

namespace trainyard::sched {
namespace {

using std::chrono::hours;
using testing::at;
using testing::Scenario;

/// A scenario whose root queue has this order.
Scenario ordered_by(const std::string& order, PolicyParameters parameters = {}) {
  Scenario scenario;
  scenario.configure({.order = order, .parameters = std::move(parameters)});
  scenario.nodes(1, {.cores = 100, .gpus = 8});
  return scenario;
}

/// All jobs in the order in which they are looked at when none starts and none is refused.
std::vector<JobId> order_at(const Scenario& scenario, TimePoint now) {
  std::vector<JobId> ids;
  const QueueSnapshot& queue = scenario.state.queue;
  const std::unique_ptr<OrderPass> pass = queue.queue(0).order->begin({scenario.state.cluster, queue, 0, now});
  while (const JobSnapshot* job = pass->next()) ids.push_back(job->id);
  return ids;
}

TEST(Orders, every_one_yields_each_job_once_and_then_nothing) {
  for (const OrderPolicy* policy : order_policies()) {
    Scenario scenario = ordered_by(policy->info().name);
    EXPECT_EQ(order_at(scenario, at(hours(1))), std::vector<JobId>()) << policy->info().name;
    for (int i = 0; i < 50; ++i) {
      scenario.submit({.walltime = hours(1 + i * 7 % 5),
                       .user = "user" + std::to_string(i % 3),
                       .tier = i % 2,
                       .priority = i * 3 % 7,
                       .queued_at = at(hours(i / 4))});
    }
    std::vector<JobId> ids = order_at(scenario, at(hours(20)));
    EXPECT_EQ(ids, order_at(scenario, at(hours(20)))) << policy->info().name;
    std::int32_t tier = 1;
    for (const JobId id : ids) {
      EXPECT_LE(scenario.waiting(id).tier, tier) << policy->info().name;
      tier = scenario.waiting(id).tier;
    }
    std::sort(ids.begin(), ids.end());
    EXPECT_EQ(ids, scenario.pending()) << policy->info().name;
  }
}

TEST(FifoOrder, tier_then_arrival_then_sequence_decide) {
  Scenario scenario = ordered_by("fifo");
  const JobId late = scenario.submit({.priority = 9, .queued_at = at(hours(2))});
  const JobId early = scenario.submit({.queued_at = at(hours(1))});
  const JobId second = scenario.submit({.queued_at = at(hours(1))});
  const JobId urgent = scenario.submit({.tier = 1, .queued_at = at(hours(3))});
  EXPECT_EQ(order_at(scenario, at(hours(3))), (std::vector{urgent, early, second, late}));
}

TEST(PriorityOrder, age_overtakes_priority_until_it_is_capped) {
  Scenario scenario = ordered_by("priority", {{"ageing_per_hour", 1}, {"ageing_cap_h", 10}});
  const JobId old = scenario.submit({.priority = 0, .queued_at = at(hours(0))});
  const JobId important = scenario.submit({.priority = 5, .queued_at = at(hours(4))});
  EXPECT_EQ(order_at(scenario, at(hours(4))), (std::vector{important, old}));
  // One has aged by 10 and no more, the other by 6, to 11.
  EXPECT_EQ(order_at(scenario, at(hours(10))), (std::vector{important, old}));
  const JobId minor = scenario.submit({.priority = 2, .queued_at = at(hours(3))});
  EXPECT_EQ(order_at(scenario, at(hours(10))), (std::vector{important, old, minor}));
  EXPECT_EQ(order_at(scenario, at(hours(30))), (std::vector{important, minor, old}));
}

TEST(PriorityOrder, ageing_of_zero_leaves_priority_alone_and_ties_go_by_arrival) {
  Scenario scenario = ordered_by("priority", {{"ageing_per_hour", 0}});
  const JobId low = scenario.submit({.priority = 1, .queued_at = at(hours(0))});
  const JobId high = scenario.submit({.priority = 2, .queued_at = at(hours(9))});
  const JobId high_too = scenario.submit({.priority = 2, .queued_at = at(hours(8))});
  EXPECT_EQ(order_at(scenario, at(hours(1000))), (std::vector{high_too, high, low}));
}

TEST(PriorityOrder, fair_share_weight_lifts_the_user_with_less_history) {
  for (const double weight : {0.0, 10.0}) {
    Scenario scenario = ordered_by("priority", {{"ageing_per_hour", 0}, {"fair_share_weight", weight}});
    const JobId heavy = scenario.submit({.user = "heavy", .priority = 4});
    const JobId light = scenario.submit({.user = "light", .priority = 0});
    scenario.state.queue.add_usage(scenario.waiting(heavy), 1000, at(hours(0)));
    // The factors are 1/2 and 1.
    EXPECT_EQ(order_at(scenario, at(hours(0))), weight > 0 ? (std::vector{light, heavy}) : (std::vector{heavy, light}));
  }
}

TEST(FairShareOrder, better_account_comes_first_then_its_user_with_less_use) {
  Scenario scenario = ordered_by("fair_share");
  QueueSnapshot& queue = scenario.state.queue;
  const JobId b1 = scenario.submit({.user = "b1", .priority = 100});
  const JobId a1 = scenario.submit({.user = "a1"});
  const JobId a2 = scenario.submit({.user = "a2"});
  for (const char* name : {"a1", "a2"}) {
    queue.user_state(queue.user(name)).account = "a";
    queue.user_state(queue.user(name)).weight_milli = 1500;
  }
  queue.user_state(queue.user("b1")).account = "b";
  queue.add_usage(scenario.waiting(a1), 45, at(hours(0)));
  queue.add_usage(scenario.waiting(a2), 5, at(hours(0)));
  queue.add_usage(scenario.waiting(b1), 50, at(hours(0)));
  EXPECT_EQ(order_at(scenario, at(hours(0))), (std::vector{a2, a1, b1}));
}

TEST(FairShareOrder, old_use_fades_with_the_half_life) {
  Scenario scenario = ordered_by("fair_share");
  QueueSnapshot& queue = scenario.state.queue;
  queue.sharing.half_life = hours(1);
  const JobId once = scenario.submit({.user = "once"});
  const JobId now_and_then = scenario.submit({.user = "now_and_then"});
  queue.add_usage(scenario.waiting(once), 100, at(hours(0)));
  queue.add_usage(scenario.waiting(now_and_then), 20, at(hours(2)));
  // 100 has fallen to 25 after two hours and to less than 20 / 2 after four, when 20 has become 5.
  EXPECT_EQ(order_at(scenario, at(hours(2))), (std::vector{now_and_then, once}));
  queue.add_usage(scenario.waiting(now_and_then), 6, at(hours(4)));
  EXPECT_EQ(order_at(scenario, at(hours(4))), (std::vector{once, now_and_then}));
}

TEST(FairShareOrder, service_of_jobs_that_still_run_counts) {
  Scenario scenario = ordered_by("fair_share");
  scenario.running_on({.cores = 50, .user = "runs"}, testing::tasks_on({{0, 1}}), at(hours(0)));
  const JobId runs = scenario.submit({.user = "runs"});
  const JobId idle = scenario.submit({.user = "idle"});
  EXPECT_EQ(order_at(scenario, at(hours(0))), (std::vector{runs, idle}));
  EXPECT_EQ(order_at(scenario, at(hours(1))), (std::vector{idle, runs}));
}

TEST(FairShareOrder, half_life_of_zero_looks_at_current_use_alone) {
  Scenario scenario = ordered_by("fair_share");
  scenario.state.queue.sharing.half_life = Duration(0);
  const JobId past = scenario.submit({.user = "past"});
  scenario.state.queue.add_usage(scenario.waiting(past), 1000, at(hours(0)));
  scenario.running_on({.user = "runs"}, testing::tasks_on({{0, 1}}), at(hours(1)));
  const JobId runs = scenario.submit({.user = "runs", .queued_at = at(hours(0))});
  EXPECT_EQ(order_at(scenario, at(hours(1))), (std::vector{past, runs}));
}

TEST(LasOrder, much_served_job_waits_behind_until_it_has_waited_long) {
  Scenario scenario = ordered_by("las", {{"threshold_gpu_hours", 16}, {"promote_after", 3}});
  const JobId served = scenario.submit({.gpus = 8, .queued_at = at(hours(0))});
  const JobId fresh = scenario.submit({.gpus = 1, .queued_at = at(hours(1))});
  JobSnapshot& job = *scenario.state.queue.find_mutable(served);
  constexpr std::int64_t kGpuHour = 1000 * 3600;
  job.attained_milli_seconds = 16 * kGpuHour - 1;
  EXPECT_EQ(order_at(scenario, at(hours(4))), (std::vector{served, fresh}));
  job.attained_milli_seconds = 16 * kGpuHour;
  EXPECT_EQ(order_at(scenario, at(hours(4))), (std::vector{fresh, served}));
  // It ran two hours on 8 devices: after 3 * 2 hours of waiting it is back.
  EXPECT_EQ(order_at(scenario, at(hours(8))), (std::vector{fresh, served}));
  EXPECT_EQ(order_at(scenario, at(hours(8) + Duration(1))), (std::vector{served, fresh}));
}

TEST(LasOrder, promote_after_zero_never_promotes) {
  Scenario scenario = ordered_by("las", {{"promote_after", 0}});
  const JobId served = scenario.submit({.gpus = 1});
  const JobId fresh = scenario.submit({.gpus = 1, .queued_at = at(hours(1))});
  scenario.state.queue.find_mutable(served)->attained_milli_seconds = std::int64_t{17} * 1000 * 3600;
  EXPECT_EQ(order_at(scenario, at(hours(100'000))), (std::vector{fresh, served}));
}

TEST(DeadlineOrder, least_slack_then_earlier_deadline_then_none) {
  Scenario scenario = ordered_by("deadline");
  const JobId none = scenario.submit({.walltime = hours(1)});
  const JobId soon = scenario.submit({.walltime = hours(1), .deadline = at(hours(5))});
  const JobId long_one = scenario.submit({.walltime = hours(9), .deadline = at(hours(10))});
  const JobId predicted = scenario.submit({.walltime = hours(9), .estimate = hours(2), .deadline = at(hours(6))});
  const JobId unlimited = scenario.submit({.deadline = at(hours(3))});
  EXPECT_EQ(order_at(scenario, at(hours(0))), (std::vector{long_one, unlimited, soon, predicted, none}));
}

TEST(ShortestOrder, estimate_counts_before_the_limit_and_unlimited_jobs_come_last) {
  Scenario scenario = ordered_by("shortest");
  const JobId unlimited = scenario.submit({});
  const JobId long_limit = scenario.submit({.walltime = hours(50), .estimate = hours(1)});
  const JobId two = scenario.submit({.walltime = hours(2)});
  const JobId capped = scenario.submit({.walltime = Duration(5), .estimate = hours(3)});
  EXPECT_EQ(order_at(scenario, at(hours(0))), (std::vector{capped, long_limit, two, unlimited}));
}

TEST(FinishTimeOrder, job_that_waited_most_for_its_length_comes_first) {
  Scenario scenario = ordered_by("finish_time");
  // Rho is (5 + 1) / 1, (8 + 8) / 8 and (9 + 1) / 1.
  const JobId short_one = scenario.submit({.walltime = hours(1), .queued_at = at(hours(4))});
  const JobId long_one = scenario.submit({.walltime = hours(8), .queued_at = at(hours(1))});
  const JobId older = scenario.submit({.walltime = hours(1), .queued_at = at(hours(0))});
  EXPECT_EQ(order_at(scenario, at(hours(9))), (std::vector{older, short_one, long_one}));
}

TEST(FinishTimeOrder, job_larger_than_its_part_of_the_cluster_has_more_patience) {
  Scenario scenario = ordered_by("finish_time");
  // Two contend, so that an equal part is half of the cluster: the large job would need twice its length alone.
  const JobId large = scenario.submit({.cores = 100, .walltime = hours(1)});
  const JobId small = scenario.submit({.cores = 50, .walltime = hours(1)});
  EXPECT_EQ(order_at(scenario, at(hours(1))), (std::vector{small, large}));
}

}  // namespace
}  // namespace trainyard::sched
