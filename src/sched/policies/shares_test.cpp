#include <gtest/gtest.h>

#include <map>

#include "base/rng.h"
#include "sched/policy.h"
#include "sched/testing/scenario.h"

namespace trainyard::sched {
namespace {

using std::chrono::hours;
using testing::at;
using testing::JobSpec;
using testing::Scenario;
using testing::tasks_on;

/// A leaf or group of the queue tree.
QueueSettings tree_node(const std::string& name, const std::string& parent, std::int64_t weight_milli = 1000) {
  QueueSettings settings;
  settings.name = name;
  settings.parent = parent;
  settings.weight_milli = weight_milli;
  return settings;
}

void submit_many(Scenario& scenario, int count, const JobSpec& spec) {
  for (int i = 0; i < count; ++i) scenario.submit(spec);
}

/// How many jobs of each queue one plan starts.
std::map<std::string, int> starts_by_queue(Scenario& scenario, const std::string& policy) {
  scenario.state.queue.sharing.policy = policy;
  std::map<std::string, int> starts;
  for (const Start& start : scenario.planned(at(hours(0))).starts) {
    ++starts[scenario.state.queue.queue(scenario.waiting(start.job).queue).settings.name];
  }
  return starts;
}

/// 16 CPUs, 8 GPUs; leaf a asks for CPUs; group b holds x, which asks for CPUs, and y, which holds all GPUs and asks for more.
Scenario saturated_example() {
  Scenario scenario;
  scenario.node("n0", {.cores = 16, .extended = {{"accelerator", 8}}});
  scenario.queue(tree_node("a", ""));
  scenario.queue(tree_node("b", ""));
  scenario.queue(tree_node("x", "b"));
  scenario.queue(tree_node("y", "b"));
  for (int i = 0; i < 8; ++i) {
    scenario.running_on({.cores = 0, .extended = {{"accelerator", 1}}, .queue = "y"}, tasks_on({{0, 1}}), at(hours(0)));
  }
  submit_many(scenario, 20, {.queue = "a"});
  submit_many(scenario, 20, {.queue = "x"});
  return scenario;
}

TEST(HdrfShare, sibling_that_holds_a_saturated_resource_costs_its_group_nothing) {
  for (const bool asks_for_more : {false, true}) {
    Scenario scenario = saturated_example();
    if (asks_for_more) scenario.submit({.cores = 0, .extended = {{"accelerator", 1}}, .queue = "y"});
    const std::map<std::string, int> starts = starts_by_queue(scenario, "hdrf");
    EXPECT_EQ(starts, (std::map<std::string, int>{{"a", 8}, {"x", 8}}));
  }
}

TEST(HdrfShare, unsaturated_resource_of_a_sibling_counts) {
  Scenario scenario = saturated_example();
  // Two accelerators are free and a waiting job could use them, so y's eight of ten count: b starts at 8/10, and a comes first up to that.
  scenario.node("n1", {.cores = 0, .extended = {{"accelerator", 2}}});
  scenario.queue(tree_node("z", ""));
  scenario.submit({.cores = 17, .extended = {{"accelerator", 2}}, .queue = "z"});
  const std::map<std::string, int> starts = starts_by_queue(scenario, "hdrf");
  EXPECT_EQ(starts.at("a"), 13);
  EXPECT_EQ(starts.at("x"), 3);
}

TEST(HdrfShare, weights_divide_level_by_level) {
  Scenario scenario;
  scenario.node("n0", {.cores = 24});
  scenario.queue(tree_node("ml", "", 2000));
  scenario.queue(tree_node("bio", "", 1000));
  scenario.queue(tree_node("nlp", "ml", 3000));
  scenario.queue(tree_node("cv", "ml", 1000));
  scenario.queue(tree_node("seq", "bio"));
  for (const char* queue : {"nlp", "cv", "seq"}) submit_many(scenario, 30, {.queue = queue});
  EXPECT_EQ(starts_by_queue(scenario, "hdrf"), (std::map<std::string, int>{{"nlp", 12}, {"cv", 4}, {"seq", 8}}));
}

TEST(HdrfShare, what_one_child_does_not_want_goes_to_its_siblings_first) {
  Scenario scenario;
  scenario.node("n0", {.cores = 24});
  scenario.queue(tree_node("ml", "", 2000));
  scenario.queue(tree_node("bio", "", 1000));
  scenario.queue(tree_node("nlp", "ml", 3000));
  scenario.queue(tree_node("cv", "ml", 1000));
  submit_many(scenario, 2, {.queue = "nlp"});
  submit_many(scenario, 30, {.queue = "cv"});
  submit_many(scenario, 30, {.queue = "bio"});
  EXPECT_EQ(starts_by_queue(scenario, "hdrf"), (std::map<std::string, int>{{"nlp", 2}, {"cv", 14}, {"bio", 8}}));
}

TEST(DrfShare, queues_are_served_by_weighted_dominant_share_whatever_the_tree) {
  Scenario scenario;
  scenario.node("n0", {.cores = 9, .memory_gib = 18});
  scenario.queue(tree_node("group", ""));
  scenario.queue(tree_node("A", "group"));
  scenario.queue(tree_node("B", ""));
  submit_many(scenario, 9, {.cores = 1, .memory_gib = 4, .queue = "A"});
  submit_many(scenario, 9, {.cores = 3, .memory_gib = 1, .queue = "B"});
  EXPECT_EQ(starts_by_queue(scenario, "drf"), (std::map<std::string, int>{{"A", 3}, {"B", 2}}));
}

TEST(DrfShare, queue_of_weight_zero_gets_what_the_others_leave) {
  for (const std::string policy : {"drf", "hdrf", "fair_share"}) {
    Scenario scenario;
    scenario.nodes(10);
    scenario.queue(tree_node("scavenger", "", 0));
    scenario.queue(tree_node("user", ""));
    submit_many(scenario, 10, {.queue = "scavenger"});
    submit_many(scenario, 7, {.queue = "user"});
    EXPECT_EQ(starts_by_queue(scenario, policy), (std::map<std::string, int>{{"scavenger", 3}, {"user", 7}})) << policy;
  }
}

TEST(FairShareShare, queue_with_less_history_for_its_weight_goes_first) {
  Scenario scenario;
  scenario.nodes(4);
  scenario.queue(tree_node("heavy", "", 2000));
  scenario.queue(tree_node("light", "", 1000));
  submit_many(scenario, 9, {.queue = "heavy"});
  submit_many(scenario, 9, {.queue = "light"});
  QueueSnapshot& queue = scenario.state.queue;
  queue.add_usage(scenario.waiting(JobId(1)), 15, at(hours(0)));
  queue.add_usage(scenario.waiting(JobId(10)), 10, at(hours(0)));
  EXPECT_EQ(starts_by_queue(scenario, "fair_share"), (std::map<std::string, int>{{"heavy", 4}}));
  queue.add_usage(scenario.waiting(JobId(1)), 10, at(hours(0)));
  EXPECT_EQ(starts_by_queue(scenario, "fair_share"), (std::map<std::string, int>{{"light", 4}}));
}

TEST(FairShareShare, half_life_of_zero_shares_by_current_use) {
  Scenario scenario;
  scenario.nodes(6);
  scenario.queue(tree_node("a", "", 2000));
  scenario.queue(tree_node("b", "", 1000));
  submit_many(scenario, 9, {.queue = "a"});
  submit_many(scenario, 9, {.queue = "b"});
  scenario.state.queue.sharing.half_life = Duration(0);
  scenario.state.queue.add_usage(scenario.waiting(JobId(1)), 1000, at(hours(0)));
  EXPECT_EQ(starts_by_queue(scenario, "fair_share"), (std::map<std::string, int>{{"a", 4}, {"b", 2}}));
}

TEST(OrderShare, heads_merge_by_tier_priority_and_arrival) {
  Scenario scenario;
  scenario.nodes(10);
  scenario.queue(tree_node("a", ""));
  scenario.queue(tree_node("b", ""));
  const JobId a1 = scenario.submit({.queue = "a", .queued_at = at(hours(-2))});
  const JobId a2 = scenario.submit({.queue = "a", .queued_at = at(hours(0))});
  const JobId b1 = scenario.submit({.queue = "b", .queued_at = at(hours(-3))});
  const JobId b2 = scenario.submit({.queue = "b", .priority = 1, .queued_at = at(hours(-1))});
  const JobId b3 = scenario.submit({.queue = "b", .tier = 1, .queued_at = at(hours(0))});
  EXPECT_EQ(testing::started(scenario.planned(at(hours(0)))), (std::vector{b3, b1, b2, a1, a2}));
}

TEST(OrderShare, ageing_of_a_queue_counts_in_the_line_of_all) {
  Scenario scenario;
  scenario.nodes(10);
  QueueSettings ageing = tree_node("ageing", "");
  ageing.order = "priority";
  ageing.parameters = {{"ageing_per_hour", 2}};
  scenario.queue(ageing);
  scenario.queue(tree_node("plain", ""));
  const JobId important = scenario.submit({.queue = "plain", .priority = 5, .queued_at = at(hours(0))});
  const JobId aged = scenario.submit({.queue = "ageing", .priority = 0, .queued_at = at(hours(0))});
  EXPECT_EQ(testing::started(scenario.planned(at(hours(2)))), (std::vector{important, aged}));
  EXPECT_EQ(testing::started(scenario.planned(at(hours(3)))), (std::vector{aged, important}));
}

// --- one pass that goes on says the same as a new one for the state that it has reached

/// A random tree of queues with random jobs, on one large node.
Scenario random_tree(Rng& rng) {
  Scenario scenario;
  scenario.node("n0", {.cores = 40, .memory_gib = 40, .extended = {{"licence", 40}}});
  std::vector<std::string> groups{""};
  std::vector<std::string> leaves;
  const std::size_t count = 3 + rng.below(8);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string name = "q" + std::to_string(i);
    scenario.queue(tree_node(name, groups[rng.below(groups.size())], static_cast<std::int64_t>(rng.below(4) * 500)));
    (rng.below(3) == 0 ? groups : leaves).push_back(name);
  }
  const auto amount = [&rng] { return static_cast<std::int64_t>(rng.below(3) == 0 ? 0 : rng.below(6)); };
  for (int i = 0; i < 40 && !leaves.empty(); ++i) {
    scenario.submit(
        {.cores = amount(), .memory_gib = amount(), .extended = {{"licence", amount()}}, .queue = leaves[rng.below(leaves.size())]});
  }
  return scenario;
}

/// The first waiting job of every queue that is not closed.
std::vector<QueueHead> heads_of(const QueueSnapshot& queue, const std::vector<bool>& closed) {
  std::vector<QueueHead> heads;
  for (QueueIndex index = 0; index < queue.queues().size(); ++index) {
    const QueueState& state = queue.queue(index);
    if (!closed[index] && !state.pending.empty()) heads.push_back({index, &queue.job(state.pending[0])});
  }
  return heads;
}

/// Serves until all queues are closed: in `scenario` each start really happens; `frozen` stays as it was and one pass runs over it.
void compare_passes(const SharePolicy& policy, Scenario scenario) {
  const Scenario frozen = scenario;
  const std::unique_ptr<SharePass> lasting = policy.begin({frozen.state.cluster, frozen.state.queue, at(hours(0))});
  std::vector<bool> closed(frozen.state.queue.queues().size());
  std::vector<QueueHead> heads = heads_of(scenario.state.queue, closed);
  while (!heads.empty()) {
    std::vector<QueueHead> frozen_heads;
    for (const QueueHead& head : heads) frozen_heads.push_back({head.queue, frozen.state.queue.find(head.job->id)});
    const std::unique_ptr<SharePass> fresh = policy.begin({scenario.state.cluster, scenario.state.queue, at(hours(0))});
    const std::size_t picked = fresh->pick(heads);
    ASSERT_EQ(lasting->pick(frozen_heads), picked) << policy.info().name;
    const JobSnapshot& job = *heads[picked].job;
    if (job.demand.amounts.fits_in(scenario.state.cluster.node(0).free.amounts)) {
      lasting->started(*frozen_heads[picked].job, 1);
      scenario.state.start({.job = job.id, .nodes = tasks_on({{0, 1}})}, at(hours(0)));
      EXPECT_DOUBLE_EQ(lasting->share(heads[picked].queue),
                       policy.begin({scenario.state.cluster, scenario.state.queue, at(hours(0))})->share(heads[picked].queue));
    } else {
      closed[heads[picked].queue] = true;
    }
    heads = heads_of(scenario.state.queue, closed);
  }
  scenario.state.cluster.check_invariants();
}

TEST(SharePolicies, lasting_pass_picks_as_a_new_one_would) {
  const std::uint64_t seed = 5'150;
  SCOPED_TRACE("seed " + std::to_string(seed));
  SeededRng rng(seed);
  for (int round = 0; round < 60; ++round) {
    const Scenario scenario = random_tree(rng);
    for (const SharePolicy* policy : share_policies()) {
      compare_passes(*policy, scenario);
      ASSERT_FALSE(::testing::Test::HasFatalFailure()) << "round " << round;
    }
  }
}

}  // namespace
}  // namespace trainyard::sched
