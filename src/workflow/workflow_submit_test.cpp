#include "workflow/testing/workflow_world.h"

namespace trainyard::workflow {
namespace {

/// Requests whose answer may be lost: they carry a key and are sent again.
class WorkflowSubmit : public testing::WorkflowWorld {
 protected:
  void send(const std::string& tasks, const std::string& key) {
    service->submit_once(testing::workflow_of(tasks), "ann", key, [this](Result<WorkflowRunId> id) { answers.push_back(std::move(id)); });
  }
  std::size_t runs() { return repository.list(100).value().size(); }

  std::vector<Result<WorkflowRunId>> answers;
};

TEST_F(WorkflowSubmit, repeated_request_is_given_the_same_run) {
  send("{a: {fake: {}}}", "k");
  settle();
  send("{a: {fake: {}}}", "k");
  settle();
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[0].value(), answers[1].value());
  EXPECT_EQ(take_starts(), (std::vector<std::string>{"a"}));
  EXPECT_EQ(runs(), 1u);
}

TEST_F(WorkflowSubmit, requests_at_the_same_time_make_one_run) {
  send("{a: {fake: {}}}", "k");
  send("{a: {fake: {}}}", "k");
  settle();
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[0].value(), answers[1].value());
  EXPECT_EQ(runs(), 1u);
}

TEST_F(WorkflowSubmit, repeated_request_finds_the_run_after_a_restart_and_after_its_end) {
  send("{a: {fake: {}}}", "k");
  settle();
  crash();
  boot();
  settle();
  send("{a: {fake: {}}}", "k");
  settle();
  finish("a");
  EXPECT_EQ(states(answers[0].value()), "SUCCEEDED: a SUCCEEDED");
  send("{a: {fake: {}}}", "k");
  settle();
  ASSERT_EQ(answers.size(), 3u);
  for (const auto& answer : answers) EXPECT_EQ(answer.value(), answers[0].value());
  EXPECT_EQ(runs(), 1u);
}

TEST_F(WorkflowSubmit, request_that_no_write_followed_is_made_anew) {
  send("{a: {fake: {}}}", "k");
  writes.run_ready();  // The look for the key; the run itself is not written.
  strand.run_ready();
  crash();
  boot();
  send("{a: {fake: {}}}", "k");
  settle();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(runs(), 1u);
}

TEST_F(WorkflowSubmit, key_with_another_workflow_is_refused) {
  send("{a: {fake: {}}}", "k");
  settle();
  send("{b: {fake: {}}}", "k");
  settle();
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[1].error().id, "idempotency.mismatch");
  EXPECT_EQ(runs(), 1u);
}

TEST_F(WorkflowSubmit, other_keys_and_no_key_make_other_runs) {
  send("{a: {fake: {}}}", "k");
  send("{a: {fake: {}}}", "l");
  settle();
  submit("{a: {fake: {}}}");
  submit("{a: {fake: {}}}");
  EXPECT_EQ(runs(), 4u);
}

TEST_F(WorkflowSubmit, task_that_cannot_start_names_the_one_that_failed) {
  const WorkflowRunId id = submit("{a: {fake: {}}, b: {after: a, fake: {}}, c: {after: b, fake: {}}}");
  finish("a", testing::failed("broken"));
  EXPECT_EQ(run(id).find("b")->reason, "task a before it did not succeed");
  EXPECT_EQ(run(id).find("c")->reason, "task b before it did not succeed");
}

}  // namespace
}  // namespace trainyard::workflow
