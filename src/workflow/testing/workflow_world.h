#pragma once
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "adapters/sqlite/testing/temporary_database.h"
#include "base/testing/manual_executor.h"
#include "workflow/testing/fake_task_kind.h"
#include "workflow/workflow_service.h"

namespace trainyard::workflow::testing {

/// A workflow of fake tasks, from its tasks in YAML flow style: "{a: {fake: {}}, b: {after: a, fake: {}}}".
inline Document workflow_of(const std::string& tasks) { return parse_yaml("workflow: test\ntasks: " + tasks + "\n", "test.yaml").value(); }

inline TaskOutcome succeeded(Document output = Document::object()) { return {TaskState::kSucceeded, "", std::move(output)}; }
inline TaskOutcome failed(std::string why) { return {TaskState::kFailed, std::move(why), Document::object()}; }

/// Notes errors; nobody reads the rest.
class ErrorLog final : public LogSink {
 public:
  void write(const LogEvent& event) override { EXPECT_NE(event.level, LogLevel::kError) << event.name; }
};

/// A WorkflowService over a real repository and fake tasks, on one thread. `crash` throws the service away and `boot` makes another over
/// what was durable.
class WorkflowWorld : public ::testing::Test {
 protected:
  WorkflowWorld() {
    EXPECT_TRUE(store::migrate(files.database(), "workflow", workflow_migrations()).ok());
    boot();
  }
  ~WorkflowWorld() override { crash(); }

  void crash() {
    service.reset();
    strand.drop_all();
    writes.drop_all();
  }
  void boot() {
    WorkflowService::Kinds kinds;
    kinds.push_back(std::make_unique<FakeTaskKind>(world));
    service = std::make_unique<WorkflowService>(WorkflowService::Deps{strand, writes, clock, repository, log}, std::move(kinds),
                                                [this](const Error& error) { fatal.push_back(error.id); });
    ASSERT_TRUE(service->recover().ok());
  }
  /// Runs until nothing is left to do.
  void settle() {
    while (strand.run_ready() + writes.run_ready() > 0) continue;
  }

  Result<WorkflowRunId> try_submit(const Document& source) {
    std::optional<Result<WorkflowRunId>> answer;
    service->submit(source, "ann", [&answer](Result<WorkflowRunId> id) { answer = std::move(id); });
    settle();
    return answer.value_or(internal_error("test.no_answer", "no answer"));
  }
  WorkflowRunId submit(const std::string& tasks) {
    const Result<WorkflowRunId> id = try_submit(workflow_of(tasks));
    EXPECT_TRUE(id.ok()) << (id.ok() ? "" : id.error().describe());
    return id.ok() ? *id : WorkflowRunId();
  }
  Result<void> cancel(WorkflowRunId id) {
    std::optional<Result<void>> answer;
    service->cancel(id, [&answer](Result<void> result) { answer = std::move(result); });
    settle();
    return answer.value_or(internal_error("test.no_answer", "no answer"));
  }
  /// Ends a task that is at work.
  void finish(const std::string& task, TaskOutcome outcome = succeeded()) {
    ASSERT_TRUE(world.tasks.contains(task)) << task << " is not at work";
    world.tasks.at(task).report.finish(std::move(outcome));
    settle();
  }
  /// The run as a reader sees it: live, else as stored.
  WorkflowRun run(WorkflowRunId id) {
    std::optional<Result<WorkflowRun>> live;
    service->get(id, [&live](Result<WorkflowRun> result) { live = std::move(result); });
    if (live && live->ok()) return **live;
    return repository.get(id).value();
  }
  /// "RUNNING: a SUCCEEDED, b WAITING".
  std::string states(WorkflowRunId id) {
    const WorkflowRun shown = run(id);
    std::string text(name_of(shown.state));
    for (const TaskInstance& task : shown.tasks) {
      text += (&task == &shown.tasks.front() ? ": " : ", ") + task.name + " " + std::string(name_of(task.state));
    }
    return text;
  }
  /// Task names that were started since the last call.
  std::vector<std::string> take_starts() {
    std::vector<std::string> names;
    for (const std::string& key : std::exchange(world.starts, {})) names.push_back(key.substr(key.find('/') + 1));
    return names;
  }

  adapters::sqlite::testing::TemporaryDatabase files;
  trainyard::testing::FakeClock clock;
  trainyard::testing::ManualExecutor strand{clock};
  trainyard::testing::ManualExecutor writes{clock};
  ErrorLog log;
  FakeWorld world;
  WorkflowRepository repository{files.database(), {"fake"}};
  std::vector<std::string> fatal;
  std::unique_ptr<WorkflowService> service;
};

}  // namespace trainyard::workflow::testing
