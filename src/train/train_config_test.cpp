#include "train/train_config.h"

#include <gtest/gtest.h>

#include <set>

namespace trainyard::train {
namespace {

Result<TrainConfig> config_from(std::string_view json) { return decode<TrainConfig>(parse_json(json).value()); }

TEST(TrainConfig, nothing_said_gives_the_defaults) {
  const Result<TrainConfig> config = config_from("{}");
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->model.name, "cnn");
  EXPECT_EQ(config->epochs, 3);
  EXPECT_TRUE(config->trial.rung_steps.empty());
}

TEST(TrainConfig, rung_steps_are_read) {
  const Result<TrainConfig> config = config_from(R"({"trial": {"rung_steps": [10, 20]}})");
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->trial.rung_steps, (std::vector<std::int64_t>{10, 20}));
}

TEST(TrainConfig, unknown_key_is_refused_with_the_nearest) {
  const Result<TrainConfig> config = config_from(R"({"epoch": 3})");
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(config.error().id, "spec.unknown_key");
  EXPECT_NE(config.error().message.find("epochs"), std::string::npos);
}

TEST(TrainConfig, encoded_configuration_decodes_to_the_same) {
  TrainConfig config;
  config.trial.rung_steps = {5, 7};
  config.learning_rate = 0.25;
  const Result<TrainConfig> again = decode<TrainConfig>(encode(config));
  ASSERT_TRUE(again.ok()) << again.error().describe();
  EXPECT_EQ(to_json(encode(*again)), to_json(encode(config)));
}

TEST(TrainPlan, whole_batches_make_an_epoch) {
  const Result<TrainPlan> plan = plan_training({.epochs = 2, .batch_size = 30}, 100, 2);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->steps_per_epoch, 3);
  EXPECT_EQ(plan->steps_total, 6);
  EXPECT_EQ(plan->rank_batch, 15);
}

TEST(TrainPlan, steps_override_epochs) { EXPECT_EQ(plan_training({.epochs = 2, .steps = 5, .batch_size = 10}, 100, 1)->steps_total, 5); }

TEST(TrainPlan, batch_that_ranks_cannot_share_is_refused) {
  EXPECT_EQ(plan_training({.batch_size = 31}, 100, 2).error().id, "train.batch_size");
}

TEST(TrainPlan, batch_larger_than_the_data_is_refused) {
  EXPECT_EQ(plan_training({.batch_size = 128}, 100, 1).error().id, "train.batch_size");
}

TEST(TrainPlan, rungs_outside_the_training_or_out_of_order_are_refused) {
  for (const std::vector<std::int64_t>& rungs : {std::vector<std::int64_t>{0}, {4, 4}, {9, 3}, {100}}) {
    EXPECT_EQ(plan_training({.steps = 10, .batch_size = 10, .trial = {.rung_steps = rungs}}, 100, 1).error().id, "train.rung_steps");
  }
}

TEST(LearningRate, rises_to_the_peak_and_falls_to_zero) {
  const TrainConfig config{.learning_rate = 0.4, .warmup = 0.25};
  const TrainPlan plan{.steps_per_epoch = 100, .steps_total = 100, .rank_batch = 1};
  EXPECT_LT(learning_rate_at(config, plan, 0), 0.05);
  EXPECT_DOUBLE_EQ(learning_rate_at(config, plan, 25), 0.4);
  EXPECT_NEAR(learning_rate_at(config, plan, 100), 0.0, 1e-12);
  for (std::int64_t step = 1; step <= 25; ++step) EXPECT_GT(learning_rate_at(config, plan, step), learning_rate_at(config, plan, step - 1));
  for (std::int64_t step = 26; step <= 100; ++step)
    EXPECT_LT(learning_rate_at(config, plan, step), learning_rate_at(config, plan, step - 1));
}

TEST(LearningRate, constant_schedule_stays_at_the_peak) {
  const TrainConfig config{.learning_rate = 0.4, .schedule = "constant", .warmup = 0};
  EXPECT_DOUBLE_EQ(learning_rate_at(config, {.steps_per_epoch = 10, .steps_total = 10, .rank_batch = 1}, 9), 0.4);
}

TEST(BatchRows, ranks_share_an_epoch_without_overlap) {
  const TrainConfig config{.epochs = 1, .batch_size = 20, .seed = 3};
  const TrainPlan plan = plan_training(config, 100, 2).value();
  std::set<std::uint64_t> seen;
  for (std::int64_t step = 0; step < plan.steps_per_epoch; ++step) {
    for (const std::uint32_t rank : {0u, 1u}) {
      for (const std::uint64_t row : batch_rows(config, plan, 100, step, rank)) EXPECT_TRUE(seen.insert(row).second);
    }
  }
  EXPECT_EQ(seen.size(), 100u);
}

TEST(BatchRows, global_batch_is_the_same_for_any_number_of_ranks) {
  const TrainConfig config{.batch_size = 20, .seed = 3};
  const std::vector<std::uint64_t> alone = batch_rows(config, plan_training(config, 100, 1).value(), 100, 7, 0);
  std::vector<std::uint64_t> together;
  for (const std::uint32_t rank : {0u, 1u}) {
    for (const std::uint64_t row : batch_rows(config, plan_training(config, 100, 2).value(), 100, 7, rank)) together.push_back(row);
  }
  EXPECT_EQ(together, alone);
}

}  // namespace
}  // namespace trainyard::train
