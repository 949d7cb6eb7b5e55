#include "sched/placement.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.h"
#include "sched/testing/placing.h"

namespace trainyard::sched {
namespace {

using testing::JobSpec;
using testing::NodeSpec;
using testing::placed;
using testing::Scenario;
using testing::tasks_on;

Placement devices_on(const std::vector<std::tuple<NodeIndex, std::uint32_t, unsigned>>& entries) {
  Placement placement;
  for (const auto& [node, tasks, devices] : entries) placement.push_back({node, tasks, static_cast<DeviceMask>(devices)});
  return placement;
}

Constraints within(TopologyLevel level, bool required = true) {
  Constraints constraints;
  constraints.within = level;
  constraints.within_required = required;
  return constraints;
}

TEST(Placement, gang_without_scores_fills_the_lowest_nodes_one_after_the_other) {
  Scenario scenario;
  scenario.nodes(3, {.cores = 4});
  EXPECT_EQ(placed(scenario, {.cores = 2, .tasks = 5}, "first_fit"), tasks_on({{0, 2}, {1, 2}, {2, 1}}));
}

TEST(Placement, gang_larger_than_the_room_is_not_placed_at_all) {
  Scenario scenario;
  scenario.nodes(3, {.cores = 4});
  EXPECT_EQ(placed(scenario, {.cores = 2, .tasks = 7}, "first_fit"), std::nullopt);
  EXPECT_EQ(placed(scenario, {.cores = 2, .tasks = 7}, "best_fit"), std::nullopt);
  EXPECT_EQ(placed(scenario, {.cores = 2, .tasks = 7}, "topology"), std::nullopt);
}

TEST(Placement, node_with_a_bound_on_tasks_gets_no_more) {
  Scenario scenario;
  scenario.nodes(3, {.cores = 4});
  Constraints constraints;
  constraints.tasks_per_node_max = 1;
  for (const char* policy : {"first_fit", "best_fit", "topology"}) {
    EXPECT_EQ(placed(scenario, {.tasks = 3, .constraints = constraints}, policy), tasks_on({{0, 1}, {1, 1}, {2, 1}})) << policy;
    EXPECT_EQ(placed(scenario, {.tasks = 4, .constraints = constraints}, policy), std::nullopt) << policy;
  }
}

TEST(Placement, whole_gpus_are_the_lowest_that_are_fully_free) {
  Scenario scenario;
  scenario.nodes(2, {.cores = 16, .gpus = 4});
  scenario.running_on({.gpus = 1, .gpu_milli = 300}, devices_on({{0, 1, 0b0010}}), TimePoint{});
  EXPECT_EQ(placed(scenario, {.gpus = 2, .tasks = 1}, "first_fit"), devices_on({{0, 1, 0b0101}}));
  EXPECT_EQ(placed(scenario, {.gpus = 1, .tasks = 4}, "first_fit"), devices_on({{0, 3, 0b1101}, {1, 1, 0b0001}}));
}

TEST(Placement, shares_go_to_the_fullest_device_that_fits_one_entry_per_device) {
  Scenario scenario;
  scenario.node("a", {.cores = 16, .gpus = 2});
  scenario.running_on({.gpus = 1, .gpu_milli = 500}, devices_on({{0, 1, 0b10}}), TimePoint{});
  EXPECT_EQ(placed(scenario, {.gpus = 1, .gpu_milli = 400, .tasks = 3}, "first_fit"), devices_on({{0, 2, 0b01}, {0, 1, 0b10}}));
  EXPECT_EQ(placed(scenario, {.gpus = 1, .gpu_milli = 600, .tasks = 1}, "first_fit"), devices_on({{0, 1, 0b01}}));
}

TEST(Placement, scorer_is_asked_again_after_each_task_of_the_gang) {
  Scenario scenario;
  scenario.nodes(3, {.cores = 8});
  EXPECT_EQ(placed(scenario, {.cores = 2, .tasks = 3}, "best_fit"), tasks_on({{0, 3}}));
  EXPECT_EQ(placed(scenario, {.cores = 2, .tasks = 4}, "worst_fit"), tasks_on({{0, 2}, {1, 1}, {2, 1}}));
}

TEST(Placement, preferred_labels_outrank_scores_and_order) {
  Scenario scenario;
  scenario.node("a", {.cores = 4});
  scenario.node("b", {.cores = 8, .labels = {{"disk", "fast"}}});
  Constraints constraints;
  constraints.preferred.push_back({{"disk", LabelRule::Op::kIn, {"fast"}}, 1});
  for (const char* policy : {"first_fit", "best_fit"}) {
    EXPECT_EQ(placed(scenario, {.cores = 4, .tasks = 1}, policy), tasks_on({{0, 1}})) << policy;
    EXPECT_EQ(placed(scenario, {.cores = 4, .tasks = 3, .constraints = constraints}, policy), tasks_on({{0, 1}, {1, 2}})) << policy;
    EXPECT_EQ(placed(scenario, {.cores = 4, .tasks = 1, .constraints = constraints}, policy), tasks_on({{1, 1}})) << policy;
  }
}

TEST(Placement, heavier_preference_wins_over_two_lighter_ones) {
  Scenario scenario;
  scenario.node("a", {.labels = {{"disk", "fast"}, {"net", "fast"}}});
  scenario.node("b", {.labels = {{"site", "north"}}});
  Constraints constraints;
  constraints.preferred.push_back({{"disk", LabelRule::Op::kExists, {}}, 2});
  constraints.preferred.push_back({{"net", LabelRule::Op::kExists, {}}, 2});
  constraints.preferred.push_back({{"site", LabelRule::Op::kExists, {}}, 5});
  EXPECT_EQ(placed(scenario, {.constraints = constraints}, "first_fit"), tasks_on({{1, 1}}));
}

/// Rack r0: switches s0 (nodes 0, 1) and s1 (nodes 2, 3). Rack r1: switch s0 (nodes 4, 5, 6). All of 4 cores.
Scenario two_racks() {
  Scenario scenario;
  scenario.nodes(2, {.cores = 4, .rack = "r0", .switch_name = "s0"});
  scenario.nodes(2, {.cores = 4, .rack = "r0", .switch_name = "s1"});
  scenario.nodes(3, {.cores = 4, .rack = "r1", .switch_name = "s0"});
  return scenario;
}

TEST(Placement, gang_that_must_stay_within_a_domain_takes_the_first_that_holds_it) {
  Scenario scenario = two_racks();
  const auto place_in = [&](TopologyLevel level, int tasks) {
    return placed(scenario, {.cores = 4, .tasks = tasks, .constraints = within(level)}, "first_fit");
  };
  EXPECT_EQ(place_in(TopologyLevel::kSwitch, 2), tasks_on({{0, 1}, {1, 1}}));
  EXPECT_EQ(place_in(TopologyLevel::kSwitch, 3), tasks_on({{4, 1}, {5, 1}, {6, 1}}));
  EXPECT_EQ(place_in(TopologyLevel::kSwitch, 4), std::nullopt);
  EXPECT_EQ(place_in(TopologyLevel::kRack, 4), tasks_on({{0, 1}, {1, 1}, {2, 1}, {3, 1}}));
  EXPECT_EQ(place_in(TopologyLevel::kRack, 5), std::nullopt);
  EXPECT_EQ(place_in(TopologyLevel::kNode, 2), std::nullopt);
}

TEST(Placement, gang_that_must_stay_on_one_node_finds_the_one_with_room) {
  Scenario scenario = two_racks();
  scenario.running_on({.cores = 3}, tasks_on({{0, 1}}), TimePoint{});
  EXPECT_EQ(placed(scenario, {.tasks = 4, .constraints = within(TopologyLevel::kNode)}, "first_fit"), tasks_on({{1, 4}}));
}

TEST(Placement, gang_that_prefers_a_domain_spills_to_the_next_wider_level_that_works) {
  Scenario scenario = two_racks();
  const auto place_near = [&](int tasks) {
    return placed(scenario, {.cores = 4, .tasks = tasks, .constraints = within(TopologyLevel::kSwitch, false)}, "first_fit");
  };
  EXPECT_EQ(place_near(3), tasks_on({{4, 1}, {5, 1}, {6, 1}}));
  EXPECT_EQ(place_near(4), tasks_on({{0, 1}, {1, 1}, {2, 1}, {3, 1}}));
  EXPECT_EQ(place_near(5), tasks_on({{0, 1}, {1, 1}, {2, 1}, {3, 1}, {4, 1}}));
  EXPECT_EQ(place_near(8), std::nullopt);
}

TEST(Placement, gang_with_scores_goes_to_the_domain_of_the_best_node) {
  Scenario scenario = two_racks();
  scenario.running_on({.cores = 2}, tasks_on({{3, 1}}), TimePoint{});
  EXPECT_EQ(placed(scenario, {.cores = 2, .tasks = 3, .constraints = within(TopologyLevel::kSwitch)}, "best_fit"),
            tasks_on({{2, 2}, {3, 1}}));
}

TEST(Placement, node_without_a_rack_is_a_domain_of_its_own) {
  Scenario scenario;
  scenario.nodes(2, {.cores = 2});
  EXPECT_EQ(placed(scenario, {.tasks = 3, .constraints = within(TopologyLevel::kRack)}, "first_fit"), std::nullopt);
  EXPECT_EQ(placed(scenario, {.tasks = 2, .constraints = within(TopologyLevel::kRack)}, "first_fit"), tasks_on({{0, 2}}));
}

TEST(Placement, unknown_policy_is_refused_with_the_nearest_name) {
  const auto found = find_placement_policy("best_fti");
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().id, "policy.unknown");
  EXPECT_NE(found.error().message.find("\"best_fit\""), std::string::npos) << found.error().message;
}

/// A random cluster that fills and empties; every policy places the same jobs in it.
class RandomPlacing {
 public:
  explicit RandomPlacing(std::uint64_t seed) : rng_(seed) {
    for (std::uint64_t i = 0, count = 1 + rng_.below(12); i < count; ++i) {
      scenario_.node("n" + std::to_string(i), {.cores = range(1, 16),
                                               .memory_gib = range(1, 8),
                                               .gpus = range(0, 4),
                                               .rack = rng_.below(4) == 0 ? "" : "r" + std::to_string(rng_.below(2)),
                                               .switch_name = "s" + std::to_string(rng_.below(2))});
    }
    for (int i = 0; i < 20; ++i) workload_.add(scenario_.job_of(random_job()));
  }

  void step() {
    const JobSpec spec = random_job();
    for (const PlacementPolicy* policy : placement_policies()) check(*policy, spec);
    const std::string& name = placement_policies()[rng_.below(placement_policies().size())]->info().name;
    if (const auto nodes = placed(scenario_, spec, name)) scenario_.running_on(spec, *nodes, TimePoint{});
    scenario_.state.cluster.check_invariants();
    const std::vector<JobId> running = scenario_.running();
    if (!running.empty() && rng_.below(3) == 0) scenario_.end(running[rng_.below(running.size())], TimePoint{});
  }

 private:
  std::int64_t range(std::int64_t least, std::int64_t most) {
    return least + static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(most - least + 1)));
  }

  JobSpec random_job() {
    JobSpec spec{.cores = range(0, 4), .memory_gib = range(0, 2), .tasks = static_cast<std::int32_t>(range(1, 6))};
    if (rng_.below(2) == 0) {
      spec.gpus = static_cast<std::int32_t>(range(1, 2));
      if (spec.gpus == 1) spec.gpu_milli = static_cast<std::int32_t>(range(1, 10) * 100);
    }
    spec.constraints.tasks_per_node_max = static_cast<std::int32_t>(range(0, 3));
    spec.constraints.within = static_cast<TopologyLevel>(range(0, 3));
    spec.constraints.within_required = rng_.below(2) == 0;
    spec.id = JobId(++last_id_);
    return spec;
  }

  void check(const PlacementPolicy& policy, const JobSpec& spec) {
    SCOPED_TRACE(policy.info().name);
    const std::optional<Placement> nodes = placed(scenario_, spec, policy.info().name, &workload_);
    EXPECT_EQ(placed(scenario_, spec, policy.info().name, &workload_), nodes) << "another answer the second time";
    EXPECT_EQ(placed(scenario_, spec, policy.info().name, &workload_, &memory_), nodes) << "another answer with a memory";
    EXPECT_EQ(nodes.has_value(), fits(spec));
    if (!nodes) return;
    EXPECT_EQ(task_count(*nodes), spec.tasks);
    EXPECT_TRUE(std::is_sorted(nodes->begin(), nodes->end(), [](const TaskPlace& a, const TaskPlace& b) { return a.node < b.node; }));
    Scenario after = scenario_;
    after.running_on(spec, *nodes, TimePoint{});
    after.state.cluster.check_invariants();
    EXPECT_TRUE(!spec.constraints.within_required || in_one_domain(*nodes, spec.constraints.within));
  }

  std::string domain(NodeIndex node, TopologyLevel level) const {
    const NodeInfo& info = *scenario_.state.cluster.node(node).info;
    if (level == TopologyLevel::kCluster) return "";
    if (level == TopologyLevel::kNode || info.rack.empty()) return info.name.text;
    return level == TopologyLevel::kRack ? info.rack : info.rack + "/" + info.switch_name;
  }

  bool in_one_domain(const Placement& nodes, TopologyLevel level) const {
    return std::all_of(nodes.begin(), nodes.end(),
                       [&](const TaskPlace& place) { return domain(place.node, level) == domain(nodes.front().node, level); });
  }

  /// Counted the plain way: the slots of each domain.
  bool fits(const JobSpec& spec) {
    const Demand demand = scenario_.demand_of(spec);
    const TopologyLevel level = spec.constraints.within_required ? spec.constraints.within : TopologyLevel::kCluster;
    const std::int32_t most = spec.constraints.tasks_per_node_max;
    std::map<std::string, std::int64_t> room;
    for (NodeIndex node = 0; node < scenario_.state.cluster.nodes().size(); ++node) {
      room[domain(node, level)] +=
          scenario_.state.cluster.node(node).free.slots(demand, most > 0 ? static_cast<std::uint32_t>(most) : 1000);
    }
    return std::any_of(room.begin(), room.end(), [&spec](const auto& entry) { return entry.second >= spec.tasks; });
  }

  SeededRng rng_;
  Scenario scenario_;
  Workload workload_;
  PlacementMemory memory_;
  std::uint64_t last_id_ = 0;
};

TEST(Placement, every_policy_places_whole_gangs_wherever_they_fit_and_nowhere_else) {
  for (std::uint64_t seed = 1; seed <= 60 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomPlacing placing(seed);
    for (int i = 0; i < 25; ++i) placing.step();
  }
}

}  // namespace
}  // namespace trainyard::sched
