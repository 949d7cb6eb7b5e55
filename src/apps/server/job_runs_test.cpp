#include "apps/server/job_runs.h"

#include <gtest/gtest.h>

#include "adapters/track_sink/track_sink.h"
#include "base/testing/manual_executor.h"
#include "store/testing/fake_job_ledger.h"
#include "track/testing/tracking_fixture.h"

namespace trainyard::apps {
namespace {

class WarningLog final : public LogSink {
 public:
  void write(const LogEvent& event) override { names.push_back(std::string(event.name)); }
  std::vector<std::string> names;
};

/// Jobs in a ledger, and what tracking knows of them.
class JobRunsTest : public track::testing::TrackingTest {
 protected:
  static jobs::Job job_of(std::uint64_t id, JobState state, std::uint32_t attempt = 1) {
    jobs::Job job;
    job.id = JobId(id);
    job.spec.kind = "train";
    job.spec.name = "n";
    job.spec.name_space = "vision";
    job.owner = "ann";
    job.spec.inputs["data"] = "fashion@3/curated";
    job.run.text = std::string(31, '0') + std::to_string(id);
    job.state = state;
    job.attempt.number = AttemptNumber(attempt);
    job.submitted_at = job.queued_at = job.eligible_at = time_from_micros(1'000'000);
    job.started_at = time_from_micros(2'000'000);
    if (is_terminal(state)) job.ended_at = time_from_micros(9'000'000);
    return job;
  }

  void commit(const jobs::Job& job) {
    store::LedgerBatch batch;
    batch.jobs.push_back({job.id, !is_terminal(job.state), job.submitted_at, jobs::encode_job(job)});
    last = EventNumber(last.value + 1);
    batch.events.push_back({last, job.id, job.submitted_at, "changed", "{}"});
    ledger.commit(std::move(batch), [](const Result<void>& committed) { ASSERT_TRUE(committed.ok()); });
  }

  void repair() {
    runs.repair(last);
    writes.run_ready();
  }
  /// The status of a job's run, "none" without one.
  std::string status(const jobs::Job& job) {
    const Result<track::Run> run = tracking.runs().get(job.run);
    return run.ok() ? std::string(track::name_of(run->info.status)) : "none";
  }

  trainyard::testing::ManualExecutor writes{clock};
  store::testing::FakeJobLedger ledger;
  adapters::track_sink::TrackSink sink{tracking};
  WarningLog log;
  JobRuns runs{{.writes = writes, .sink = sink, .runs = tracking.runs(), .ledger = ledger, .log = log}};
  EventNumber last;
};

TEST_F(JobRunsTest, run_is_opened_with_the_first_attempt_and_closed_with_the_end) {
  jobs::Job job = job_of(1, JobState::kRunning);
  runs.open(job);
  EXPECT_EQ(status(job), "none") << "nothing is written on the caller's thread";
  writes.run_ready();
  EXPECT_EQ(status(job), "RUNNING");
  EXPECT_EQ(tracking.runs().get(job.run)->info.user, "ann");
  EXPECT_EQ(tracking.runs().get(job.run)->info.name_space, "vision");
  job = job_of(1, JobState::kSucceeded);
  runs.close(job);
  writes.run_ready();
  EXPECT_EQ(status(job), "FINISHED");
  EXPECT_EQ(tracking.runs().get(job.run)->info.ended_ms, 9000);
}

TEST_F(JobRunsTest, runs_that_gathered_are_opened_and_closed_in_their_order) {
  for (std::uint64_t id = 1; id <= 3; ++id) runs.open(job_of(id, JobState::kRunning));
  runs.close(job_of(2, JobState::kFailed));
  writes.run_ready();
  EXPECT_EQ(status(job_of(1, JobState::kRunning)), "RUNNING");
  EXPECT_EQ(status(job_of(2, JobState::kFailed)), "FAILED");
  EXPECT_EQ(status(job_of(3, JobState::kRunning)), "RUNNING");
  EXPECT_TRUE(log.names.empty());
}

TEST_F(JobRunsTest, run_that_cannot_be_written_keeps_none_of_the_others_back) {
  runs.open(job_of(1, JobState::kRunning));
  runs.open(job_of(1, JobState::kRunning));  // Launched again: the second insert of the run ends their transaction.
  jobs::Job bad = job_of(2, JobState::kRunning);
  bad.run.text = "no run id";
  runs.open(bad);
  runs.open(job_of(3, JobState::kRunning));
  writes.run_ready();
  EXPECT_EQ(status(job_of(1, JobState::kRunning)), "RUNNING");
  EXPECT_EQ(status(job_of(3, JobState::kRunning)), "RUNNING");
  EXPECT_EQ(log.names, std::vector<std::string>{"track.run_not_opened"});
}

TEST_F(JobRunsTest, job_that_was_never_launched_has_no_run) {
  const jobs::Job job = job_of(1, JobState::kCancelled, 0);
  commit(job);
  runs.close(job);
  repair();
  EXPECT_EQ(status(job), "none");
  EXPECT_TRUE(log.names.empty());
}

TEST_F(JobRunsTest, run_that_was_not_opened_before_the_crash_is_opened_by_the_repair) {
  const jobs::Job job = job_of(1, JobState::kRunning);
  commit(job);
  repair();
  EXPECT_EQ(status(job), "RUNNING");
  EXPECT_EQ(tracking.runs().get(job.run)->info.started_ms, 2000);
}

TEST_F(JobRunsTest, run_that_was_not_closed_before_the_crash_is_closed_by_the_repair) {
  for (const auto& [state, expected] : {std::pair(JobState::kSucceeded, "FINISHED"), std::pair(JobState::kFailed, "FAILED"),
                                        std::pair(JobState::kTimedOut, "FAILED"), std::pair(JobState::kCancelled, "KILLED")}) {
    const jobs::Job job = job_of(1 + static_cast<std::uint64_t>(state), state);
    runs.open(job);
    commit(job);
    repair();
    EXPECT_EQ(status(job), expected);
    EXPECT_EQ(tracking.runs().get(job.run)->info.ended_ms, 9000);
  }
}

TEST_F(JobRunsTest, job_that_began_and_ended_unseen_gets_its_whole_run) {
  const jobs::Job job = job_of(1, JobState::kSucceeded);
  commit(job);
  repair();
  EXPECT_EQ(status(job), "FINISHED");
}

TEST_F(JobRunsTest, run_that_is_as_it_should_be_is_left_alone) {
  const jobs::Job job = job_of(1, JobState::kSucceeded);
  runs.open(job);
  runs.close(job);
  writes.run_ready();
  ASSERT_TRUE(tracking.runs().update(job.run, {track::RunStatus::kFailed, 1234, std::nullopt}).ok());
  commit(job);
  repair();
  EXPECT_EQ(status(job), "FAILED") << "somebody decided so since";
  EXPECT_EQ(tracking.runs().get(job.run)->info.ended_ms, 1234);
}

TEST_F(JobRunsTest, only_the_newest_events_are_looked_at) {
  const jobs::Job old = job_of(1, JobState::kRunning);
  commit(old);
  const jobs::Job young = job_of(2, JobState::kRunning);
  for (int i = 0; i < 4096; ++i) commit(young);
  repair();
  EXPECT_EQ(status(old), "none");
  EXPECT_EQ(status(young), "RUNNING");
}

TEST_F(JobRunsTest, runs_from_before_there_were_namespaces_get_those_of_their_jobs) {
  const jobs::Job job = job_of(1, JobState::kSucceeded);
  commit(job);
  std::vector<RunId> old;
  for (const char* tag : {"1", "1", "9", "nonsense"}) {
    track::NewRun run;
    if (old.empty()) run.id = job.run;
    run.experiment = {"0"};
    run.name_space.clear();
    run.tags = {{std::string(track::kJobTag), tag}};
    old.push_back(make(std::move(run)));
  }
  repair();
  const auto head = [this, &old](std::size_t i) { return tracking.runs().get(old[i])->info; };
  EXPECT_EQ(head(0).name_space, "vision");
  EXPECT_EQ(head(0).job, JobId(1));
  EXPECT_EQ(head(1).name_space, "vision");
  EXPECT_EQ(head(1).job, JobId()) << "another run's tag says so, and anybody can write it";
  EXPECT_EQ(head(2).name_space, "default");
  EXPECT_EQ(head(3).name_space, "default");
  EXPECT_TRUE(log.names.empty());
}

}  // namespace
}  // namespace trainyard::apps
