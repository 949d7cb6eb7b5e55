#pragma once
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "jobs/testing/service_world.h"
#include "tasks/job_gateway.h"
#include "tune/study_board.h"
#include "workflow/task_kind.h"

namespace trainyard::tasks::testing {

/// What a task reported.
struct Reported {
  std::vector<Document> progress;
  std::vector<workflow::TaskOutcome> ends;

  workflow::TaskReport report() {
    return {[this](Document output) { progress.push_back(std::move(output)); },
            [this](workflow::TaskOutcome outcome) { ends.push_back(std::move(outcome)); }};
  }
  /// "SUCCEEDED", "" while it is at work, "twice" when it ended more than once.
  std::string state() const {
    if (ends.size() > 1) return "twice";
    return ends.empty() ? "" : std::string(name_of(ends.front().state));
  }
  const workflow::TaskOutcome& end() const { return ends.at(0); }
};

inline workflow::TaskContext context_of(const std::string& task, std::uint64_t run = 1) {
  return {workflow::WorkflowRunId(run), "flow", task, "ann", false};
}

/// Task kinds over a real JobService, with a fake ledger and a scripted backend, in one thread. `crash_all` and `boot_all` restart the
/// server; the tasks at work are forgotten with it.
class TaskBench : public jobs::testing::ServiceWorld {
 protected:
  TaskBench() { make_gateway(); }
  ~TaskBench() override {
    task.reset();
    gateway.reset();
  }

  void make_gateway() {
    gateway = std::make_unique<JobGateway>(JobGateway::Deps{strand, reads, *service, ledger}, [this](JobSpec&) -> Result<Document> {
      if (resolve_error) return *resolve_error;
      return Document::object({{"inputs", Document::object({{"data", Document::object({{"ref", "fashion@3/curated"}})}})}});
    });
  }
  void crash_all() {
    task.reset();
    gateway.reset();
    reads.drop_all();
    crash();
  }
  void boot_all() {
    boot();
    make_gateway();
  }
  void settle() {
    while (strand.run_ready() + reads.run_ready() > 0) continue;
  }
  /// Starts (or takes up again) a task and lets it run.
  void start(workflow::TaskKind& kind, const std::string& body, const workflow::TaskContext& context = context_of("train")) {
    reported = std::make_unique<Reported>();
    task = kind.start(context, parse_json(body).value(), reported->report());
    settle();
  }
  void run_job(JobId id, std::uint32_t attempt = 1) {
    runs(rank(id, attempt));
    settle();
  }
  void end_job(JobId id, int code, std::uint32_t attempt = 1) {
    exits(rank(id, attempt), jobs::testing::exit_with(code));
    settle();
  }
  void emit(JobId id, std::uint64_t first, const std::vector<std::string>& lines, std::uint32_t attempt = 1) {
    EXPECT_TRUE(events(rank(id, attempt), first, lines).ok());
    settle();
  }
  std::size_t job_count() { return ledger.list(JobId(), 1000).value().size(); }

  trainyard::testing::ManualExecutor reads{clock};
  std::optional<Error> resolve_error;
  tune::StudyBoard board;
  std::unique_ptr<JobGateway> gateway;
  std::unique_ptr<Reported> reported;
  std::unique_ptr<workflow::TaskRun> task;
};

}  // namespace trainyard::tasks::testing
