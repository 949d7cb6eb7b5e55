#include "tasks/gate_task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tasks/testing/task_bench.h"

namespace trainyard::tasks {
namespace {

using ::testing::HasSubstr;

workflow::TaskOutcome judged_document(const Document& body, bool synthetic = false) {
  GateTaskKind gate;
  testing::Reported reported;
  workflow::TaskContext context = testing::context_of("gate");
  context.synthetic = synthetic;
  gate.start(context, body, reported.report());
  EXPECT_EQ(reported.ends.size(), 1u);
  return reported.end();
}
workflow::TaskOutcome judged(const std::string& json, bool synthetic = false) {
  return judged_document(parse_json(json).value(), synthetic);
}

TEST(GateTask, value_above_and_at_the_bar_passes) {
  const workflow::TaskOutcome outcome = judged(R"({"metric":"test_accuracy","value":0.9,"at_least":0.88})");
  EXPECT_EQ(outcome.state, workflow::TaskState::kSucceeded);
  EXPECT_EQ(to_json(outcome.output), R"({"result":{"test_accuracy":0.9,"at_least":0.88}})");
  EXPECT_EQ(judged(R"({"value":0.88,"at_least":0.88})").state, workflow::TaskState::kSucceeded);
  EXPECT_EQ(judged(R"({"value":1,"at_least":0.88})").state, workflow::TaskState::kSucceeded);
}

TEST(GateTask, value_below_the_bar_fails_with_both_and_what_to_do) {
  const workflow::TaskOutcome outcome = judged(R"({"metric":"test_accuracy","value":0.8799,"at_least":0.88})");
  EXPECT_EQ(outcome.state, workflow::TaskState::kFailed);
  EXPECT_THAT(outcome.reason, HasSubstr("test_accuracy 0.8799 is below the bar of 0.8800"));
  EXPECT_THAT(outcome.reason, HasSubstr("train longer"));
  EXPECT_EQ(outcome.output["result"]["test_accuracy"].as_double().value(), 0.8799);
}

TEST(GateTask, what_is_no_number_never_passes) {
  for (const char* value : {R"("0.99")", "null", "true", "{}", "[0.99]", R"("NaN")"}) {
    const workflow::TaskOutcome outcome = judged(std::string(R"({"at_least":0.5,"value":)") + value + "}");
    EXPECT_EQ(outcome.state, workflow::TaskState::kFailed) << value;
    EXPECT_NE(outcome.reason, "") << value;
  }
  for (const double value : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    EXPECT_EQ(judged_document(Document::object({{"value", value}, {"at_least", 0.5}})).state, workflow::TaskState::kFailed) << value;
  }
}

TEST(GateTask, bar_that_is_no_number_is_never_reached) {
  const Document body = Document::object({{"value", 0.9}, {"at_least", std::numeric_limits<double>::quiet_NaN()}});
  EXPECT_EQ(judged_document(body).state, workflow::TaskState::kFailed);
  EXPECT_EQ(judged(R"({"value":0.9,"at_least":"high"})").state, workflow::TaskState::kFailed);
}

TEST(GateTask, figure_or_bar_that_is_missing_fails) {
  EXPECT_EQ(judged(R"({"at_least":0.5})").state, workflow::TaskState::kFailed);
  EXPECT_EQ(judged(R"({"value":0.5})").state, workflow::TaskState::kFailed);
}

TEST(GateTask, value_of_synthetic_data_never_passes) {
  const workflow::TaskOutcome outcome = judged(R"({"metric":"accuracy","value":1.0,"at_least":0.5})", true);
  EXPECT_EQ(outcome.state, workflow::TaskState::kFailed);
  EXPECT_THAT(outcome.reason, HasSubstr("synthetic"));
}

TEST(GateTask, faulty_body_is_refused_with_its_place_before_the_run) {
  const Result<void> typo = GateTaskKind().validate(parse_yaml("value: 1\nat_least: 0.5\natleast: 0.6\n", "f.yaml").value());
  ASSERT_FALSE(typo.ok());
  EXPECT_EQ(typo.error().id, "spec.unknown_key");
  EXPECT_THAT(typo.error().where, HasSubstr("f.yaml:3:"));
  EXPECT_EQ(GateTaskKind().validate(parse_json(R"({"value":1})").value()).error().id, "spec.missing_key");
  EXPECT_TRUE(GateTaskKind().validate(parse_json(R"({"value":"${tasks.a.result.x}","at_least":0.5})").value()).ok());
}

}  // namespace
}  // namespace trainyard::tasks
