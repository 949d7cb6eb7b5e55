#pragma once
#include <functional>
#include <memory>
#include <string>

#include "base/document.h"
#include "base/result.h"
#include "workflow/workflow_run.h"

namespace trainyard::workflow {

/// Which task is being worked on. `key` is the same for the same task after a restart: effects are made idempotent by it.
struct TaskContext {
  WorkflowRunId run;
  std::string workflow;
  std::string task;
  std::string owner;
  bool synthetic = false;  ///< A task before it, directly or not, worked on made-up data: its output says "synthetic": true.

  std::string key() const { return "workflow:" + run.text() + "/" + task; }
};

/// How a task ended.
struct TaskOutcome {
  TaskState state = TaskState::kSucceeded;  ///< kSucceeded, kFailed or kCancelled.
  std::string reason;
  Document output = Document::object();
};

/// A task at work. Destroying it forgets it; it does not undo anything.
class TaskRun {
 public:
  virtual ~TaskRun() = default;
  /// Asks for an early end; the outcome still comes through the report.
  virtual void cancel(const std::string& why) = 0;
};

/// Where a task reports. Called on the strand.
struct TaskReport {
  std::function<void(Document)> progress;   ///< What is known so far: becomes the task's output while it runs.
  std::function<void(TaskOutcome)> finish;  ///< Once.
};

/// One kind of work: a job, or a server-side effect. Every method is called on the strand and does not block. Registered in one table.
class TaskKind {
 public:
  virtual ~TaskKind() = default;
  virtual std::string name() const = 0;
  /// Checks a body that may still hold ${...} references. Errors: INVALID_ARGUMENT with the position.
  virtual Result<void> validate(const Document& body) const = 0;
  /// Starts the task, or takes it up again after a restart: effects are idempotent by `context.key()`. `body` has no references left.
  virtual std::unique_ptr<TaskRun> start(const TaskContext& context, const Document& body, TaskReport report) = 0;
};

}  // namespace trainyard::workflow
