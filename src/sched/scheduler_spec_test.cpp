#include "sched/scheduler_spec.h"

#include <gtest/gtest.h>

namespace trainyard::sched {
namespace {

Result<SchedulerSettings> read(const std::string& yaml) { return scheduler_settings_from(parse_yaml(yaml, "queues.yaml").value()); }

TEST(SchedulerSpec, empty_file_gives_one_default_queue) {
  const SchedulerSettings settings = read("{}").value();
  ASSERT_EQ(settings.queues.size(), 1u);
  EXPECT_EQ(settings.queues[0].name, "default");
  QueueSnapshot queue;
  EXPECT_TRUE(apply_settings(queue, settings).ok());
}

TEST(SchedulerSpec, tree_with_quotas_is_read_in_the_units_of_people) {
  const SchedulerSettings settings = read(R"(
sharing: hdrf
half_life: 1d
queues:
  - name: research
    weight: 2.5
  - name: vision
    parent: research
    owns_quota: true
    quota: {cpu: "16", gpu: "8"}
    borrow: {gpu: "2"}
    lend: {cpu: 500m}
    backfill: reserve_k
    parameters: {k: "4"}
    max_running_jobs: 3
    preemption: {enabled: true, grace: 10s}
)")
                                         .value();
  EXPECT_EQ(settings.sharing.policy, "hdrf");
  ASSERT_EQ(settings.queues.size(), 2u);
  EXPECT_EQ(settings.queues[0].weight_milli, 2500);
  EXPECT_FALSE(settings.queues[0].nominal.has_value());
  const QueueSettings& vision = settings.queues[1];
  ASSERT_TRUE(vision.nominal.has_value());
  EXPECT_EQ((*vision.nominal)[kCpu], 16'000);
  EXPECT_EQ((*vision.nominal)[kGpu], 8'000);
  EXPECT_EQ((*vision.nominal)[kMemory], kUnlimited);
  EXPECT_EQ(vision.borrow_limit[kGpu], 2'000);
  EXPECT_EQ(vision.lend_limit[kCpu], 500);
  EXPECT_EQ(vision.parameters.at("k"), 4);
  EXPECT_EQ(vision.running_jobs_max, 3);
  EXPECT_TRUE(vision.preemption.enabled);
}

struct BadSpec {
  std::string yaml;
  std::string id;
  std::string says;
};

TEST(SchedulerSpec, bad_file_is_refused_with_the_queue_and_the_reason) {
  const std::vector<BadSpec> cases{
      {"queues: [{name: a, order: fifi}]", "policy.unknown", "fifo"},
      {"queues: [{name: a, backfill: esy}]", "policy.unknown", "easy"},
      {"sharing: dfr\nqueues: [{name: a}]", "policy.unknown", "drf"},
      {"queues: [{name: a, parent: b}]", "queue.unknown", "\"b\""},
      {"queues: [{name: a}, {name: a}]", "queue.exists", "\"a\""},
      {"queues: [{name: a, parameters: {kk: \"1\"}}]", "queue.bad_parameter", "\"kk\""},
      {"queues: [{name: a, parameters: {protect_after: many}}]", "queue.bad_parameter", "many"},
      {"queues: [{name: a, parameters: {protect_after: \"-1\"}}]", "queue.bad_parameter", "bounds"},
      {"queues: [{weight: 1}]", "spec.missing_key", "name"},
      {"queues: [{name: a, wieght: 1}]", "spec.unknown_key", "weight"},
  };
  for (const BadSpec& bad : cases) {
    const Result<SchedulerSettings> result = read(bad.yaml);
    ASSERT_FALSE(result.ok()) << bad.yaml;
    EXPECT_EQ(result.error().id, bad.id) << bad.yaml << ": " << result.error().describe();
    EXPECT_NE(result.error().describe().find(bad.says), std::string::npos) << result.error().describe();
  }
}

}  // namespace
}  // namespace trainyard::sched
