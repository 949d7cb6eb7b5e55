#include "sched/preemption.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.h"
#include "sched/testing/eviction.h"

namespace trainyard::sched {
namespace {

using namespace std::chrono_literals;
using testing::asked;
using testing::at;
using testing::cores_quota;
using testing::gpus_on;
using testing::preempting;
using testing::Scenario;
using testing::tasks_on;

std::vector<JobId> victims_of(const EvictionAnswer& answer) { return answer.plan ? answer.plan->claim.victims : std::vector<JobId>(); }

// --- cost

TEST(EvictionCost, work_since_the_last_checkpoint_and_the_restart_count_by_size) {
  Scenario s;
  s.node("n", {.cores = 8, .gpus = 8});
  const JobId id = s.running_on({.gpus = 8, .restart_cost = 60s}, gpus_on({{0, 1, 0xff}}), at(0s));
  RunningJob& running = *s.state.cluster.find_mutable(id);
  EXPECT_EQ(eviction_cost(running, 30s, at(50min)), 24'480'000);
  running.last_checkpoint = at(45min);
  EXPECT_EQ(eviction_cost(running, 30s, at(50min)), 2'880'000);
}

TEST(EvictionCost, job_without_gpus_counts_by_its_cores) {
  Scenario s;
  s.node("n", {.cores = 8});
  const JobId id = s.running_on({.cores = 2, .tasks = 3}, tasks_on({{0, 3}}), at(0s));
  EXPECT_EQ(eviction_cost(*s.state.cluster.find(id), 30s, at(100s)), 600'000);
}

TEST(EvictionCost, job_that_has_just_checkpointed_still_costs_a_minute_of_its_size) {
  Scenario s;
  s.node("n", {.cores = 8, .gpus = 4});
  const JobId id = s.running_on({.gpus = 4, .restart_cost = 10s}, gpus_on({{0, 1, 0xf}}), at(0s));
  s.state.cluster.find_mutable(id)->last_checkpoint = at(99s);
  EXPECT_EQ(eviction_cost(*s.state.cluster.find(id), 30s, at(100s)), 60 * 4000);
}

TEST(EvictionCost, checkpoint_that_fits_the_grace_costs_itself_instead_of_the_work) {
  Scenario s;
  s.node("n", {.cores = 8, .gpus = 1});
  const JobId id = s.running_on({.gpus = 1, .checkpoint_cost = 30s, .restart_cost = 60s}, gpus_on({{0, 1, 1}}), at(0s));
  EXPECT_EQ(eviction_cost(*s.state.cluster.find(id), 30s, at(1h)), 90 * 1000);
  EXPECT_EQ(eviction_cost(*s.state.cluster.find(id), 29s, at(1h)), 3660 * 1000) << "too slow for the grace: the work is lost";
}

// --- choice of victims

/// Four jobs on three nodes of 8 GPUs: V1 8 GPUs for 50 minutes, V2 8 for 5, V3 4 for 30, V4 4 for 2.
struct FourVictims : Scenario {
  JobId v1, v2, v3, v4;
  FourVictims() {
    configure(preempting({.name = "root"}));
    nodes(3, {.cores = 16, .gpus = 8});
    v1 = running_on({.gpus = 8, .restart_cost = 60s}, gpus_on({{0, 1, 0xff}}), at(0s));
    v2 = running_on({.gpus = 8, .restart_cost = 60s}, gpus_on({{1, 1, 0xff}}), at(45min));
    v3 = running_on({.gpus = 4, .restart_cost = 60s}, gpus_on({{2, 1, 0x0f}}), at(20min));
    v4 = running_on({.gpus = 4, .restart_cost = 60s}, gpus_on({{2, 1, 0xf0}}), at(48min));
  }
};

TEST(Preemption, cheapest_set_of_victims_is_taken) {
  FourVictims s;
  const JobId whole_node = s.submit({.gpus = 8, .tier = 1});
  EXPECT_EQ(victims_of(asked(s, whole_node, at(50min))), std::vector<JobId>{s.v2});
  const JobId spread = s.submit({.gpus = 1, .tasks = 8, .tier = 1});
  EXPECT_EQ(victims_of(asked(s, spread, at(50min))), std::vector<JobId>{s.v2});
}

TEST(Preemption, small_need_takes_the_small_victim) {
  FourVictims s;
  const JobId id = s.submit({.gpus = 4, .tier = 1});
  const EvictionAnswer answer = asked(s, id, at(50min));
  ASSERT_EQ(victims_of(answer), std::vector<JobId>{s.v4});
  EXPECT_EQ(answer.plan->claim.nodes, gpus_on({{2, 1, 0xf0}}));
  EXPECT_EQ(answer.plan->claim.since, at(50min));
  EXPECT_EQ(answer.plan->claim.grace_ends, at(50min + 30s));
}

TEST(Preemption, several_small_victims_make_room_together) {
  FourVictims s;
  const JobId id = s.submit({.gpus = 4, .tasks = 4, .tier = 1});
  EXPECT_EQ(victims_of(asked(s, id, at(50min))), (std::vector<JobId>{s.v2, s.v3, s.v4}));
}

TEST(Preemption, room_that_is_free_is_used_before_room_of_victims) {
  Scenario s;
  s.configure(preempting({.name = "root"}));
  s.nodes(2, {.cores = 2});
  s.running_on({.cores = 1}, tasks_on({{0, 1}}), at(0s));
  const JobId low = s.running_on({.cores = 2}, tasks_on({{1, 1}}), at(0s));
  const JobId id = s.submit({.cores = 1, .tasks = 3, .tier = 1});
  const EvictionAnswer answer = asked(s, id, at(1min));
  EXPECT_EQ(victims_of(answer), std::vector<JobId>{low});
  EXPECT_EQ(answer.plan->claim.nodes, tasks_on({{0, 1}, {1, 2}}));
}

TEST(Preemption, large_search_gives_back_the_victim_that_turned_out_not_to_be_needed) {
  Scenario s;
  s.configure(preempting({.name = "root"}));
  s.nodes(24, {.cores = 4});
  const JobId small = s.running_on({.cores = 1}, tasks_on({{0, 1}}), at(59min));
  s.running_on({.cores = 3, .tier = 1}, tasks_on({{0, 1}}), at(0s));
  const JobId whole = s.running_on({.cores = 4}, tasks_on({{1, 1}}), at(50min));
  for (NodeIndex node = 2; node < 24; ++node) s.running_on({.cores = 4}, tasks_on({{node, 1}}), at(0s));
  const JobId id = s.submit({.cores = 1, .tasks = 4, .tier = 1});
  EXPECT_EQ(victims_of(asked(s, id, at(60min))), std::vector<JobId>{whole})
      << "job " << small.value << " is cheap, but four cores are needed";
}

TEST(Preemption, running_job_of_the_same_queue_and_tier_is_left_alone) {
  Scenario s;
  s.configure(preempting({.name = "root"}));
  s.nodes(1, {.cores = 2});
  s.running_on({.cores = 2, .priority = 1}, tasks_on({{0, 1}}), at(0s));
  const JobId id = s.submit({.cores = 2, .priority = 9});
  const EvictionAnswer answer = asked(s, id, at(1h));
  EXPECT_FALSE(answer.plan.has_value());
  EXPECT_EQ(answer.refusal, Reason::kWaitingForResources);
}

TEST(Preemption, queue_that_does_not_preempt_evicts_nobody) {
  Scenario s;
  s.nodes(1, {.cores = 2});
  s.running_on({.cores = 2}, tasks_on({{0, 1}}), at(0s));
  EXPECT_FALSE(asked(s, s.submit({.cores = 2, .tier = 1}), at(1h)).plan.has_value());
}

TEST(Preemption, job_that_is_not_preemptible_or_is_leaving_already_is_no_victim) {
  Scenario s;
  s.configure(preempting({.name = "root"}));
  s.nodes(2, {.cores = 2});
  s.running_on({.cores = 2, .preemptible = false}, tasks_on({{0, 1}}), at(0s));
  const JobId leaving = s.running_on({.cores = 2}, tasks_on({{1, 1}}), at(0s));
  const JobId id = s.submit({.cores = 2, .tier = 1});
  EXPECT_EQ(victims_of(asked(s, id, at(1h))), std::vector<JobId>{leaving});
  s.state.cluster.find_mutable(leaving)->stopping = true;
  EXPECT_FALSE(asked(s, id, at(1h)).plan.has_value());
}

TEST(Preemption, job_in_its_minimum_run_time_is_no_victim) {
  Scenario s;
  QueueSettings settings = preempting({.name = "root"});
  settings.preemption.minimum_run_time = 10min;
  s.configure(settings);
  s.nodes(1, {.cores = 2});
  const JobId low = s.running_on({.cores = 2}, tasks_on({{0, 1}}), at(0s));
  const JobId id = s.submit({.cores = 2, .tier = 1});
  const EvictionAnswer early = asked(s, id, at(10min - 1us));
  EXPECT_FALSE(early.plan.has_value());
  EXPECT_EQ(early.protected_job, low);
  EXPECT_EQ(victims_of(asked(s, id, at(10min))), std::vector<JobId>{low});
}

TEST(Preemption, budget_of_the_minute_bounds_the_victims_of_one_plan) {
  Scenario s;
  s.configure(preempting({.name = "root"}));
  s.nodes(1, {.cores = 3});
  for (int i = 0; i < 3; ++i) s.running_on({.cores = 1}, tasks_on({{0, 1}}), at(0s));
  const JobId id = s.submit({.cores = 3, .tier = 1});
  EXPECT_EQ(victims_of(asked(s, id, at(1h), 3)).size(), 3u);
  EXPECT_FALSE(asked(s, id, at(1h), 2).plan.has_value());
}

TEST(Preemption, room_that_others_were_promised_after_the_victim_is_not_taken) {
  Scenario s;
  s.configure(preempting({.name = "root"}));
  s.nodes(1, {.cores = 2});
  const JobId low = s.running_on({.cores = 2, .walltime = 1h}, tasks_on({{0, 1}}), at(0s));
  const JobId first = s.submit({.cores = 2, .walltime = 1h});
  const Placement node = tasks_on({{0, 1}});
  s.state.queue.set_reservation(first, Reservation{at(1h), node});
  const JobId fits = s.submit({.cores = 2, .walltime = 50min - 30s, .tier = 1});
  const JobId too_long = s.submit({.cores = 2, .walltime = 50min, .tier = 1});
  EXPECT_EQ(victims_of(asked(s, fits, at(10min))), std::vector<JobId>{low}) << "it ends in time even when the victim takes all its grace";
  EXPECT_FALSE(asked(s, too_long, at(10min)).plan.has_value());
}

// --- eviction without placement

TEST(EvictionWithoutPlacement, victims_on_nodes_that_the_job_may_not_use_stay) {
  Scenario s;
  s.configure(preempting({.name = "root"}));
  s.node("a", {.cores = 4});
  s.node("b", {.cores = 2, .labels = {{"zone", "b"}}});
  s.running_on({.cores = 4}, tasks_on({{0, 1}}), at(0s));
  Constraints constraints;
  constraints.required.push_back({.key = "zone", .values = {"b"}});
  s.running_on({.cores = 2, .tier = 1}, tasks_on({{1, 1}}), at(0s));
  EXPECT_FALSE(asked(s, s.submit({.cores = 2, .tier = 1, .constraints = constraints}), at(1h)).plan.has_value());
}

TEST(EvictionWithoutPlacement, victims_on_a_drained_node_stay) {
  Scenario s;
  s.configure(preempting({.name = "root"}));
  s.nodes(1, {.cores = 4});
  s.running_on({.cores = 4}, tasks_on({{0, 1}}), at(0s));
  s.state.cluster.set_drained(0, true);
  EXPECT_FALSE(asked(s, s.submit({.cores = 2, .tier = 1}), at(1h)).plan.has_value());
}

TEST(EvictionWithoutPlacement, gang_that_must_share_a_rack_takes_victims_of_one_rack_or_none) {
  Scenario s;
  s.configure(preempting({.name = "root"}));
  for (const char* name : {"a", "b"}) s.node(name, {.cores = 2, .rack = "r1"});
  for (const char* name : {"c", "d"}) s.node(name, {.cores = 2, .rack = "r2"});
  s.running_on({.cores = 2}, tasks_on({{0, 1}}), at(59min));
  const JobId second = s.running_on({.cores = 2, .tier = 1}, tasks_on({{1, 1}}), at(59min));
  const JobId third = s.running_on({.cores = 2}, tasks_on({{2, 1}}), at(0s));
  const JobId fourth = s.running_on({.cores = 2}, tasks_on({{3, 1}}), at(0s));
  Constraints constraints;
  constraints.within = TopologyLevel::kRack;
  const JobId id = s.submit({.cores = 2, .tasks = 2, .tier = 1, .constraints = constraints});
  EXPECT_EQ(victims_of(asked(s, id, at(1h))), (std::vector<JobId>{third, fourth})) << "rack 1 holds job " << second.value << " of its tier";
  s.state.cluster.find_mutable(fourth)->job.preemptible = false;
  EXPECT_FALSE(asked(s, id, at(1h)).plan.has_value());
}

TEST(EvictionWithoutPlacement, devices_that_stay_in_pieces_are_not_freed_for_a_whole_one) {
  Scenario s;
  s.configure(preempting({.name = "root"}));
  s.node("n", {.cores = 8, .gpus = 2});
  s.running_on({.gpus = 1, .gpu_milli = 600}, gpus_on({{0, 1, 0b01}}), at(0s));
  s.running_on({.gpus = 1, .gpu_milli = 600, .tier = 1}, gpus_on({{0, 1, 0b10}}), at(0s));
  s.running_on({.gpus = 1, .gpu_milli = 300, .tier = 1}, gpus_on({{0, 1, 0b01}}), at(0s));
  EXPECT_FALSE(asked(s, s.submit({.gpus = 1, .tier = 1}), at(1h)).plan.has_value());
}

// --- gangs shrink

TEST(Shrinking, gang_gives_up_spare_tasks_before_any_job_leaves) {
  Scenario s;
  s.configure(preempting({.name = "root"}));
  s.nodes(2, {.cores = 4});
  const JobId gang = s.running_on({.cores = 1, .tasks = 4, .tasks_min = 1}, tasks_on({{0, 4}}), at(0s));
  s.running_on({.cores = 1, .tasks = 4}, tasks_on({{1, 4}}), at(0s));
  const JobId id = s.submit({.cores = 2, .tier = 1});
  const EvictionAnswer answer = asked(s, id, at(1h));
  ASSERT_TRUE(answer.plan.has_value());
  EXPECT_TRUE(answer.plan->claim.victims.empty());
  ASSERT_EQ(answer.plan->shrinks.size(), 1u);
  EXPECT_EQ(answer.plan->shrinks[0], (Resize{gang, tasks_on({{0, 2}}), id})) << "no more than is needed";
}

TEST(Shrinking, gang_of_the_same_queue_and_tier_gives_up_what_it_holds_beyond_its_least_size) {
  Scenario s;
  s.configure(preempting({.name = "root"}));
  s.nodes(1, {.cores = 4});
  const JobId gang = s.running_on({.cores = 1, .tasks = 4, .tasks_min = 3}, tasks_on({{0, 4}}), at(0s));
  const JobId id = s.submit({.cores = 1});
  const EvictionAnswer answer = asked(s, id, at(1h));
  ASSERT_TRUE(answer.plan.has_value());
  EXPECT_EQ(answer.plan->shrinks[0], (Resize{gang, tasks_on({{0, 3}}), id}));
  EXPECT_FALSE(asked(s, s.submit({.cores = 2}), at(1h)).plan.has_value());
}

TEST(Shrinking, gang_keeps_the_devices_of_the_tasks_that_stay) {
  Scenario s;
  s.configure(preempting({.name = "root"}));
  s.node("n", {.cores = 8, .gpus = 8});
  const JobId gang = s.running_on({.gpus = 2, .tasks = 4, .tasks_min = 2}, gpus_on({{0, 4, 0xff}}), at(0s));
  const JobId id = s.submit({.gpus = 4, .tier = 1});
  const EvictionAnswer answer = asked(s, id, at(1h));
  ASSERT_TRUE(answer.plan.has_value());
  EXPECT_EQ(answer.plan->shrinks[0], (Resize{gang, gpus_on({{0, 2, 0x0f}}), id}));
  EXPECT_EQ(answer.plan->claim.nodes, gpus_on({{0, 1, 0xf0}}));
}

TEST(Shrinking, gang_shrinks_and_another_job_leaves_when_either_alone_is_not_enough) {
  Scenario s;
  s.configure(preempting({.name = "root"}));
  s.nodes(1, {.cores = 4});
  const JobId gang = s.running_on({.cores = 1, .tasks = 2, .tasks_min = 1, .preemptible = false}, tasks_on({{0, 2}}), at(0s));
  const JobId low = s.running_on({.cores = 2}, tasks_on({{0, 1}}), at(0s));
  const JobId id = s.submit({.cores = 3, .tier = 1});
  const EvictionAnswer answer = asked(s, id, at(1h));
  EXPECT_EQ(victims_of(answer), std::vector<JobId>{low});
  EXPECT_EQ(answer.plan->shrinks, (std::vector<Resize>{{gang, tasks_on({{0, 1}}), id}}));
}

TEST(Shrinking, gang_that_gave_up_tasks_for_another_in_this_pass_is_left_alone) {
  Scenario s;
  s.configure(preempting({.name = "root"}));
  s.nodes(1, {.cores = 4});
  const JobId gang = s.running_on({.cores = 1, .tasks = 4, .tasks_min = 1}, tasks_on({{0, 4}}), at(0s));
  const JobId id = s.submit({.cores = 1, .tier = 1});
  Decisions decided;
  decided.shrinks.push_back({gang, tasks_on({{0, 3}}), JobId(99)});
  const auto availability = make_node_availability(s.state.cluster, at(1h));
  const QuotaBook quota(s.state.queue);
  EXPECT_FALSE(
      plan_eviction({s.state.cluster, s.state.queue, *availability, quota, {}, 60, at(1h), &decided}, s.waiting(id)).plan.has_value());
}

TEST(Shrinking, gang_that_asks_is_given_room_for_its_least_size) {
  Scenario s;
  s.configure(preempting({.name = "root"}));
  s.nodes(1, {.cores = 4});
  for (int i = 0; i < 4; ++i) s.running_on({.cores = 1}, tasks_on({{0, 1}}), at(0s));
  const JobId id = s.submit({.cores = 1, .tasks = 4, .tasks_min = 2, .tier = 1});
  const EvictionAnswer answer = asked(s, id, at(1h));
  EXPECT_EQ(victims_of(answer).size(), 2u);
  EXPECT_EQ(answer.plan->claim.nodes, tasks_on({{0, 2}}));
}

// --- the search itself

/// Nodes of four cores with jobs of lower tiers, and the least cost at which so many tasks of `cores` cores find room.
struct RandomNodes {
  Scenario scenario;
  std::vector<JobId> running;

  explicit RandomNodes(Rng& rng) {
    scenario.configure(preempting({.name = "root"}));
    scenario.nodes(3, {.cores = 4});
    for (int tries = 0; tries < 30 && running.size() < 9; ++tries) {
      const auto cores = static_cast<std::int64_t>(rng.below(3)) + 1;
      const auto node = static_cast<NodeIndex>(rng.below(3));
      const auto other = static_cast<NodeIndex>(rng.below(3));
      Placement nodes = tasks_on({{node, 1}});
      if (other > node) nodes.push_back({other, 1, 0});
      const bool fits = std::all_of(nodes.begin(), nodes.end(), [&](const TaskPlace& place) {
        return scenario.state.cluster.node(place.node).free.amounts[kCpu] >= cores * 1000;
      });
      if (!fits) continue;
      const auto age = std::chrono::seconds(rng.below(3000));
      running.push_back(scenario.running_on({.cores = cores, .tasks = static_cast<std::int32_t>(nodes.size())}, nodes, at(1h - age)));
    }
  }

  std::int64_t least_cost(std::int64_t cores, std::int64_t tasks) const {
    std::int64_t least = -1;
    for (unsigned set = 0; set < 1U << running.size(); ++set) {
      std::int64_t cost = 0;
      std::array<std::int64_t, 3> free{};
      for (NodeIndex node = 0; node < 3; ++node) free[node] = scenario.state.cluster.node(node).free.amounts[kCpu];
      for (std::size_t i = 0; i < running.size(); ++i) {
        if ((set >> i & 1) == 0) continue;
        const RunningJob& job = *scenario.state.cluster.find(running[i]);
        cost += eviction_cost(job, 30s, at(1h));
        for (const TaskPlace& place : job.nodes) free[place.node] += job.job.demand.amounts[kCpu];
      }
      std::int64_t slots = 0;
      for (const std::int64_t each : free) slots += each / (cores * 1000);
      if (slots >= tasks && (least < 0 || cost < least)) least = cost;
    }
    return least;
  }
};

TEST(Preemption, few_candidates_are_searched_for_the_least_cost) {
  int plans = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SeededRng rng(seed);
    RandomNodes random(rng);
    const auto cores = static_cast<std::int64_t>(rng.below(4)) + 1;
    const auto tasks = static_cast<std::int64_t>(rng.below(3)) + 1;
    if (random.least_cost(cores, tasks) <= 0) continue;
    const JobId id = random.scenario.submit({.cores = cores, .tasks = static_cast<std::int32_t>(tasks), .tier = 1});
    const EvictionAnswer answer = asked(random.scenario, id, at(1h));
    ASSERT_TRUE(answer.plan.has_value());
    std::int64_t cost = 0;
    for (const JobId victim : answer.plan->claim.victims) cost += eviction_cost(*random.scenario.state.cluster.find(victim), 30s, at(1h));
    EXPECT_EQ(cost, random.least_cost(cores, tasks));
    plans += answer.plan->claim.victims.size() > 1 ? 1 : 0;
  }
  EXPECT_GT(plans, 50) << "too few scenarios need more than one victim";
}

}  // namespace
}  // namespace trainyard::sched
