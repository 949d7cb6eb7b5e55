#include <gtest/gtest.h>

#include "sched/testing/placing.h"

namespace trainyard::sched {
namespace {

using testing::placed;
using testing::Scenario;
using testing::tasks_on;

/// Rack r0: switch s0 with nodes 0..3, switch s1 with nodes 4..7; rack r1: switch s0 with nodes 8..11, s1 with 12..15. All of 8 cores.
Scenario four_switches() {
  Scenario scenario;
  for (const char* rack : {"r0", "r1"}) {
    for (const char* name : {"s0", "s1"}) scenario.nodes(4, {.cores = 8, .rack = rack, .switch_name = name});
  }
  return scenario;
}

void fill_nodes(Scenario& scenario, const std::vector<NodeIndex>& nodes, std::int64_t cores = 8) {
  for (const NodeIndex node : nodes) scenario.running_on({.cores = cores}, tasks_on({{node, 1}}), TimePoint{});
}

TEST(TopologyPlacement, small_job_goes_to_the_used_node_of_the_used_switch_of_the_used_rack) {
  Scenario scenario = four_switches();
  fill_nodes(scenario, {4, 9}, 4);
  fill_nodes(scenario, {5, 6});
  EXPECT_EQ(placed(scenario, {.cores = 4}, "topology"), tasks_on({{4, 1}}));
  EXPECT_EQ(placed(scenario, {.cores = 8}, "topology"), tasks_on({{7, 1}})) << "node 7 is the last free one below a switch in use";
}

TEST(TopologyPlacement, gang_goes_below_the_switch_with_least_room_that_holds_it) {
  Scenario scenario = four_switches();
  fill_nodes(scenario, {0, 1, 12});
  EXPECT_EQ(placed(scenario, {.cores = 8, .tasks = 2}, "topology"), tasks_on({{2, 1}, {3, 1}}));
  EXPECT_EQ(placed(scenario, {.cores = 8, .tasks = 3}, "topology"), tasks_on({{4, 1}, {5, 1}, {6, 1}})) << "rack r0 has less room than r1";
  EXPECT_EQ(placed(scenario, {.cores = 8, .tasks = 4}, "topology"), tasks_on({{4, 1}, {5, 1}, {6, 1}, {7, 1}}));
}

TEST(TopologyPlacement, gang_that_fits_one_node_stays_on_one_node) {
  Scenario scenario = four_switches();
  fill_nodes(scenario, {0}, 5);
  EXPECT_EQ(placed(scenario, {.cores = 2, .tasks = 4}, "topology"), tasks_on({{1, 4}}));
  EXPECT_EQ(placed(scenario, {.cores = 1, .tasks = 3}, "topology"), tasks_on({{0, 3}}));
}

TEST(TopologyPlacement, gang_wider_than_a_switch_fills_whole_switches_and_breaks_one) {
  Scenario scenario = four_switches();
  fill_nodes(scenario, {8, 9, 10});
  EXPECT_EQ(placed(scenario, {.cores = 8, .tasks = 5}, "topology"), tasks_on({{11, 1}, {12, 1}, {13, 1}, {14, 1}, {15, 1}}))
      << "rack r1 has least room, and its broken switch holds the rest";
  EXPECT_EQ(placed(scenario, {.cores = 8, .tasks = 6}, "topology"), tasks_on({{0, 1}, {1, 1}, {2, 1}, {3, 1}, {4, 1}, {5, 1}}));
}

TEST(TopologyPlacement, rest_of_a_wide_gang_goes_to_the_switch_with_least_room_that_holds_it) {
  Scenario scenario;
  for (const char* name : {"s0", "s1", "s2"}) scenario.nodes(4, {.cores = 8, .rack = "r0", .switch_name = name});
  fill_nodes(scenario, {4, 8, 9});
  EXPECT_EQ(placed(scenario, {.cores = 8, .tasks = 6}, "topology"), tasks_on({{0, 1}, {1, 1}, {2, 1}, {3, 1}, {10, 1}, {11, 1}}));
}

TEST(TopologyPlacement, gang_wider_than_a_rack_fills_whole_racks_first) {
  Scenario scenario = four_switches();
  fill_nodes(scenario, {0, 1, 2});
  const std::optional<Placement> nodes = placed(scenario, {.cores = 8, .tasks = 9}, "topology");
  ASSERT_TRUE(nodes.has_value());
  EXPECT_EQ(*nodes, tasks_on({{3, 1}, {8, 1}, {9, 1}, {10, 1}, {11, 1}, {12, 1}, {13, 1}, {14, 1}, {15, 1}}))
      << "all of r1, and the rest below the switch with least room";
}

TEST(TopologyPlacement, many_small_jobs_leave_more_whole_switches_than_spreading) {
  const auto whole_switches_after = [](std::string_view policy) {
    Scenario scenario = four_switches();
    for (std::uint64_t id = 1; id <= 13; ++id) {
      const testing::JobSpec job{.cores = 3, .id = JobId(id)};
      scenario.running_on(job, *placed(scenario, job, policy), TimePoint{});
    }
    int whole = 0;
    for (NodeIndex first = 0; first < 16; first += 4) {
      bool untouched = true;
      for (NodeIndex node = first; node < first + 4; ++node) {
        untouched = untouched && scenario.state.cluster.node(node).free.amounts[kCpu] == 8000;
      }
      whole += untouched ? 1 : 0;
    }
    return whole;
  };
  EXPECT_EQ(whole_switches_after("topology"), 2);
  EXPECT_EQ(whole_switches_after("worst_fit"), 0);
}

TEST(TopologyPlacement, required_level_bounds_how_far_the_gang_spreads) {
  Scenario scenario = four_switches();
  Constraints constraints;
  constraints.within = TopologyLevel::kSwitch;
  EXPECT_TRUE(placed(scenario, {.cores = 8, .tasks = 4, .constraints = constraints}, "topology").has_value());
  EXPECT_EQ(placed(scenario, {.cores = 8, .tasks = 5, .constraints = constraints}, "topology"), std::nullopt);
  constraints.within_required = false;
  EXPECT_TRUE(placed(scenario, {.cores = 8, .tasks = 5, .constraints = constraints}, "topology").has_value());
}

}  // namespace
}  // namespace trainyard::sched
