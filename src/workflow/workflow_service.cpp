#include "workflow/workflow_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/failpoint.h"

namespace trainyard::workflow {
namespace {

std::vector<std::string> names_of(const WorkflowService::Kinds& kinds) {
  std::vector<std::string> names;
  for (const auto& kind : kinds) names.push_back(kind->name());
  return names;
}

/// Whether a task before `name` says that its data is made up.
bool comes_after_synthetic(const WorkflowRun& run, const std::string& name) {
  std::vector<std::string> ahead = run.spec.find(name)->after;
  for (std::size_t i = 0; i < ahead.size(); ++i) {
    const auto task = std::find_if(run.tasks.begin(), run.tasks.end(), [&](const TaskInstance& t) { return t.name == ahead[i]; });
    if (task != run.tasks.end() && task->output["synthetic"].as_bool().value_or(false)) return true;
    for (const std::string& before : run.spec.find(ahead[i])->after) {
      if (std::find(ahead.begin(), ahead.end(), before) == ahead.end()) ahead.push_back(before);
    }
  }
  return false;
}

/// Names the task that this one waited for in vain: the last one in the file that ended otherwise than well.
std::string upstream_failure(const WorkflowRun& run, const std::string& name) {
  const std::vector<std::string>& after = run.spec.find(name)->after;
  const auto failed = std::find_if(run.tasks.rbegin(), run.tasks.rend(), [&after](const TaskInstance& task) {
    return is_terminal(task.state) && task.state != TaskState::kSucceeded &&
           std::find(after.begin(), after.end(), task.name) != after.end();
  });
  if (failed == run.tasks.rend()) return "a task before it did not succeed";
  return fmt::format("task {} before it did not succeed", failed->name);
}

Document outputs_of(const WorkflowRun& run) {
  Document outputs = Document::object();
  for (const TaskInstance& task : run.tasks) {
    if (task.state == TaskState::kSucceeded) outputs.append_member(task.name, task.output);
  }
  return outputs;
}

}  // namespace

WorkflowService::WorkflowService(Deps deps, Kinds kinds, std::function<void(const Error&)> on_fatal)
    : deps_(deps), kinds_(std::move(kinds)), on_fatal_(std::move(on_fatal)) {}

WorkflowService::~WorkflowService() { *alive_ = false; }

TaskKind* WorkflowService::find_kind(const std::string& name) {
  const auto found = std::find_if(kinds_.begin(), kinds_.end(), [&name](const auto& kind) { return kind->name() == name; });
  return found == kinds_.end() ? nullptr : found->get();
}

Result<void> WorkflowService::recover() {
  ASSIGN_OR_RETURN(last_id_, deps_.repository.last_id());
  ASSIGN_OR_RETURN(std::vector<WorkflowRun> runs, deps_.repository.live());
  for (WorkflowRun& run : runs) {
    const WorkflowRunId id = run.id;
    Live& live = live_[id];
    live.durable = run;
    live.run = std::move(run);
    for (const TaskInstance& task : live.run.tasks) {
      if (task.state != TaskState::kRunning) continue;
      deps_.strand.post([this, alive = alive_, id, name = task.name] {
        if (*alive) launch(id, name);
      });
    }
    deps_.strand.post([this, alive = alive_, id] {
      if (*alive && live_.contains(id)) advance(live_.at(id));
    });
  }
  return {};
}

Result<WorkflowSpec> WorkflowService::check(const Document& source) {
  ASSIGN_OR_RETURN(WorkflowSpec spec, workflow_spec_from(source, names_of(kinds_)));
  for (const TaskSpec& task : spec.tasks) {
    if (Result<void> valid = find_kind(task.kind)->validate(task.body); !valid.ok()) {
      return std::move(valid).error().with_context("checking task " + task.name);
    }
  }
  return spec;
}

void WorkflowService::submit(const Document& source, const std::string& owner, std::function<void(Result<WorkflowRunId>)> done) {
  create(source, owner, "", std::move(done));
}

const WorkflowRun* WorkflowService::find_live_by_key(const std::string& key) const {
  const auto found =
      std::find_if(live_.begin(), live_.end(), [&key](const auto& entry) { return entry.second.run.idempotency_key == key; });
  return found == live_.end() ? nullptr : &found->second.run;
}

void WorkflowService::submit_once(const Document& source, const std::string& owner, const std::string& key,
                                  std::function<void(Result<WorkflowRunId>)> done) {
  deps_.writes.post([this, alive = alive_, source, owner, key, done = std::move(done)]() mutable {
    Result<std::optional<WorkflowRun>> stored = deps_.repository.find_by_key(key);
    deps_.strand.post([this, alive, source = std::move(source), owner, key, stored = std::move(stored), done = std::move(done)]() mutable {
      if (!*alive) return;
      if (!stored.ok()) return done(std::move(stored).error());
      // Another request with the key may have come since the database was asked: what it made is live, if not durable yet.
      const WorkflowRun* live = find_live_by_key(key);
      const WorkflowRun* made = live != nullptr ? live : stored->has_value() ? &**stored : nullptr;
      if (made == nullptr) return create(source, owner, key, std::move(done));
      if (!(made->spec.source == source)) {
        return done(
            Error{Category::kAlreadyExists,
                  "idempotency.mismatch",
                  fmt::format("this Idempotency-Key was used with another workflow; it made run {}: use a new key", made->id.text()),
                  {},
                  {}});
      }
      if (live == nullptr) return done(made->id);
      after_write(live_.at(live->id), [id = live->id, done = std::move(done)] { done(id); });
    });
  });
}

void WorkflowService::create(const Document& source, const std::string& owner, const std::string& key,
                             std::function<void(Result<WorkflowRunId>)> done) {
  Result<WorkflowSpec> spec = check(source);
  if (!spec.ok()) return done(std::move(spec).error());
  const WorkflowRunId id = last_id_ = WorkflowRunId(last_id_.value + 1);
  Live& live = live_[id];
  live.run.id = id;
  live.run.spec = std::move(spec).value();
  live.run.owner = owner;
  live.run.idempotency_key = key;
  live.run.created_at = deps_.clock.now();
  for (const TaskSpec& task : live.run.spec.tasks) live.run.tasks.emplace_back().name = task.name;
  after_write(live, [id, done = std::move(done)] { done(id); });
  advance(live);
}

void WorkflowService::cancel(WorkflowRunId id, std::function<void(Result<void>)> done) {
  const auto found = live_.find(id);
  if (found == live_.end()) return done(not_found("workflow.not_live", fmt::format("workflow run {} is not live", id.value)));
  Live& live = found->second;
  if (live.run.state == RunState::kRunning) live.run.state = RunState::kCancelling;
  after_write(live, [done = std::move(done)] { done({}); });
  advance(live);
}

void WorkflowService::get(WorkflowRunId id, std::function<void(Result<WorkflowRun>)> done) {
  const auto found = live_.find(id);
  if (found == live_.end() || !found->second.durable.id.valid()) {
    return done(not_found("workflow.not_live", fmt::format("workflow run {} is not live", id.value)));
  }
  done(found->second.durable);
}

std::uint64_t WorkflowService::subscribe(Listener listener) {
  listeners_.emplace(++last_subscription_, std::move(listener));
  return last_subscription_;
}

void WorkflowService::unsubscribe(std::uint64_t subscription) { listeners_.erase(subscription); }

/// Applies what the planner says and writes it; effects follow the write.
void WorkflowService::advance(Live& live) {
  const WorkflowActions actions = plan_run(live.run);
  const TimePoint now = deps_.clock.now();
  for (const std::string& name : actions.upstream_failed) {
    TaskInstance& task = *live.run.find(name);
    task.state = TaskState::kUpstreamFailed;
    task.reason = live.run.state == RunState::kCancelling ? "the run was cancelled" : upstream_failure(live.run, name);
    task.ended_at = now;
  }
  for (const std::string& name : actions.start) start_task(live, name);
  for (const std::string& name : actions.cancel) {
    after_write(live, [this, id = live.run.id, name] {
      const auto found = live_.find(id);
      if (found == live_.end()) return;
      const auto running = found->second.running.find(name);
      if (running != found->second.running.end()) running->second->cancel("the workflow run was cancelled");
    });
  }
  if (actions.finish) {
    live.run.state = *actions.finish;
    live.run.ended_at = now;
  }
  after_write(live, [] {});
}

void WorkflowService::start_task(Live& live, const std::string& name) {
  TaskInstance& task = *live.run.find(name);
  task.state = TaskState::kRunning;
  task.started_at = deps_.clock.now();
  after_write(live, [this, id = live.run.id, name] { launch(id, name); });
}

void WorkflowService::launch(WorkflowRunId id, const std::string& name) {
  const auto found = live_.find(id);
  if (found == live_.end()) return;
  Live& live = found->second;
  const TaskSpec& spec = *live.run.spec.find(name);
  Result<Document> body = resolve_references(spec.body, outputs_of(live.run));
  if (!body.ok()) return on_finish(id, name, {TaskState::kFailed, body.error().describe(), Document::object()});
  TaskReport report;
  // Reports are posted: a kind may report inside start, before its run is stored.
  report.progress = [this, alive = alive_, id, name](Document output) {
    deps_.strand.post([this, alive, id, name, output = std::move(output)]() mutable {
      if (*alive) on_progress(id, name, std::move(output));
    });
  };
  report.finish = [this, alive = alive_, id, name](TaskOutcome outcome) {
    deps_.strand.post([this, alive, id, name, outcome = std::move(outcome)]() mutable {
      if (*alive) on_finish(id, name, std::move(outcome));
    });
  };
  const TaskContext context{id, live.run.spec.name, name, live.run.owner, comes_after_synthetic(live.run, name)};
  if (Result<void> hit = hit_failpoint("workflow.before_start"); !hit.ok()) return on_fatal_(hit.error());
  live.running[name] = find_kind(spec.kind)->start(context, *body, std::move(report));
  if (Result<void> hit = hit_failpoint("workflow.after_start"); !hit.ok()) return on_fatal_(hit.error());
}

void WorkflowService::on_progress(WorkflowRunId id, const std::string& name, Document output) {
  const auto found = live_.find(id);
  if (found == live_.end()) return;
  TaskInstance& task = *found->second.run.find(name);
  if (task.state != TaskState::kRunning || task.output == output) return;
  task.output = std::move(output);
  after_write(found->second, [] {});
}

void WorkflowService::on_finish(WorkflowRunId id, const std::string& name, TaskOutcome outcome) {
  const auto found = live_.find(id);
  if (found == live_.end()) return;
  Live& live = found->second;
  TaskInstance& task = *live.run.find(name);
  if (is_terminal(task.state)) return;
  task.state = outcome.state;
  task.reason = std::move(outcome.reason);
  task.output = std::move(outcome.output);
  task.ended_at = deps_.clock.now();
  live.running.erase(name);
  advance(live);
}

void WorkflowService::after_write(Live& live, std::function<void()> release) {
  live.dirty = true;
  live.gathering.push_back(std::move(release));
  if (live.writing) return;
  live.writing = true;
  // Posted, so that everything this task of the strand applies is in one write.
  deps_.strand.post([this, alive = alive_, id = live.run.id] {
    if (*alive) write(id);
  });
}

void WorkflowService::write(WorkflowRunId id) {
  Live& live = live_.at(id);
  live.dirty = false;
  deps_.writes.post([this, alive = alive_, id, run = live.run, releases = std::exchange(live.gathering, {})]() mutable {
    Result<void> result = hit_failpoint("workflow.before_commit");
    if (result.ok()) result = deps_.repository.save(run);
    if (result.ok()) result = hit_failpoint("workflow.after_commit");
    deps_.strand.post([this, alive, id, run = std::move(run), result = std::move(result), releases = std::move(releases)]() mutable {
      if (*alive) written(id, std::move(run), result, std::move(releases));
    });
  });
}

void WorkflowService::written(WorkflowRunId id, WorkflowRun run, const Result<void>& result, std::vector<std::function<void()>> releases) {
  if (!result.ok()) return on_fatal_(result.error());
  Live& live = live_.at(id);
  live.writing = false;
  live.durable = std::move(run);
  if (live.dirty) {
    live.writing = true;
    write(id);
  }
  const WorkflowRun durable = live.durable;
  for (const auto& release : releases) release();
  for (auto it = listeners_.begin(); it != listeners_.end();) {
    const auto current = it++;  // A listener may unsubscribe itself.
    current->second(durable);
  }
  const auto found = live_.find(id);
  if (found != live_.end() && is_terminal(found->second.durable.state) && !found->second.writing) live_.erase(found);
}

}  // namespace trainyard::workflow
