#pragma once
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/testing/manual_executor.h"
#include "jobs/job_service.h"
#include "jobs/testing/job_examples.h"
#include "jobs/testing/scripted_backend.h"
#include "store/testing/fake_job_ledger.h"
#include "store/testing/faulty_job_ledger.h"

namespace trainyard::jobs::testing {

/// Counts what it is told; an error is a failure of the test.
class CountingLog final : public LogSink {
 public:
  void write(const LogEvent& event) override { EXPECT_NE(event.level, LogLevel::kError) << event.name; }
};

/// A JobService over a fake ledger and a scripted backend, in one thread. `crash` throws the service away and `boot` makes another over
/// what was durable.
class ServiceWorld : public ::testing::Test {
 protected:
  ServiceWorld() {
    backend.add_node("a", 4);
    backend.add_node("b", 4);
    boot();
  }
  ~ServiceWorld() override { crash(); }

  void crash() {
    service.reset();
    strand.drop_all();
    backend.observer = nullptr;
  }

  Result<void> try_boot() {
    service = std::make_unique<JobService>(settings, JobService::Deps{strand, clock, faulty, backend, builder, log},
                                           JobService::Hooks{[this](const Error& error) { fatal.push_back(error.id); },
                                                             [this](const Job& job) { started.push_back(job.id.value); },
                                                             [this](const Job& job) { ended.push_back(job.id.value); }});
    TRY(service->recover());
    service->subscribe([this](const store::EventRecord& event) { published.push_back(event); });
    strand.run_ready();
    return {};
  }
  void boot() { ASSERT_TRUE(try_boot().ok()); }

  static Submission submission(std::int64_t cores = 1, std::int64_t tasks = 1) {
    Submission submission;
    submission.spec.command = {"work"};
    submission.spec.name = "work";
    submission.spec.resources.cpu.milli = cores * 1000;
    submission.spec.tasks = tasks;
    return submission;
  }
  static Submission after(std::vector<JobDependency> dependencies) {
    Submission submission = ServiceWorld::submission();
    submission.spec.after = std::move(dependencies);
    return submission;
  }
  static Submission array(std::int64_t count, std::int64_t max_running = 0) {
    Submission submission = ServiceWorld::submission();
    submission.spec.array = JobArray{count, max_running};
    return submission;
  }
  /// Submits and lets the strand run until it is idle.
  JobId submit(Submission submission = ServiceWorld::submission()) {
    std::optional<Result<JobId>> answer;
    service->submit(std::move(submission), [&answer](Result<JobId> result) { answer = std::move(result); });
    strand.run_ready();
    EXPECT_TRUE(answer.has_value() && answer->ok()) << (answer && !answer->ok() ? answer->error().describe() : "no answer");
    return answer && answer->ok() ? answer->value() : JobId();
  }
  Result<void> stop(JobId id, StopIntent intent = StopIntent::kCancel) {
    std::optional<Result<void>> answer;
    service->stop(id, intent, "asked", [&answer](Result<void> result) { answer = std::move(result); });
    strand.run_ready();
    EXPECT_TRUE(answer.has_value()) << "no answer";
    return answer.value_or(internal_error("test.no_answer", ""));
  }
  /// Calls a method of the service that answers with Result<void>, and lets the strand run.
  template <typename Call>
  Result<void> ask(Call call) {
    std::optional<Result<void>> answer;
    call([&answer](Result<void> result) { answer = std::move(result); });
    strand.run_ready();
    return answer.value_or(internal_error("test.no_answer", "no answer"));
  }
  Result<void> hold(JobId id) {
    return ask([&](auto done) { service->hold(id, "ann", std::move(done)); });
  }
  Result<void> release(JobId id) {
    return ask([&](auto done) { service->release(id, "ann", std::move(done)); });
  }
  Result<void> set_priority(JobId id, std::int64_t priority) {
    return ask([&](auto done) { service->set_priority(id, priority, "ann", std::move(done)); });
  }
  /// The answer to a submit, which may be refused.
  Result<JobId> try_submit(Submission submission) {
    std::optional<Result<JobId>> answer;
    service->submit(std::move(submission), [&answer](Result<JobId> result) { answer = std::move(result); });
    strand.run_ready();
    return answer.value_or(internal_error("test.no_answer", "no answer"));
  }
  /// The job, live or as the ledger has it.
  Job job(JobId id) {
    std::optional<Result<Job>> live;
    service->get(id, [&live](Result<Job> result) { live = std::move(result); });
    strand.run_ready();
    if (live && live->ok()) return **live;
    const Result<store::JobRecord> record = ledger.get(id);
    EXPECT_TRUE(record.ok()) << "job " << id.value << " is neither live nor in the ledger";
    return record.ok() ? decode_job(record->body).value() : Job();
  }

  static RankKey rank(JobId id, std::uint32_t attempt, std::uint32_t number = 0) { return {{id, AttemptNumber(attempt)}, number}; }
  void runs(const RankKey& rank) {
    service->on_rank_running(rank, clock.now());
    strand.run_ready();
  }
  void exits(const RankKey& rank, const exec::RankExit& exit) {
    service->on_rank_exited(rank, exit);
    strand.run_ready();
  }
  Result<std::uint64_t> events(const RankKey& rank, std::uint64_t first, const std::vector<std::string>& lines) {
    std::vector<Document> documents;
    for (const std::string& line : lines) documents.push_back(parse_json(line).value());
    std::optional<Result<std::uint64_t>> answer;
    service->append_events(rank, first, documents, [&answer](Result<std::uint64_t> result) { answer = std::move(result); });
    strand.run_ready();
    return answer.value_or(internal_error("test.no_answer", "no answer"));
  }
  std::vector<std::string> take_calls() { return std::exchange(backend.calls, {}); }
  std::string published_types() const {
    std::string types;
    for (const store::EventRecord& event : published) types += (types.empty() ? "" : " ") + event.type;
    return types;
  }

  trainyard::testing::FakeClock clock;
  trainyard::testing::ManualExecutor strand{clock};
  store::testing::FakeJobLedger ledger;
  store::testing::FaultyJobLedger faulty{ledger};
  ScriptedBackend backend;
  PlainBuilder builder;
  CountingLog log;
  JobServiceSettings settings;
  std::vector<std::string> fatal;
  std::vector<std::uint64_t> started;
  std::vector<std::uint64_t> ended;
  std::vector<store::EventRecord> published;
  std::unique_ptr<JobService> service;
};

}  // namespace trainyard::jobs::testing
