#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/document.h"
#include "base/id.h"
#include "base/time.h"
#include "workflow/workflow_spec.h"

namespace trainyard::workflow {

using WorkflowRunId = Id<struct WorkflowRunTag>;

/// WAITING -> RUNNING -> SUCCEEDED | FAILED | CANCELLED; WAITING -> UPSTREAM_FAILED. The last four are terminal and immutable.
enum class TaskState { kWaiting, kRunning, kSucceeded, kFailed, kCancelled, kUpstreamFailed };
enum class RunState { kRunning, kCancelling, kSucceeded, kFailed, kCancelled };

constexpr bool is_terminal(TaskState state) { return state >= TaskState::kSucceeded; }
constexpr bool is_terminal(RunState state) { return state >= RunState::kSucceeded; }
std::string_view name_of(TaskState state);
std::string_view name_of(RunState state);

/// One task of one run.
struct TaskInstance {
  std::string name;
  TaskState state = TaskState::kWaiting;
  std::string reason;                    ///< Why it failed, for people.
  Document output = Document::object();  ///< {"result":..,"job_id":..,"run_id":..,"ready_url":..}: what references read.
  std::optional<TimePoint> started_at;
  std::optional<TimePoint> ended_at;
};

/// Everything durable about one run of a workflow.
struct WorkflowRun {
  WorkflowRunId id;
  WorkflowSpec spec;
  RunState state = RunState::kRunning;
  std::string owner;
  std::string idempotency_key;  ///< Of the request that made it; empty: none.
  TimePoint created_at;
  std::optional<TimePoint> ended_at;
  std::vector<TaskInstance> tasks;  ///< In the order of the spec.

  TaskInstance* find(std::string_view task);
};

/// The JSON form in the database, and what clients see.
Document to_document(const WorkflowRun& run);
/// Errors: DATA_LOSS "workflow.corrupt".
Result<WorkflowRun> workflow_run_from(const Document& document, const std::vector<std::string>& known_kinds);

/// What the planner wants done next.
struct WorkflowActions {
  std::vector<std::string> start;            ///< Tasks whose upstreams all succeeded.
  std::vector<std::string> upstream_failed;  ///< Tasks that can never start.
  std::vector<std::string> cancel;           ///< Running tasks of a run that is being cancelled.
  std::optional<RunState> finish;            ///< Every task is terminal: how the run ended.
};

/// Says what to do now. Pure and level-triggered: a task that already has the state an action leads to is not named again.
WorkflowActions plan_run(const WorkflowRun& run);

}  // namespace trainyard::workflow
