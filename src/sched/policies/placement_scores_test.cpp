#include <gtest/gtest.h>

#include "sched/testing/placing.h"

namespace trainyard::sched {
namespace {

using testing::JobSpec;
using testing::placed;
using testing::Scenario;
using testing::score_on;

/// Node 0: 64 cores, 4 GPUs. Node 1: 96 cores, 8 GPUs. Node 2: 32 cores, 2 GPUs.
Scenario three_nodes() {
  Scenario scenario;
  scenario.node("four", {.cores = 64, .gpus = 4});
  scenario.node("eight", {.cores = 96, .gpus = 8});
  scenario.node("two", {.cores = 32, .gpus = 2});
  return scenario;
}

void run_on_device(Scenario& scenario, NodeIndex node, unsigned devices, std::int32_t gpus, std::int32_t gpu_milli = 1000) {
  scenario.running_on({.cores = 0, .gpus = gpus, .gpu_milli = gpu_milli}, {{node, 1, static_cast<DeviceMask>(devices)}}, TimePoint{});
}

TEST(PlacementScores, best_fit_is_100_less_half_of_each_share_of_the_largest_node_that_stays_free) {
  Scenario scenario = three_nodes();
  const JobSpec job{.cores = 8, .gpus = 1};
  EXPECT_EQ(score_on(scenario, job, "best_fit", 0), 59);  // 100 (1 - 56/256 - 3/16) = 59.375
  EXPECT_EQ(score_on(scenario, job, "best_fit", 1), 21);  // 100 (1 - 88/256 - 7/16) = 21.875
  EXPECT_EQ(score_on(scenario, job, "best_fit", 2), 84);  // 100 (1 - 24/256 - 1/16) = 84.375
  EXPECT_EQ(placed(scenario, job, "best_fit")->front().node, 2u);
}

TEST(PlacementScores, worst_fit_takes_the_node_that_best_fit_takes_last) {
  Scenario scenario = three_nodes();
  EXPECT_EQ(score_on(scenario, {.cores = 8, .gpus = 1}, "worst_fit", 0), -59);
  EXPECT_EQ(placed(scenario, {.cores = 8, .gpus = 1}, "worst_fit")->front().node, 1u);
}

TEST(PlacementScores, dot_product_is_100_less_the_mean_product_of_free_and_asked) {
  Scenario scenario = three_nodes();
  const JobSpec job{.cores = 8, .gpus = 1};
  EXPECT_EQ(score_on(scenario, job, "dot_product", 0), 95);            // 100 (1 - (64*8/128^2 + 4*1/8^2)/2) = 95.3125
  EXPECT_EQ(score_on(scenario, job, "dot_product", 1), 91);            // 100 (1 - (96*8/128^2 + 8*1/8^2)/2) = 91.40625
  EXPECT_EQ(score_on(scenario, {.cores = 32}, "dot_product", 0), 93);  // 100 (1 - 64*32/128^2/2) = 93.75
}

TEST(PlacementScores, gpu_packing_prefers_used_devices_then_used_nodes_then_small_unused_nodes) {
  Scenario scenario = three_nodes();
  run_on_device(scenario, 0, 0b0001, 1, 445);
  const JobSpec share{.gpus = 1, .gpu_milli = 400};
  EXPECT_EQ(score_on(scenario, share, "gpu_packing", 0), 95);                          // 555 milli are 55 %: 100 - 55/10
  EXPECT_EQ(score_on(scenario, {.gpus = 1, .gpu_milli = 600}, "gpu_packing", 0), 49);  // One free device of a used node.
  EXPECT_EQ(score_on(scenario, {.gpus = 3}, "gpu_packing", 0), 47);                    // Three of them.
  EXPECT_EQ(score_on(scenario, share, "gpu_packing", 1), 25);                          // 33 - 8
  EXPECT_EQ(score_on(scenario, share, "gpu_packing", 2), 31);                          // 33 - 2
  EXPECT_EQ(score_on(scenario, {.cores = 1}, "gpu_packing", 0), 0);
  EXPECT_EQ(placed(scenario, share, "gpu_packing"), (Placement{{0, 1, 0b0001}}));
}

TEST(PlacementScores, gpu_packing_of_very_large_nodes_stays_in_its_ranges) {
  Scenario scenario;
  scenario.node("used", {.cores = 64, .gpus = 16});
  scenario.node("unused", {.cores = 64, .gpus = 16});
  EXPECT_EQ(score_on(scenario, {.gpus = 1}, "gpu_packing", 1), 17);  // max(33 - 16, 16)
  run_on_device(scenario, 0, 0b1, 1, 1000);
  EXPECT_EQ(score_on(scenario, {.gpus = 15}, "gpu_packing", 0), 35);  // 50 - 15
}

TEST(PlacementScores, gpu_clustering_prefers_nodes_with_tasks_of_the_same_kind) {
  Scenario scenario = three_nodes();
  const JobSpec one{.gpus = 1};
  EXPECT_EQ(score_on(scenario, one, "gpu_clustering", 1), 25);  // Nothing runs, nothing is used.
  EXPECT_EQ(score_on(scenario, one, "gpu_clustering", 2), 43);  // Nothing runs, 6 of 8 GPUs are missing: 25 + floor(18.75).
  run_on_device(scenario, 1, 0b0000'0001, 1, 500);
  EXPECT_EQ(score_on(scenario, one, "gpu_clustering", 1), 1);  // Only a share runs: 0 + floor(25 * 0.5 / 8).
  run_on_device(scenario, 1, 0b0000'0010, 1);
  EXPECT_EQ(score_on(scenario, one, "gpu_clustering", 1), 54);         // Both: 50 + floor(25 * 1.5 / 8).
  EXPECT_EQ(score_on(scenario, {.gpus = 2}, "gpu_clustering", 1), 4);  // Only others: floor(4.6875).
  EXPECT_EQ(score_on(scenario, {.gpus = 1, .gpu_milli = 100}, "gpu_clustering", 1), 54);
  run_on_device(scenario, 2, 0b01, 1);
  EXPECT_EQ(score_on(scenario, one, "gpu_clustering", 2), 96);  // Only its kind: 75 + floor(25 * 7 / 8).
  EXPECT_EQ(score_on(scenario, {.cores = 1}, "gpu_clustering", 2), 0);
}

TEST(PlacementScores, random_uses_every_node_and_device_about_equally_often) {
  Scenario scenario;
  scenario.nodes(4, {.cores = 8, .gpus = 2});
  std::map<std::pair<NodeIndex, DeviceMask>, int> hits;
  for (std::uint64_t id = 1; id <= 8000; ++id) {
    const Placement nodes = *placed(scenario, {.gpus = 1, .gpu_milli = 300, .id = JobId(id)}, "random");
    ++hits[{nodes.front().node, nodes.front().devices}];
  }
  ASSERT_EQ(hits.size(), 8u);
  for (const auto& [place, count] : hits) EXPECT_NEAR(count, 1000, 150) << "node " << place.first << " devices " << place.second;
}

}  // namespace
}  // namespace trainyard::sched
