#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/executor.h"
#include "base/log.h"
#include "workflow/task_kind.h"
#include "workflow/workflow_repository.h"

namespace trainyard::workflow {

/// Drives workflow runs: reports -> plan_run -> one durable write -> starts, cancels and replies. Event-driven: nothing polls. Lives on the
/// strand; the database is written on `writes`, one run at a time, in order. A crash between the write and a start is repaired at recovery:
/// a RUNNING task is started again and its kind finds the effect it already had.
class WorkflowService {
 public:
  struct Deps {
    Executor& strand;
    Executor& writes;
    Clock& clock;
    WorkflowRepository& repository;
    LogSink& log;
  };
  using Kinds = std::vector<std::unique_ptr<TaskKind>>;
  using Listener = std::function<void(const WorkflowRun&)>;

  WorkflowService(Deps deps, Kinds kinds, std::function<void(const Error&)> on_fatal);
  ~WorkflowService();

  /// Loads the live runs and takes their tasks up again. Blocks; before anything else is called.
  Result<void> recover();

  /// Starts a run; done when it is durable. Errors: INVALID_ARGUMENT from the spec or a task's own check.
  void submit(const Document& source, const std::string& owner, std::function<void(Result<WorkflowRunId>)> done);
  /// The same, once per key: whoever did not hear the answer asks again and is given the run that the first request made, also after a
  /// restart. Errors: also INVALID_ARGUMENT "idempotency.mismatch" when the key came with another workflow before.
  void submit_once(const Document& source, const std::string& owner, const std::string& key,
                   std::function<void(Result<WorkflowRunId>)> done);
  /// Done when the request is durable; a run that ended is no error. Errors: NOT_FOUND "workflow.not_live".
  void cancel(WorkflowRunId id, std::function<void(Result<void>)> done);
  /// The durable state of a live run. Errors: NOT_FOUND "workflow.not_live": ask the repository.
  void get(WorkflowRunId id, std::function<void(Result<WorkflowRun>)> done);

  /// Told of every durable change until unsubscribed.
  std::uint64_t subscribe(Listener listener);
  void unsubscribe(std::uint64_t subscription);

 private:
  struct Live {
    WorkflowRun run;      ///< As applied.
    WorkflowRun durable;  ///< As of the last write that came back.
    std::map<std::string, std::unique_ptr<TaskRun>> running;
    bool dirty = false;
    bool writing = false;
    std::vector<std::function<void()>> gathering;  ///< Run after the next write.
  };

  TaskKind* find_kind(const std::string& name);
  Result<WorkflowSpec> check(const Document& source);
  void create(const Document& source, const std::string& owner, const std::string& key, std::function<void(Result<WorkflowRunId>)> done);
  const WorkflowRun* find_live_by_key(const std::string& key) const;
  void advance(Live& live);
  void start_task(Live& live, const std::string& name);
  void launch(WorkflowRunId id, const std::string& name);
  void on_progress(WorkflowRunId id, const std::string& name, Document output);
  void on_finish(WorkflowRunId id, const std::string& name, TaskOutcome outcome);
  void after_write(Live& live, std::function<void()> release);
  void write(WorkflowRunId id);
  void written(WorkflowRunId id, WorkflowRun run, const Result<void>& result, std::vector<std::function<void()>> releases);

  Deps deps_;
  Kinds kinds_;
  std::function<void(const Error&)> on_fatal_;
  std::map<WorkflowRunId, Live> live_;
  WorkflowRunId last_id_;
  std::map<std::uint64_t, Listener> listeners_;
  std::uint64_t last_subscription_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // shared: owned here, watched by posted tasks
};

}  // namespace trainyard::workflow
