#include "workflow/workflow_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/failpoint.h"
#include "workflow/testing/workflow_world.h"

namespace trainyard::workflow {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using testing::failed;
using ::testing::HasSubstr;
using testing::succeeded;
using testing::workflow_of;

class WorkflowServiceTest : public testing::WorkflowWorld {};

constexpr const char* kChain = R"({a: {fake: {}}, b: {after: a, fake: {x: "${tasks.a.result.x}"}}, c: {after: b, fake: {}}})";

TEST_F(WorkflowServiceTest, chain_runs_task_by_task_and_outputs_reach_the_next) {
  const WorkflowRunId id = submit(kChain);
  EXPECT_THAT(take_starts(), ElementsAre("a"));
  EXPECT_EQ(states(id), "RUNNING: a RUNNING, b WAITING, c WAITING");
  clock.advance(3s);
  finish("a", succeeded(parse_json(R"({"result":{"x":42}})").value()));
  EXPECT_THAT(take_starts(), ElementsAre("b"));
  EXPECT_EQ(to_json(world.tasks.at("b").body), R"({"x":42})");
  EXPECT_EQ(world.tasks.at("b").context.workflow, "test");
  EXPECT_EQ(world.tasks.at("b").context.owner, "ann");
  finish("b");
  finish("c");
  EXPECT_EQ(states(id), "SUCCEEDED: a SUCCEEDED, b SUCCEEDED, c SUCCEEDED");
  const WorkflowRun ended = run(id);
  EXPECT_EQ(*ended.tasks[0].ended_at - *ended.tasks[0].started_at, Duration(3s));
  EXPECT_TRUE(ended.ended_at.has_value());
}

TEST_F(WorkflowServiceTest, ids_grow_over_restarts) {
  EXPECT_EQ(submit("{a: {fake: {}}}").value, 1u);
  finish("a");
  crash();
  boot();
  EXPECT_EQ(submit("{a: {fake: {}}}").value, 2u);
}

TEST_F(WorkflowServiceTest, faulty_spec_and_body_are_refused_and_leave_nothing) {
  EXPECT_EQ(try_submit(workflow_of("{a: {job: {}}}")).error().id, "workflow.kind");
  const Result<WorkflowRunId> refused = try_submit(workflow_of("{a: {fake: {}}, b: {fake: {invalid: 1}}}"));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().id, "fake.invalid");
  EXPECT_THAT(refused.error().where, HasSubstr("test.yaml:2:"));
  EXPECT_THAT(refused.error().describe(), HasSubstr("checking task b"));
  EXPECT_TRUE(repository.list(10)->empty());
  EXPECT_TRUE(world.starts.empty());
}

TEST_F(WorkflowServiceTest, nothing_is_answered_started_or_shown_before_the_write_that_holds_it) {
  bool answered = false;
  service->submit(workflow_of("{a: {fake: {}}}"), "ann", [&answered](const Result<WorkflowRunId>&) { answered = true; });
  strand.run_ready();
  EXPECT_FALSE(answered);
  EXPECT_TRUE(world.starts.empty());
  service->get(WorkflowRunId(1), [](const Result<WorkflowRun>& run) { EXPECT_EQ(run.error().id, "workflow.not_live"); });
  writes.run_ready();
  strand.run_ready();
  EXPECT_TRUE(answered);
  EXPECT_EQ(world.starts.size(), 1u);
  EXPECT_EQ(repository.get(WorkflowRunId(1))->tasks[0].state, TaskState::kRunning);
}

TEST_F(WorkflowServiceTest, crash_before_the_write_forgets_the_unanswered_run) {
  bool answered = false;
  service->submit(workflow_of("{a: {fake: {}}}"), "ann", [&answered](const Result<WorkflowRunId>&) { answered = true; });
  strand.run_ready();
  crash();
  boot();
  settle();
  EXPECT_FALSE(answered);
  EXPECT_TRUE(world.starts.empty());
  EXPECT_TRUE(repository.list(10)->empty());
}

TEST_F(WorkflowServiceTest, crash_between_write_and_start_starts_the_task_at_recovery) {
  service->submit(workflow_of(kChain), "ann", [](const Result<WorkflowRunId>&) {});
  strand.run_ready();
  writes.run_ready();  // Durable; its release never runs.
  crash();
  EXPECT_TRUE(world.starts.empty());
  boot();
  settle();
  EXPECT_THAT(take_starts(), ElementsAre("a"));
}

TEST_F(WorkflowServiceTest, task_that_ran_in_a_crash_is_taken_up_again_under_the_same_key) {
  const WorkflowRunId id = submit(kChain);
  finish("a", succeeded(parse_json(R"({"result":{"x":1}})").value()));
  EXPECT_THAT(world.starts, ElementsAre("workflow:1/a", "workflow:1/b"));
  crash();
  boot();
  settle();
  EXPECT_THAT(world.starts, ElementsAre("workflow:1/a", "workflow:1/b", "workflow:1/b"));
  EXPECT_EQ(to_json(world.tasks.at("b").body), R"({"x":1})") << "its references are resolved from what was stored";
  EXPECT_EQ(world.effects.size(), 2u);
  finish("b");
  finish("c");
  EXPECT_EQ(run(id).state, RunState::kSucceeded);
}

TEST_F(WorkflowServiceTest, end_of_a_task_that_was_not_stored_is_found_again) {
  submit(kChain);
  world.tasks.at("a").report.finish(succeeded(parse_json(R"({"result":{"x":1}})").value()));
  strand.run_ready();
  crash();  // The write of the end is lost.
  boot();
  settle();
  EXPECT_EQ(run(WorkflowRunId(1)).tasks[0].state, TaskState::kRunning);
  finish("a", succeeded(parse_json(R"({"result":{"x":1}})").value()));
  EXPECT_EQ(states(WorkflowRunId(1)), "RUNNING: a SUCCEEDED, b RUNNING, c WAITING");
}

TEST_F(WorkflowServiceTest, failing_task_fails_what_follows_and_spares_the_others) {
  const WorkflowRunId id = submit("{a: {fake: {}}, b: {after: a, fake: {}}, c: {after: b, fake: {}}, d: {fake: {}}}");
  EXPECT_THAT(take_starts(), ElementsAre("a", "d"));
  finish("a", failed("no disk"));
  EXPECT_EQ(states(id), "RUNNING: a FAILED, b UPSTREAM_FAILED, c UPSTREAM_FAILED, d RUNNING");
  EXPECT_EQ(run(id).tasks[0].reason, "no disk");
  EXPECT_THAT(run(id).tasks[1].reason, HasSubstr("did not succeed"));
  finish("d");
  EXPECT_EQ(states(id), "FAILED: a FAILED, b UPSTREAM_FAILED, c UPSTREAM_FAILED, d SUCCEEDED");
  EXPECT_TRUE(take_starts().empty());
}

TEST_F(WorkflowServiceTest, kind_that_ends_inside_start_is_taken) {
  world.immediate["a"] = succeeded(parse_json(R"({"result":{"x":"now"}})").value());
  world.immediate["c"] = failed("at once");
  const WorkflowRunId id = submit(kChain);
  EXPECT_EQ(to_json(world.tasks.at("b").body), R"({"x":"now"})");
  finish("b");
  EXPECT_EQ(states(id), "FAILED: a SUCCEEDED, b SUCCEEDED, c FAILED");
}

TEST_F(WorkflowServiceTest, figure_that_is_missing_fails_the_task_that_needs_it) {
  const WorkflowRunId id = submit(kChain);
  finish("a", succeeded(parse_json(R"({"result":{"y":1}})").value()));
  EXPECT_EQ(states(id), "FAILED: a SUCCEEDED, b FAILED, c UPSTREAM_FAILED");
  EXPECT_THAT(run(id).tasks[1].reason, HasSubstr("there is no \"x\"; there is: y"));
  EXPECT_THAT(take_starts(), ElementsAre("a"));
}

TEST_F(WorkflowServiceTest, second_report_of_an_end_changes_nothing) {
  const WorkflowRunId id = submit("{a: {fake: {}}, b: {after: a, fake: {}}}");
  const TaskReport report = world.tasks.at("a").report;
  report.finish(succeeded());
  report.finish(failed("late"));
  settle();
  report.progress(parse_json(R"({"late":1})").value());
  settle();
  EXPECT_EQ(states(id), "RUNNING: a SUCCEEDED, b RUNNING");
  EXPECT_EQ(to_json(run(id).tasks[0].output), "{}");
}

TEST_F(WorkflowServiceTest, progress_becomes_the_output_and_equal_progress_is_not_written_again) {
  const WorkflowRunId id = submit("{a: {fake: {}}}");
  int changes = 0;
  service->subscribe([&changes](const WorkflowRun&) { ++changes; });
  world.tasks.at("a").report.progress(parse_json(R"({"job_id":"7"})").value());
  settle();
  EXPECT_EQ(run(id).tasks[0].output["job_id"].text(), "7");
  EXPECT_EQ(changes, 1);
  world.tasks.at("a").report.progress(parse_json(R"({"job_id":"7"})").value());
  settle();
  EXPECT_EQ(changes, 1);
  crash();
  boot();
  EXPECT_EQ(run(id).tasks[0].output["job_id"].text(), "7");
}

TEST_F(WorkflowServiceTest, cancel_asks_the_running_tasks_and_the_run_ends_with_them) {
  const WorkflowRunId id = submit("{a: {fake: {}}, b: {fake: {}}, c: {after: a, fake: {}}}");
  ASSERT_TRUE(cancel(id).ok());
  EXPECT_EQ(states(id), "CANCELLING: a RUNNING, b RUNNING, c UPSTREAM_FAILED");
  EXPECT_THAT(world.cancels, ElementsAre("workflow:1/a: the workflow run was cancelled", "workflow:1/b: the workflow run was cancelled"));
  EXPECT_EQ(run(id).tasks[2].reason, "the run was cancelled");
  finish("a", {TaskState::kCancelled, "asked", Document::object()});
  finish("b");
  EXPECT_EQ(states(id), "CANCELLED: a CANCELLED, b SUCCEEDED, c UPSTREAM_FAILED");
  EXPECT_EQ(cancel(id).error().id, "workflow.not_live");
}

TEST_F(WorkflowServiceTest, cancel_before_the_first_write_still_reaches_the_task) {
  service->submit(workflow_of("{a: {fake: {}}}"), "ann", [](const Result<WorkflowRunId>&) {});
  service->cancel(WorkflowRunId(1), [](const Result<void>&) {});
  settle();
  EXPECT_EQ(world.cancels.size(), 1u);
  finish("a", {TaskState::kCancelled, "", Document::object()});
  EXPECT_EQ(states(WorkflowRunId(1)), "CANCELLED: a CANCELLED");
}

TEST_F(WorkflowServiceTest, cancel_that_a_crash_interrupted_goes_on_after_it) {
  const WorkflowRunId id = submit("{a: {fake: {}}, b: {after: a, fake: {}}}");
  service->cancel(id, [](const Result<void>&) {});
  strand.run_ready();
  writes.run_ready();  // The request is durable, the task was not told.
  crash();
  EXPECT_TRUE(world.cancels.empty());
  boot();
  settle();
  EXPECT_EQ(world.cancels.size(), 1u);
  finish("a", {TaskState::kCancelled, "", Document::object()});
  EXPECT_EQ(states(id), "CANCELLED: a CANCELLED, b UPSTREAM_FAILED");
}

TEST_F(WorkflowServiceTest, unknown_run_cannot_be_cancelled) { EXPECT_EQ(cancel(WorkflowRunId(5)).error().id, "workflow.not_live"); }

TEST_F(WorkflowServiceTest, failed_write_is_fatal_and_releases_nothing) {
  submit("{a: {fake: {}}, b: {after: a, fake: {}}}");
  take_starts();
  ASSERT_TRUE(arm_failpoints("workflow.before_commit=disk_full").ok());
  world.tasks.at("a").report.finish(succeeded());
  settle();
  ASSERT_TRUE(arm_failpoints("").ok());
  EXPECT_THAT(fatal, ElementsAre("io.disk_full"));
  EXPECT_TRUE(world.starts.empty());
  EXPECT_EQ(run(WorkflowRunId(1)).tasks[0].state, TaskState::kRunning) << "what is not durable is not shown";
}

TEST_F(WorkflowServiceTest, listener_hears_every_durable_state_until_it_leaves) {
  std::vector<std::string> heard;
  std::uint64_t subscription = 0;
  subscription = service->subscribe([&](const WorkflowRun& run) {
    heard.emplace_back(name_of(run.state));
    if (is_terminal(run.state)) service->unsubscribe(subscription);
  });
  submit("{a: {fake: {}}}");
  finish("a");
  EXPECT_EQ(heard.front(), "RUNNING");
  EXPECT_EQ(heard.back(), "SUCCEEDED");
  const std::size_t count = heard.size();
  submit("{a: {fake: {}}}");
  EXPECT_EQ(heard.size(), count);
}

TEST_F(WorkflowServiceTest, change_that_came_during_a_write_is_not_shown_with_it) {
  const WorkflowRunId id = submit("{a: {fake: {}}}");
  const TaskReport report = world.tasks.at("a").report;
  std::vector<std::string> heard;
  service->subscribe([&heard](const WorkflowRun& run) { heard.push_back(to_json(run.tasks[0].output)); });
  report.progress(parse_json(R"({"step":1})").value());
  strand.run_ready();
  report.progress(parse_json(R"({"step":2})").value());
  strand.run_ready();
  EXPECT_TRUE(heard.empty());
  writes.run_ready();
  strand.run_ready();
  EXPECT_THAT(heard, ElementsAre(R"({"step":1})"));
  EXPECT_EQ(run(id).tasks[0].output["step"].as_int().value(), 1);
  settle();
  EXPECT_THAT(heard, ElementsAre(R"({"step":1})", R"({"step":2})"));
}

TEST_F(WorkflowServiceTest, report_after_the_service_is_gone_is_dropped) {
  submit("{a: {fake: {}}}");
  const TaskReport report = world.tasks.at("a").report;
  report.finish(succeeded());  // Posted, and the service goes before it runs.
  service.reset();
  strand.run_ready();
  EXPECT_EQ(repository.get(WorkflowRunId(1))->tasks[0].state, TaskState::kRunning);
}

TEST_F(WorkflowServiceTest, runs_do_not_disturb_each_other) {
  const WorkflowRunId first = submit("{a: {fake: {}}}");
  const WorkflowRunId second = submit("{b: {fake: {}}}");
  finish("b", failed("no"));
  EXPECT_EQ(states(first), "RUNNING: a RUNNING");
  EXPECT_EQ(states(second), "FAILED: b FAILED");
}

}  // namespace
}  // namespace trainyard::workflow
