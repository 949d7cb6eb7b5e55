#include "workflow/workflow_run.h"

#include <algorithm>
#include <array>
#include <map>

namespace trainyard::workflow {
namespace {

constexpr std::array<std::string_view, 6> kTaskStates{"WAITING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED", "UPSTREAM_FAILED"};
constexpr std::array<std::string_view, 5> kRunStates{"RUNNING", "CANCELLING", "SUCCEEDED", "FAILED", "CANCELLED"};

template <typename State, std::size_t N>
Result<State> state_from(const std::array<std::string_view, N>& names, const std::string& text) {
  const auto found = std::find(names.begin(), names.end(), text);
  if (found == names.end()) return invalid_argument("document.type", "unknown state " + text);
  return static_cast<State>(found - names.begin());
}

void set_time(Document& out, std::string_view key, const std::optional<TimePoint>& time) {
  if (time) out.set(key, to_rfc3339(*time));
}

Result<std::optional<TimePoint>> time_at(const Document& in, std::string_view key) {
  if (in[key].is_null()) return std::optional<TimePoint>();
  ASSIGN_OR_RETURN(const TimePoint time, parse_rfc3339(in[key].text()));
  return std::optional(time);
}

Result<TaskInstance> task_from(const Document& in) {
  TaskInstance task;
  ASSIGN_OR_RETURN(task.name, in.string_at("name"));
  ASSIGN_OR_RETURN(task.state, state_from<TaskState>(kTaskStates, in["state"].text()));
  ASSIGN_OR_RETURN(task.reason, in.string_or("reason", ""));
  if (in["output"].is_object()) task.output = in["output"];
  ASSIGN_OR_RETURN(task.started_at, time_at(in, "started_at"));
  ASSIGN_OR_RETURN(task.ended_at, time_at(in, "ended_at"));
  return task;
}

Result<WorkflowRun> run_from(const Document& in, const std::vector<std::string>& kinds) {
  WorkflowRun run;
  ASSIGN_OR_RETURN(const std::int64_t id, in.int_at("id"));
  run.id = WorkflowRunId(static_cast<std::uint64_t>(id));
  ASSIGN_OR_RETURN(run.spec, workflow_spec_from(in["spec"], kinds));
  ASSIGN_OR_RETURN(run.state, state_from<RunState>(kRunStates, in["state"].text()));
  ASSIGN_OR_RETURN(run.owner, in.string_or("owner", ""));
  ASSIGN_OR_RETURN(run.idempotency_key, in.string_or("idempotency_key", ""));
  ASSIGN_OR_RETURN(run.created_at, parse_rfc3339(in["created_at"].text()));
  ASSIGN_OR_RETURN(run.ended_at, time_at(in, "ended_at"));
  for (const Document& item : in["tasks"].items()) {
    ASSIGN_OR_RETURN(TaskInstance task, task_from(item));
    run.tasks.push_back(std::move(task));
  }
  const bool same_tasks = std::equal(run.tasks.begin(), run.tasks.end(), run.spec.tasks.begin(), run.spec.tasks.end(),
                                     [](const TaskInstance& task, const TaskSpec& spec) { return task.name == spec.name; });
  if (!same_tasks) return invalid_argument("document.type", "the tasks that have states are not those of the spec");
  return run;
}

}  // namespace

std::string_view name_of(TaskState state) { return kTaskStates[static_cast<std::size_t>(state)]; }
std::string_view name_of(RunState state) { return kRunStates[static_cast<std::size_t>(state)]; }

TaskInstance* WorkflowRun::find(std::string_view task) {
  const auto found = std::find_if(tasks.begin(), tasks.end(), [task](const TaskInstance& instance) { return instance.name == task; });
  return found == tasks.end() ? nullptr : &*found;
}

Document to_document(const WorkflowRun& run) {
  Document out = Document::object();
  out.set("id", run.id.text());
  out.set("workflow", run.spec.name);
  out.set("state", name_of(run.state));
  out.set("owner", run.owner);
  if (!run.idempotency_key.empty()) out.set("idempotency_key", run.idempotency_key);
  out.set("created_at", to_rfc3339(run.created_at));
  set_time(out, "ended_at", run.ended_at);
  Document tasks = Document::array();
  for (std::size_t i = 0; i < run.tasks.size(); ++i) {
    const TaskInstance& task = run.tasks[i];
    Document item = Document::object();
    item.set("name", task.name);
    item.set("kind", run.spec.tasks[i].kind);
    item.set("state", name_of(task.state));
    item.set("reason", task.reason);
    item.set("output", task.output);
    set_time(item, "started_at", task.started_at);
    set_time(item, "ended_at", task.ended_at);
    tasks.push(std::move(item));
  }
  out.set("tasks", std::move(tasks));
  out.set("spec", run.spec.source);
  return out;
}

Result<WorkflowRun> workflow_run_from(const Document& document, const std::vector<std::string>& known_kinds) {
  Result<WorkflowRun> run = run_from(document, known_kinds);
  if (!run.ok()) return data_loss("workflow.corrupt", "a stored workflow run cannot be read: " + run.error().describe());
  return run;
}

WorkflowActions plan_run(const WorkflowRun& run) {
  WorkflowActions actions;
  if (is_terminal(run.state)) return actions;
  std::map<std::string_view, TaskState> states;
  for (const TaskInstance& task : run.tasks) states[task.name] = task.state;

  // Upstreams may stand later in the file, so failures spread until nothing changes.
  for (bool changed = true; changed;) {
    changed = false;
    for (const TaskSpec& spec : run.spec.tasks) {
      if (states[spec.name] != TaskState::kWaiting) continue;
      const bool doomed =
          run.state == RunState::kCancelling || std::any_of(spec.after.begin(), spec.after.end(), [&states](const std::string& name) {
            return is_terminal(states[name]) && states[name] != TaskState::kSucceeded;
          });
      if (!doomed) continue;
      states[spec.name] = TaskState::kUpstreamFailed;
      actions.upstream_failed.push_back(spec.name);
      changed = true;
    }
  }
  for (const TaskSpec& spec : run.spec.tasks) {
    if (run.state == RunState::kCancelling) {
      if (states[spec.name] == TaskState::kRunning) actions.cancel.push_back(spec.name);
      continue;
    }
    const bool ready = std::all_of(spec.after.begin(), spec.after.end(),
                                   [&states](const std::string& name) { return states[name] == TaskState::kSucceeded; });
    if (states[spec.name] == TaskState::kWaiting && ready) actions.start.push_back(spec.name);
  }
  const bool all_ended = std::all_of(states.begin(), states.end(), [](const auto& entry) { return is_terminal(entry.second); });
  const bool all_succeeded =
      std::all_of(states.begin(), states.end(), [](const auto& entry) { return entry.second == TaskState::kSucceeded; });
  if (all_ended) {
    actions.finish = all_succeeded ? RunState::kSucceeded : run.state == RunState::kCancelling ? RunState::kCancelled : RunState::kFailed;
  }
  return actions;
}

}  // namespace trainyard::workflow
