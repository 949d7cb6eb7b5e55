#include "workflow/workflow_run.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/rng.h"

namespace trainyard::workflow {
namespace {

/// A run of tasks with these upstreams and states, e.g. {{"a", {}, kSucceeded}, {"b", {"a"}, kWaiting}}.
struct Given {
  std::string name;
  std::vector<std::string> after;
  TaskState state;
};

WorkflowRun run_of(const std::vector<Given>& tasks, RunState state = RunState::kRunning) {
  WorkflowRun run;
  run.id = WorkflowRunId(1);
  run.state = state;
  for (const Given& task : tasks) {
    run.spec.tasks.push_back({task.name, "fake", Document::object(), task.after});
    TaskInstance instance;
    instance.name = task.name;
    instance.state = task.state;
    run.tasks.push_back(std::move(instance));
  }
  return run;
}

using Names = std::vector<std::string>;
constexpr TaskState kStates[] = {TaskState::kWaiting, TaskState::kRunning,   TaskState::kSucceeded,
                                 TaskState::kFailed,  TaskState::kCancelled, TaskState::kUpstreamFailed};

TEST(PlanRun, tasks_without_upstreams_start_together_and_the_others_wait) {
  const WorkflowActions actions =
      plan_run(run_of({{"c", {"a", "b"}, TaskState::kWaiting}, {"a", {}, TaskState::kWaiting}, {"b", {}, TaskState::kWaiting}}));
  EXPECT_EQ(actions.start, (Names{"a", "b"}));
  EXPECT_TRUE(actions.upstream_failed.empty() && actions.cancel.empty());
  EXPECT_EQ(actions.finish, std::nullopt);
}

TEST(PlanRun, every_pair_of_states_says_the_same_about_a_task_after_both) {
  for (const TaskState a : kStates) {
    for (const TaskState b : kStates) {
      const WorkflowActions actions = plan_run(run_of({{"a", {}, a}, {"b", {}, b}, {"c", {"a", "b"}, TaskState::kWaiting}}));
      const auto broken = [](TaskState state) { return is_terminal(state) && state != TaskState::kSucceeded; };
      const bool starts = std::count(actions.start.begin(), actions.start.end(), "c") == 1;
      const bool fails = std::count(actions.upstream_failed.begin(), actions.upstream_failed.end(), "c") == 1;
      EXPECT_EQ(starts, a == TaskState::kSucceeded && b == TaskState::kSucceeded) << name_of(a) << " " << name_of(b);
      EXPECT_EQ(fails, broken(a) || broken(b)) << name_of(a) << " " << name_of(b);
    }
  }
}

TEST(PlanRun, failure_spreads_along_the_whole_chain_whatever_the_order_of_the_file) {
  const WorkflowActions actions = plan_run(run_of({{"d", {"c"}, TaskState::kWaiting},
                                                   {"c", {"b"}, TaskState::kWaiting},
                                                   {"b", {"a"}, TaskState::kWaiting},
                                                   {"a", {}, TaskState::kFailed}}));
  EXPECT_EQ(std::set<std::string>(actions.upstream_failed.begin(), actions.upstream_failed.end()), (std::set<std::string>{"b", "c", "d"}));
  EXPECT_EQ(actions.upstream_failed.size(), 3u);
  EXPECT_EQ(actions.finish, RunState::kFailed);
}

TEST(PlanRun, branch_beside_a_failure_goes_on_and_the_run_ends_after_it) {
  const WorkflowRun run = run_of({{"a", {}, TaskState::kFailed},
                                  {"b", {"a"}, TaskState::kWaiting},
                                  {"c", {}, TaskState::kSucceeded},
                                  {"d", {"c"}, TaskState::kWaiting}});
  const WorkflowActions actions = plan_run(run);
  EXPECT_EQ(actions.start, (Names{"d"}));
  EXPECT_EQ(actions.upstream_failed, (Names{"b"}));
  EXPECT_EQ(actions.finish, std::nullopt);
}

TEST(PlanRun, cancel_stops_what_runs_and_starts_nothing) {
  const std::vector<Given> tasks{{"a", {}, TaskState::kSucceeded}, {"b", {"a"}, TaskState::kRunning}, {"c", {"a"}, TaskState::kWaiting}};
  const WorkflowActions actions = plan_run(run_of(tasks, RunState::kCancelling));
  EXPECT_EQ(actions.cancel, (Names{"b"}));
  EXPECT_EQ(actions.upstream_failed, (Names{"c"}));
  EXPECT_TRUE(actions.start.empty());
  EXPECT_EQ(actions.finish, std::nullopt);
}

TEST(PlanRun, run_ends_as_its_tasks_did) {
  EXPECT_EQ(plan_run(run_of({{"a", {}, TaskState::kSucceeded}})).finish, RunState::kSucceeded);
  EXPECT_EQ(plan_run(run_of({{"a", {}, TaskState::kFailed}})).finish, RunState::kFailed);
  EXPECT_EQ(plan_run(run_of({{"a", {}, TaskState::kCancelled}})).finish, RunState::kFailed);
  EXPECT_EQ(plan_run(run_of({{"a", {}, TaskState::kCancelled}}, RunState::kCancelling)).finish, RunState::kCancelled);
  EXPECT_EQ(plan_run(run_of({{"a", {}, TaskState::kWaiting}}, RunState::kCancelling)).finish, RunState::kCancelled);
}

TEST(PlanRun, run_that_ended_has_nothing_to_do) {
  for (const RunState state : {RunState::kSucceeded, RunState::kFailed, RunState::kCancelled}) {
    const WorkflowActions actions = plan_run(run_of({{"a", {}, TaskState::kWaiting}, {"b", {}, TaskState::kRunning}}, state));
    EXPECT_TRUE(actions.start.empty() && actions.cancel.empty() && actions.upstream_failed.empty() && !actions.finish);
  }
}

/// Draws a graph whose edges go from later to earlier tasks of a shuffled order, with states drawn at random.
WorkflowRun draw_run(SeededRng& rng) {
  std::vector<Given> tasks(1 + rng.below(8));
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    tasks[i].name = "t" + std::to_string(i);
    tasks[i].state = kStates[rng.below(std::size(kStates))];
    for (std::size_t upstream = 0; upstream < i; ++upstream) {
      if (rng.below(3) == 0) tasks[i].after.push_back("t" + std::to_string(upstream));
    }
  }
  for (std::size_t i = tasks.size(); i > 1; --i) std::swap(tasks[i - 1], tasks[rng.below(i)]);
  return run_of(tasks, rng.below(4) == 0 ? RunState::kCancelling : RunState::kRunning);
}

void apply(WorkflowRun& run, const WorkflowActions& actions) {
  for (const std::string& name : actions.start) run.find(name)->state = TaskState::kRunning;
  for (const std::string& name : actions.upstream_failed) run.find(name)->state = TaskState::kUpstreamFailed;
  if (actions.finish) run.state = *actions.finish;
}

TEST(PlanRun, planning_again_after_a_crash_names_no_task_twice) {
  for (std::uint64_t seed = 0; seed < 2'000; ++seed) {
    SeededRng rng(seed);
    WorkflowRun run = draw_run(rng);
    const WorkflowActions once = plan_run(run);
    const WorkflowActions lost = plan_run(run);  // The same snapshot again: a crash before the commit.
    EXPECT_EQ(once.start, lost.start);
    for (const std::string& name : once.start) EXPECT_EQ(run.find(name)->state, TaskState::kWaiting) << "seed " << seed;
    for (const std::string& name : once.upstream_failed) EXPECT_EQ(run.find(name)->state, TaskState::kWaiting) << "seed " << seed;
    apply(run, once);
    const WorkflowActions again = plan_run(run);  // A crash after it.
    EXPECT_TRUE(again.start.empty() && again.upstream_failed.empty() && !again.finish) << "seed " << seed;
  }
}

TEST(PlanRun, every_run_ends_and_starts_only_what_may_start) {
  for (std::uint64_t seed = 0; seed < 2'000; ++seed) {
    SeededRng rng(seed);
    WorkflowRun run = draw_run(rng);
    for (std::size_t step = 0; !is_terminal(run.state); ++step) {
      ASSERT_LT(step, 100u) << "seed " << seed << " does not end";
      const WorkflowActions actions = plan_run(run);
      for (const std::string& name : actions.start) {
        for (const std::string& upstream : run.spec.find(name)->after) {
          EXPECT_EQ(run.find(upstream)->state, TaskState::kSucceeded) << "seed " << seed;
        }
      }
      apply(run, actions);
      for (TaskInstance& task : run.tasks) {
        if (task.state == TaskState::kRunning && rng.below(2) == 0) task.state = kStates[2 + rng.below(3)];
      }
    }
    for (const TaskInstance& task : run.tasks) EXPECT_TRUE(is_terminal(task.state)) << "seed " << seed;
  }
}

WorkflowRun stored_run() {
  WorkflowRun run;
  run.id = WorkflowRunId(7);
  run.spec =
      workflow_spec_from(parse_json(R"({"workflow":"w","tasks":{"b":{"after":"a","fake":{"x":1}},"a":{"fake":{}}}})").value(), {"fake"})
          .value();
  run.state = RunState::kCancelling;
  run.owner = "ann";
  run.created_at = time_from_micros(1'700'000'000'123'456);
  run.tasks.resize(2);
  run.tasks[0].name = "b";
  run.tasks[1].name = "a";
  run.tasks[1].state = TaskState::kFailed;
  run.tasks[1].reason = "it broke";
  run.tasks[1].output.set("job_id", "12");
  run.tasks[1].started_at = time_from_micros(1'700'000'001'000'000);
  run.tasks[1].ended_at = time_from_micros(1'700'000'002'000'001);
  return run;
}

TEST(WorkflowRunDocument, run_is_read_back_equal) {
  const WorkflowRun run = stored_run();
  const std::string json = to_json(to_document(run));
  Result<WorkflowRun> read = workflow_run_from(parse_json(json).value(), {"fake"});
  ASSERT_TRUE(read.ok()) << read.error().describe();
  EXPECT_EQ(to_json(to_document(*read)), json);
  EXPECT_EQ(read->created_at, run.created_at);
  EXPECT_EQ(read->find("a")->ended_at, run.tasks[1].ended_at);
  EXPECT_EQ(read->find("b")->ended_at, std::nullopt);
}

TEST(WorkflowRunDocument, every_damage_is_data_loss_and_never_a_crash) {
  const Document whole = to_document(stored_run());
  for (const auto& [key, value] : whole.members()) {
    if (key == "workflow" || key == "owner" || key == "ended_at") continue;  // Read from the spec, or optional.
    Document damaged = whole;
    damaged.set(key, "damaged");
    const Result<WorkflowRun> read = workflow_run_from(damaged, {"fake"});
    ASSERT_FALSE(read.ok()) << key;
    EXPECT_EQ(read.error().category, Category::kDataLoss) << key;
    EXPECT_EQ(read.error().id, "workflow.corrupt") << key;
  }
  EXPECT_FALSE(workflow_run_from(whole, {"job"}).ok()) << "a kind that this build does not know";
}

TEST(WorkflowRunDocument, states_that_belong_to_other_tasks_are_data_loss) {
  Document swapped = to_document(stored_run());
  Document tasks = Document::array();
  for (const char* name : {"a", "c"}) tasks.push(Document::object({{"name", name}, {"state", "WAITING"}}));
  swapped.set("tasks", std::move(tasks));
  const Result<WorkflowRun> read = workflow_run_from(swapped, {"fake"});
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().id, "workflow.corrupt");
}

}  // namespace
}  // namespace trainyard::workflow
