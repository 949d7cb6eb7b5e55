#include <gtest/gtest.h>

#include "base/rng.h"
#include "sched/internal/fragmentation.h"
#include "sched/testing/gpu_trace.h"
#include "sched/testing/placing.h"

namespace trainyard::sched {
namespace {

using testing::JobSpec;
using testing::placed;
using testing::Scenario;
using testing::score_on;

/// Half of the tasks want a whole GPU, half 400 milli.
Workload whole_and_share(Scenario& scenario) {
  return testing::workload_of(scenario, {{{.cores = 1, .gpus = 1}, 10}, {{.cores = 1, .gpus = 1, .gpu_milli = 400}, 10}});
}

NodeFree free_of(std::int64_t cores, std::initializer_list<std::int16_t> device_milli) {
  NodeFree free;
  free.amounts[kCpu] = cores * 1000;
  for (const std::int16_t milli : device_milli) {
    free.device_milli[free.devices++] = milli;
    free.amounts[kGpu] += milli;
  }
  return free;
}

TEST(Fragmentation, worked_example_of_the_reference_is_300_then_200_or_600) {
  Scenario scenario;
  const Workload workload = whole_and_share(scenario);
  const Fragmentation fragmentation(*workload.typical(), "", Fragmentation::Use::kFitting);
  const auto expected = [&](const NodeFree& free) { return fragmentation.of(free) / fragmentation.weight(); };
  EXPECT_EQ(expected(free_of(64, {600, 1000})), 300);
  EXPECT_EQ(expected(free_of(64, {200, 1000})), 200);
  EXPECT_EQ(expected(free_of(64, {600, 600})), 600);
}

TEST(Fragmentation, all_free_gpu_is_lost_to_tasks_that_need_none_or_do_not_fit) {
  Scenario scenario;
  const Workload workload = testing::workload_of(scenario, {{{.cores = 4}, 1}, {{.cores = 8, .gpus = 2}, 1}});
  const Fragmentation fragmentation(*workload.typical(), "", Fragmentation::Use::kFitting);
  EXPECT_EQ(fragmentation.weight(), 2);
  EXPECT_EQ(fragmentation.of(free_of(8, {1000, 1000, 500})), 2500 + 500) << "the task without GPUs loses all, the other the used device";
  EXPECT_EQ(fragmentation.of(free_of(7, {1000, 1000, 500})), 2500 + 2500) << "too little CPU";
  EXPECT_EQ(fragmentation.of(free_of(8, {1000, 500, 500})), 2000 + 2000) << "too few devices";
  EXPECT_EQ(fragmentation.of(free_of(8, {})), 0);
}

TEST(Fragmentation, task_bound_to_other_models_does_not_fit) {
  Scenario scenario;
  Constraints constraints;
  constraints.gpu_models = {"A100", "H100"};
  const Workload workload = testing::workload_of(scenario, {{{.gpus = 1, .constraints = constraints}, 1}});
  EXPECT_EQ(Fragmentation(*workload.typical(), "H100", Fragmentation::Use::kFitting).of(free_of(8, {1000})), 0);
  EXPECT_EQ(Fragmentation(*workload.typical(), "T4", Fragmentation::Use::kFitting).of(free_of(8, {1000})), 1000);
}

TEST(Fragmentation, accompanied_use_stops_where_the_cpu_does) {
  Scenario scenario;
  const Workload workload = testing::workload_of(scenario, {{{.cores = 12, .gpus = 1}, 1}});
  const NodeFree free = free_of(18, {1000, 1000, 1000, 1000});
  EXPECT_EQ(Fragmentation(*workload.typical(), "", Fragmentation::Use::kFitting).of(free), 0);
  EXPECT_EQ(Fragmentation(*workload.typical(), "", Fragmentation::Use::kAccompanied).of(free), 4000 - 1500) << "18 cores at 12 a GPU";
}

TEST(FgdPlacement, share_goes_to_the_device_where_fragmentation_falls) {
  Scenario scenario;
  scenario.node("a", {.cores = 64, .gpus = 2});
  scenario.running_on({.gpus = 1, .gpu_milli = 400}, {{0, 1, 0b01}}, TimePoint{});
  const Workload workload = whole_and_share(scenario);
  const JobSpec share{.gpus = 1, .gpu_milli = 400};
  EXPECT_EQ(score_on(scenario, share, "fgd", 0, &workload), 52);  // 100 / (1 + exp(-0.1)) = 52.498
  EXPECT_EQ(placed(scenario, share, "fgd", &workload), (Placement{{0, 1, 0b01}}));
}

TEST(FgdPlacement, node_that_breaks_a_whole_device_scores_less) {
  Scenario scenario;
  scenario.node("whole", {.cores = 64, .gpus = 2});
  scenario.node("used", {.cores = 64, .gpus = 2});
  scenario.running_on({.gpus = 1, .gpu_milli = 400}, {{1, 1, 0b10}}, TimePoint{});
  const Workload workload = whole_and_share(scenario);
  const JobSpec share{.gpus = 1, .gpu_milli = 400};
  EXPECT_EQ(score_on(scenario, share, "fgd", 0, &workload), 42);  // F rises from 0 to 300: 100 / (1 + exp(0.3)) = 42.556
  EXPECT_EQ(placed(scenario, share, "fgd", &workload), (Placement{{1, 1, 0b10}}));
}

TEST(FgdPlacement, cpu_task_is_scored_by_the_gpus_that_it_strands) {
  Scenario scenario;
  scenario.node("gpus", {.cores = 8, .gpus = 2});
  scenario.node("plain", {.cores = 8});
  const Workload workload = testing::workload_of(scenario, {{{.cores = 4, .gpus = 1}, 1}});
  EXPECT_EQ(score_on(scenario, {.cores = 6}, "fgd", 0, &workload), 11);  // F rises by 2000: 100 / (1 + exp(2)) = 11.920
  EXPECT_EQ(placed(scenario, {.cores = 6}, "fgd", &workload), testing::tasks_on({{1, 1}}));
}

TEST(FgdPlacement, without_a_workload_the_job_itself_is_the_typical_task) {
  Scenario scenario;
  scenario.node("a", {.cores = 64, .gpus = 2});
  scenario.running_on({.gpus = 1, .gpu_milli = 400}, {{0, 1, 0b10}}, TimePoint{});
  EXPECT_EQ(placed(scenario, {.gpus = 1, .gpu_milli = 600}, "fgd"), (Placement{{0, 1, 0b10}}));
}

TEST(FgdBalancedPlacement, score_is_the_fall_of_fragmentation_less_the_weight_of_what_is_free) {
  Scenario scenario;
  scenario.node("a", {.cores = 32, .gpus = 2});
  scenario.running_on({.cores = 0, .gpus = 1, .gpu_milli = 400}, {{0, 1, 0b01}}, TimePoint{});
  const Workload workload = whole_and_share(scenario);
  // 100 milli less fragmented, 32/128 of the CPU and 1.6/8 of the GPUs free at 300 milli: 100,000 - 300,000 (0.25 + 0.2) / 2.
  EXPECT_EQ(score_on(scenario, {.gpus = 1, .gpu_milli = 400}, "fgd_balanced", 0, &workload), 32'500);
}

TEST(FgdBalancedPlacement, task_with_much_cpu_goes_where_cpu_is_plenty) {
  Scenario scenario;
  scenario.node("gpu_rich", {.cores = 96, .gpus = 8});
  scenario.node("cpu_rich", {.cores = 96, .gpus = 2});
  const Workload workload = testing::workload_of(scenario, {{{.cores = 12, .gpus = 1}, 1}});
  EXPECT_EQ(placed(scenario, {.cores = 32}, "fgd", &workload), testing::tasks_on({{0, 1}})) << "one such task still fits either node";
  EXPECT_EQ(placed(scenario, {.cores = 32}, "fgd_balanced", &workload), testing::tasks_on({{1, 1}}));
}

/// Means over seeds on one generated cluster.
testing::FillFigures mean_figures(const testing::GpuTrace& trace, std::string_view policy) {
  constexpr int kSeeds = 4;
  testing::FillFigures mean;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const testing::FillFigures figures = fill_cluster(trace, *find_placement_policy(policy).value(), seed);
    mean.allocated += figures.allocated / kSeeds;
    mean.fragmented += figures.fragmented / kSeeds;
  }
  return mean;
}

TEST(FgdPlacement, fragments_less_and_allocates_more_than_the_baselines_on_a_generated_cluster) {
  SeededRng rng(7);
  SCOPED_TRACE("seed 7");
  const testing::GpuTrace trace = testing::generated_gpu_trace(100, rng);
  const testing::FillFigures fgd = mean_figures(trace, "fgd");
  for (const char* baseline : {"random", "worst_fit", "dot_product", "gpu_clustering", "gpu_packing", "best_fit"}) {
    const testing::FillFigures figures = mean_figures(trace, baseline);
    EXPECT_LT(fgd.fragmented, figures.fragmented) << baseline;
    EXPECT_GT(fgd.allocated, figures.allocated) << baseline;
  }
}

TEST(FgdBalancedPlacement, fragments_less_than_fgd_on_a_generated_cluster) {
  SeededRng rng(7);
  SCOPED_TRACE("seed 7");
  const testing::GpuTrace trace = testing::generated_gpu_trace(100, rng);
  EXPECT_LT(mean_figures(trace, "fgd_balanced").fragmented, mean_figures(trace, "fgd").fragmented);
}

}  // namespace
}  // namespace trainyard::sched
