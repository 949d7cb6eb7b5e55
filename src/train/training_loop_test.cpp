#include "train/training_loop.h"

#include <gtest/gtest.h>

#include "base/failpoint.h"
#include "base/file.h"
#include "base/testing/fake_clock.h"
#include "train/testing/blob_data.h"
#include "train/testing/linear_trainer.h"
#include "train/testing/scripted_control.h"

namespace trainyard::train {
namespace {

using namespace std::chrono_literals;

TrainConfig small_config() {
  return {.epochs = 3, .batch_size = 20, .learning_rate = 0.5, .checkpoint_every = 0s, .report_every_steps = 5};
}

class TrainingLoopTest : public ::testing::Test {
 protected:
  void SetUp() override { root_ = make_temporary_directory("trainyard-loop-").value(); }
  void TearDown() override {
    ASSERT_TRUE(arm_failpoints("").ok());
    EXPECT_TRUE(remove_tree(root_).ok());
  }

  /// Runs attempt number `attempt` alone, with fresh objects, as a new process would.
  Result<TrainOutcome> run(std::uint32_t attempt, const Document& environment = Document("here")) {
    trainer = std::make_unique<testing::LinearTrainer>(testing::BlobData::layout(), 4);
    if (trainer_fails) trainer->fail_next();
    CheckpointDirectory checkpoints({.root = root_ + "/checkpoints", .job = JobId(1), .attempt = AttemptNumber(attempt)});
    SoloComm comm;
    const Result<TrainPlan> plan = plan_training(config, data.view().train.rows(), 1);
    if (!plan.ok()) return plan.error();
    TrainingLoop loop(config, plan.value(), data.view(),
                      {.trainer = *trainer,
                       .comm = comm,
                       .checkpoints = with_checkpoints ? &checkpoints : nullptr,
                       .control = control,
                       .listener = listener,
                       .clock = clock});
    return loop.run(environment);
  }

  std::string undisturbed_hash() {
    control = {};
    with_checkpoints = false;
    const Result<TrainOutcome> outcome = run(1);
    with_checkpoints = true;
    return outcome.ok() ? outcome->parameter_hash : outcome.error().describe();
  }

  TrainConfig config = small_config();
  bool with_checkpoints = true;
  bool trainer_fails = false;
  testing::BlobData data;
  testing::ScriptedControl control;
  testing::RecordingListener listener;
  trainyard::testing::FakeClock clock;
  std::unique_ptr<testing::LinearTrainer> trainer;
  std::string root_;
};

TEST_F(TrainingLoopTest, training_learns_and_reports) {
  const Result<TrainOutcome> outcome = run(1);
  ASSERT_TRUE(outcome.ok()) << outcome.error().describe();
  EXPECT_EQ(outcome->reason, StopReason::kFinished);
  EXPECT_EQ(outcome->steps, 36);
  EXPECT_GT(outcome->test_accuracy.value(), 0.9);
  EXPECT_GT(outcome->validation_accuracy.value(), 0.9);
  EXPECT_EQ(listener.series("validation_accuracy").size(), 3u);
  const std::map<std::int64_t, double> loss = listener.series("loss");
  EXPECT_EQ(loss.size(), 8u);  // Every 5 steps and at the end.
  EXPECT_LT(loss.rbegin()->second, loss.begin()->second);
  EXPECT_EQ(listener.checkpoint_steps, (std::vector<std::int64_t>{36}));
}

TEST_F(TrainingLoopTest, stop_request_leaves_a_checkpoint_and_the_next_attempt_ends_with_the_same_bits) {
  const std::string expected = undisturbed_hash();
  for (std::int64_t stop_at = 1; stop_at <= 36; ++stop_at) {
    ASSERT_TRUE(remove_tree(root_ + "/checkpoints").ok());
    control = {};
    control.stop_at_call = stop_at;
    const Result<TrainOutcome> stopped = run(1);
    ASSERT_TRUE(stopped.ok());
    control = {};
    if (stop_at < 36) {
      EXPECT_EQ(stopped->reason, StopReason::kStopRequested);
      EXPECT_EQ(stopped->steps, stop_at);
    }
    const Result<TrainOutcome> resumed = run(2);
    ASSERT_TRUE(resumed.ok()) << resumed.error().describe();
    EXPECT_EQ(resumed->resumed_from_step, stop_at);
    EXPECT_EQ(resumed->parameter_hash, expected) << "stopped at " << stop_at;
    EXPECT_EQ(trainer->batches(), 36) << "the state of chance came along";
  }
}

TEST_F(TrainingLoopTest, resumed_training_reports_the_same_points) {
  with_checkpoints = false;
  ASSERT_TRUE(run(1).ok());
  with_checkpoints = true;
  const std::map<std::int64_t, double> undisturbed = listener.series("loss");
  listener = {};
  control = {};
  control.stop_at_call = 12;
  ASSERT_TRUE(run(1).ok());
  control = {};
  ASSERT_TRUE(run(2).ok());
  EXPECT_EQ(listener.series("loss"), undisturbed);
  EXPECT_EQ(listener.series("validation_accuracy").size(), 3u);
}

TEST_F(TrainingLoopTest, checkpoint_request_is_served_and_training_goes_on) {
  control.checkpoint_at_calls = {7};
  ASSERT_TRUE(run(1).ok());
  EXPECT_EQ(listener.checkpoint_steps, (std::vector<std::int64_t>{7, 36}));
}

TEST_F(TrainingLoopTest, failed_periodic_checkpoint_is_a_warning) {
  control.checkpoint_at_calls = {7};
  ASSERT_TRUE(arm_failpoints("checkpoint.after_write_before_manifest=disk_full").ok());
  const Result<TrainOutcome> outcome = run(1);
  ASSERT_TRUE(outcome.ok()) << outcome.error().describe();
  EXPECT_EQ(listener.warnings, (std::vector<std::string>{"io.disk_full"}));
  EXPECT_EQ(listener.checkpoint_steps, (std::vector<std::int64_t>{36}));
}

TEST_F(TrainingLoopTest, stop_without_a_durable_checkpoint_is_an_error) {
  control.stop_at_call = 7;
  ASSERT_TRUE(arm_failpoints("checkpoint.after_write_before_manifest=disk_full").ok());
  EXPECT_EQ(run(1).error().id, "io.disk_full");
}

TEST_F(TrainingLoopTest, changed_configuration_does_not_resume) {
  control.stop_at_call = 7;
  ASSERT_TRUE(run(1).ok());
  control = {};
  config.learning_rate = 0.25;
  EXPECT_EQ(run(2).error().id, "checkpoint.incompatible");
}

TEST_F(TrainingLoopTest, changed_checkpoint_interval_does_resume) {
  control.stop_at_call = 7;
  ASSERT_TRUE(run(1).ok());
  control = {};
  config.checkpoint_every = 5s;
  const Result<TrainOutcome> outcome = run(2);
  ASSERT_TRUE(outcome.ok()) << outcome.error().describe();
  EXPECT_EQ(outcome->resumed_from_step, 7);
}

TEST_F(TrainingLoopTest, other_environment_is_a_warning) {
  control.stop_at_call = 7;
  ASSERT_TRUE(run(1, Document("one thread")).ok());
  control = {};
  ASSERT_TRUE(run(2, Document("two threads")).ok());
  EXPECT_EQ(listener.warnings, (std::vector<std::string>{"checkpoint.environment"}));
}

TEST_F(TrainingLoopTest, attempt_that_was_overtaken_ends) {
  control.stop_at_call = 7;
  ASSERT_TRUE(run(2).ok());
  control = {};
  EXPECT_EQ(run(1).error().id, "checkpoint.fenced");
}

TEST_F(TrainingLoopTest, finished_training_that_starts_again_only_evaluates) {
  const Result<TrainOutcome> first = run(1);
  const Result<TrainOutcome> second = run(2);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(second->resumed_from_step, 36);
  EXPECT_EQ(second->parameter_hash, first->parameter_hash);
  EXPECT_EQ(second->test_accuracy, first->test_accuracy);
}

TEST_F(TrainingLoopTest, failure_of_the_trainer_ends_the_training) {
  trainer_fails = true;
  EXPECT_EQ(run(1).error().id, "trainer.failed");
}

TEST_F(TrainingLoopTest, diverged_training_is_a_user_error) {
  config.learning_rate = 1e3;
  config.momentum = 0.9;
  config.epochs = 100;
  const Result<TrainOutcome> outcome = run(1);
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error().id, "train.diverged");
  EXPECT_EQ(outcome.error().category, Category::kFailedPrecondition);
}

class TrialTest : public TrainingLoopTest {
 protected:
  void SetUp() override {
    TrainingLoopTest::SetUp();
    config.trial.rung_steps = {10, 20};
    control.decisions = {{10, RungDecision::kContinue}, {20, RungDecision::kContinue}};
  }
};

TEST_F(TrialTest, accuracy_is_reported_at_every_rung) {
  const Result<TrainOutcome> outcome = run(1);
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->reason, StopReason::kFinished);
  const std::map<std::int64_t, double> rungs = listener.series("rung_accuracy");
  ASSERT_EQ(rungs.size(), 2u);
  EXPECT_TRUE(rungs.contains(10) && rungs.contains(20));
}

TEST_F(TrialTest, trial_waits_until_the_decision_falls) {
  control.answers_until[10] = 3;
  ASSERT_TRUE(run(1).ok());
  EXPECT_EQ(control.rungs_asked, 5);
}

TEST_F(TrialTest, stop_decision_ends_the_trial_at_the_rung) {
  control.decisions[20] = RungDecision::kStop;
  const Result<TrainOutcome> outcome = run(1);
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->reason, StopReason::kStoppedAtRung);
  EXPECT_EQ(outcome->steps, 20);
  EXPECT_TRUE(outcome->validation_accuracy.has_value());
}

TEST_F(TrialTest, rungs_do_not_change_the_bits) {
  const Result<TrainOutcome> with = run(1);
  config.trial.rung_steps.clear();
  const Result<TrainOutcome> without = run(99);
  ASSERT_TRUE(with.ok());
  EXPECT_FALSE(without.ok()) << "another configuration must not resume";
  EXPECT_EQ(undisturbed_hash(), with->parameter_hash);
}

TEST_F(TrialTest, stop_request_while_waiting_leaves_a_checkpoint_and_the_rung_is_asked_again) {
  control.decisions.clear();
  control.stop_at_call = 11;  // The tenth step has been made; the next look is at the rung.
  const Result<TrainOutcome> stopped = run(1);
  ASSERT_TRUE(stopped.ok()) << stopped.error().describe();
  EXPECT_EQ(stopped->reason, StopReason::kStopRequested);
  EXPECT_EQ(stopped->steps, 10);
  control = {};
  control.decisions = {{10, RungDecision::kContinue}, {20, RungDecision::kStop}};
  const Result<TrainOutcome> resumed = run(2);
  ASSERT_TRUE(resumed.ok());
  EXPECT_EQ(resumed->resumed_from_step, 10);
  EXPECT_EQ(resumed->reason, StopReason::kStoppedAtRung);
  EXPECT_EQ(control.rungs_asked, 2);
}

TEST_F(TrialTest, diverged_trial_ends_without_an_error) {
  config.learning_rate = 1e3;
  config.epochs = 100;
  const Result<TrainOutcome> outcome = run(1);
  ASSERT_TRUE(outcome.ok()) << outcome.error().describe();
  EXPECT_EQ(outcome->reason, StopReason::kDiverged);
}

}  // namespace
}  // namespace trainyard::train
