#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "jobs/testing/service_world.h"

namespace trainyard::jobs {
namespace {

using namespace std::chrono_literals;
using testing::exit_with;
using Calls = std::vector<std::string>;

class JobDurabilityTest : public testing::ServiceWorld {
 protected:
  /// Ends the process without an answer to the commit that waits: durable or not.
  void crash_in_commit(bool durable) {
    ASSERT_TRUE(durable ? ledger.lose_answer() : ledger.lose_waiting());
    crash();
    ledger.stop_holding();
  }
};

TEST_F(JobDurabilityTest, nothing_is_answered_launched_or_published_before_its_commit) {
  ledger.hold_commits();
  bool answered = false;
  service->submit(submission(), [&answered](Result<JobId>) { answered = true; });
  strand.run_ready();
  EXPECT_FALSE(answered);
  EXPECT_TRUE(published.empty());
  EXPECT_EQ(take_calls(), (Calls{}));
  ASSERT_TRUE(ledger.release());
  strand.run_ready();
  EXPECT_TRUE(answered);
  // Submit and launch were two turns of the strand: the launch came along if it had been planned by then.
  while (ledger.release()) strand.run_ready();
  EXPECT_EQ(take_calls(), (Calls{"launch 1.1"}));
  EXPECT_EQ(published_types(), "submitted launching");
}

TEST_F(JobDurabilityTest, kill_waits_for_the_commit_of_its_intent) {
  const JobId id = submit();
  take_calls();
  ledger.hold_commits();
  bool answered = false;
  service->stop(id, StopIntent::kCancel, "asked", [&answered](Result<void>) { answered = true; });
  strand.run_ready();
  EXPECT_EQ(take_calls(), (Calls{}));
  EXPECT_FALSE(answered);
  ledger.release();
  strand.run_ready();
  EXPECT_EQ(take_calls(), (Calls{"stop 1.1 cancel"}));
  EXPECT_TRUE(answered);
}

TEST_F(JobDurabilityTest, cancel_during_the_commit_of_the_launch_kills_only_once_it_is_durable_itself) {
  ledger.hold_commits();
  service->submit(submission(), [](const Result<JobId>&) {});
  strand.run_ready();
  ASSERT_TRUE(ledger.commit_waits());
  service->stop(JobId(1), StopIntent::kCancel, "asked", [](const Result<void>&) {});
  ledger.release();
  strand.run_ready();
  EXPECT_EQ(take_calls(), (Calls{"launch 1.1"}));
  ledger.release();
  strand.run_ready();
  EXPECT_EQ(take_calls(), (Calls{"stop 1.1 cancel"}));
}

// A read shows only what a crash cannot undo: also while the commit of the newest change is already on its way.
TEST_F(JobDurabilityTest, read_waits_for_the_commit_that_last_changed_what_it_shows) {
  const JobId id = submit();
  ledger.hold_commits();
  service->on_rank_running(rank(id, 1), clock.now());
  std::vector<JobState> shown;
  const auto read = [&] { service->get(id, [&shown](const Result<Job>& result) { shown.push_back(result->state); }); };
  read();
  strand.run_ready();
  ASSERT_TRUE(ledger.commit_waits());
  read();
  strand.run_ready();
  EXPECT_TRUE(shown.empty()) << "shown before it was durable";
  ledger.release();
  strand.run_ready();
  EXPECT_EQ(shown, (std::vector<JobState>{JobState::kRunning, JobState::kRunning}));
}

TEST_F(JobDurabilityTest, read_of_an_ended_job_waits_for_its_end_to_be_durable) {
  const JobId id = submit();
  ledger.hold_commits();
  service->on_rank_exited(rank(id, 1), exit_with(0));
  strand.run_ready();
  std::optional<Result<Job>> shown;
  service->get(id, [&shown](Result<Job> result) { shown = std::move(result); });
  EXPECT_FALSE(shown.has_value());
  ledger.release();
  strand.run_ready();
  ASSERT_TRUE(shown.has_value());
  EXPECT_EQ((*shown)->state, JobState::kSucceeded);
  std::optional<Result<Job>> later;
  service->get(id, [&later](Result<Job> result) { later = std::move(result); });
  EXPECT_EQ(later->error().id, "job.not_live");
}

// The backend keeps an exit until the end of its attempt is durable: after a crash it is the only one who knows.
TEST_F(JobDurabilityTest, exit_reported_twice_is_forgotten_only_after_its_commit) {
  const JobId id = submit();
  take_calls();
  ledger.hold_commits();
  service->on_rank_exited(rank(id, 1), exit_with(0));
  strand.run_ready();
  service->on_rank_exited(rank(id, 1), exit_with(0));
  strand.run_ready();
  EXPECT_EQ(take_calls(), (Calls{}));
  ledger.release();
  strand.run_ready();
  const Calls calls = take_calls();
  ASSERT_FALSE(calls.empty());
  for (const std::string& call : calls) EXPECT_EQ(call, "forget 1.1");
}

TEST_F(JobDurabilityTest, exit_of_an_attempt_that_is_over_is_forgotten) {
  const JobId id = submit();
  exits(rank(id, 1), exit_with(0));
  take_calls();
  exits(rank(id, 1), exit_with(0));
  EXPECT_EQ(take_calls(), (Calls{"forget 1.1"}));
}

TEST_F(JobDurabilityTest, failed_commit_stops_everything_and_is_reported_once) {
  faulty.fault_commit(1, store::testing::CommitFault::kFails);
  bool answered = false;
  service->submit(submission(), [&answered](Result<JobId>) { answered = true; });
  service->submit(submission(), [&answered](Result<JobId>) { answered = true; });
  strand.run_ready();
  EXPECT_EQ(fatal, (std::vector<std::string>{"ledger.injected"}));
  EXPECT_FALSE(answered);
  EXPECT_TRUE(published.empty());
  EXPECT_EQ(take_calls(), (Calls{}));
}

TEST_F(JobDurabilityTest, repeated_key_answers_with_the_same_job_even_after_a_crash) {
  Submission keyed = submission();
  keyed.idempotency_key = "k";
  keyed.fingerprint = "body";
  const JobId id = submit(keyed);
  EXPECT_EQ(submit(keyed), id);
  crash();
  boot();
  EXPECT_EQ(submit(keyed), id);
  exits(rank(id, 1), exit_with(0));
  EXPECT_EQ(submit(keyed), id) << "also when the job is over";
  EXPECT_NE(submit(), id);
}

TEST_F(JobDurabilityTest, repeated_key_is_answered_only_once_the_first_is_durable) {
  Submission keyed = submission();
  keyed.idempotency_key = "k";
  ledger.hold_commits();
  int answers = 0;
  for (int i = 0; i < 2; ++i) service->submit(keyed, [&answers](const Result<JobId>& id) { answers += id.ok() ? 1 : 100; });
  strand.run_ready();
  EXPECT_EQ(answers, 0);
  ledger.release();
  strand.run_ready();
  EXPECT_EQ(answers, 2);
  EXPECT_EQ(service->live_count(), 1u);
}

TEST_F(JobDurabilityTest, key_with_another_body_is_refused) {
  Submission keyed = submission();
  keyed.idempotency_key = "k";
  keyed.fingerprint = "body";
  submit(keyed);
  keyed.fingerprint = "other";
  std::optional<Result<JobId>> answer;
  service->submit(keyed, [&answer](Result<JobId> result) { answer = std::move(result); });
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->error().id, "idempotency.mismatch");
}

TEST_F(JobDurabilityTest, number_of_remembered_keys_is_bounded_and_the_newest_stay) {
  crash();
  settings.idempotency_keys_max = 3;
  boot();
  Submission keyed = submission();
  std::vector<JobId> ids;
  for (const char* key : {"a", "b", "c", "d"}) {
    keyed.idempotency_key = key;
    ids.push_back(submit(keyed));
  }
  EXPECT_EQ(submit(keyed), ids[3]) << "the newest key, though all came in one microsecond";
  keyed.idempotency_key = "a";
  EXPECT_NE(submit(keyed), ids[0]) << "the oldest key is forgotten";
}

TEST_F(JobDurabilityTest, submit_lost_in_a_crash_leaves_no_trace_and_its_id_is_given_again) {
  ledger.hold_commits();
  service->submit(submission(), [](const Result<JobId>&) { FAIL() << "answered"; });
  strand.run_ready();
  crash_in_commit(false);
  boot();
  EXPECT_EQ(service->live_count(), 0u);
  EXPECT_EQ(submit(), JobId(1));
}

TEST_F(JobDurabilityTest, launch_that_was_durable_but_never_sent_is_sent_after_the_restart) {
  ledger.hold_commits();
  service->submit(submission(), [](const Result<JobId>&) { FAIL() << "answered"; });
  strand.run_ready();
  crash_in_commit(true);
  EXPECT_EQ(take_calls(), (Calls{}));
  boot();
  const Calls calls = take_calls();
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_TRUE(calls[0] == "adopt 1.1" || calls[0] == "launch 1.1") << calls[0];
  runs(rank(JobId(1), 1));
  exits(rank(JobId(1), 1), exit_with(0));
  EXPECT_EQ(job(JobId(1)).state, JobState::kSucceeded);
}

TEST_F(JobDurabilityTest, rest_of_a_gang_is_adopted_with_what_was_seen_of_it) {
  const JobId id = submit(submission(1, 3));
  runs(rank(id, 1, 0));
  exits(rank(id, 1, 1), exit_with(0));
  crash();
  take_calls();
  boot();
  EXPECT_EQ(take_calls(), (Calls{"adopt 1.1"}));
  const exec::GangLaunch& adopted = backend.launches.at({id, AttemptNumber(1)});
  ASSERT_EQ(adopted.ranks.size(), 2u) << "the end of rank 1 is durable";
  EXPECT_EQ(adopted.ranks[0].rank, rank(id, 1, 0));
  EXPECT_EQ(adopted.ranks[1].rank, rank(id, 1, 2));
  EXPECT_EQ(adopted.seen_running, (std::vector<bool>{true, false}));
  EXPECT_EQ(job(id).state, JobState::kStarting);
}

TEST_F(JobDurabilityTest, stopping_job_and_doomed_gang_are_stopped_again_after_a_restart) {
  const JobId cancelled = submit(submission(1, 2));
  const JobId doomed = submit(submission(1, 2));
  EXPECT_TRUE(stop(cancelled).ok());
  exits(rank(doomed, 1, 0), exit_with(1));
  crash();
  take_calls();
  boot();
  EXPECT_EQ(take_calls(), (Calls{"adopt 1.1", "stop 1.1 cancel", "adopt 2.1", "stop 2.1 gang_failed"}));
  exits(rank(cancelled, 1, 0), exit_with(143));
  exits(rank(cancelled, 1, 1), exit_with(143));
  EXPECT_EQ(job(cancelled).state, JobState::kCancelled);
}

TEST_F(JobDurabilityTest, wall_clock_that_was_set_back_delays_no_queued_job) {
  Submission failing = submission();
  failing.spec.retry.user = 1;
  failing.spec.retry.backoff_cap = 5s;
  const JobId retried = submit(failing);
  ledger.hold_commits();
  service->submit(submission(), [](const Result<JobId>&) {});
  strand.run_ready();
  ASSERT_TRUE(ledger.lose_answer());
  crash();
  ledger.stop_holding();
  clock.step_wall_clock(-1h);
  boot();
  EXPECT_EQ(job(JobId(2)).state, JobState::kStarting) << "never launched: it waits for nothing";
  exits(rank(retried, 1), exit_with(1));
  crash();
  clock.step_wall_clock(-1h);
  boot();
  strand.advance(6s);
  EXPECT_EQ(job(retried).attempt.number.value, 2u) << "its backoff is seconds";
}

TEST_F(JobDurabilityTest, queue_backoff_and_limits_go_on_after_a_restart) {
  Submission retrying = submission();
  retrying.spec.retry.user = 3;
  retrying.spec.retry.backoff_base = retrying.spec.retry.backoff_cap = 60s;
  retrying.spec.limits.total = 100s;
  const JobId id = submit(retrying);
  exits(rank(id, 1), exit_with(1));
  const TimePoint eligible = job(id).eligible_at;
  crash();
  clock.advance(5s);
  boot();
  take_calls();
  EXPECT_EQ(job(id).eligible_at, eligible);
  strand.advance(std::max(eligible - clock.now(), Duration(0)));
  EXPECT_EQ(take_calls(), (Calls{"launch 1.2"}));
  strand.advance(100s);
  EXPECT_EQ(job(id).state, JobState::kStopping);
}

TEST_F(JobDurabilityTest, ended_jobs_are_not_loaded_again) {
  const JobId id = submit();
  exits(rank(id, 1), exit_with(0));
  crash();
  take_calls();
  boot();
  EXPECT_EQ(service->live_count(), 0u);
  EXPECT_EQ(take_calls(), (Calls{}));
  EXPECT_EQ(job(id).state, JobState::kSucceeded);
  EXPECT_EQ(submit(), JobId(2));
}

TEST_F(JobDurabilityTest, damaged_record_stops_the_start_with_data_loss) {
  crash();
  store::LedgerBatch batch;
  batch.jobs.push_back({JobId(1), true, {}, "{\"half\":"});
  ledger.commit(std::move(batch), [](const Result<void>&) {});
  const Result<void> recovered = try_boot();
  ASSERT_FALSE(recovered.ok());
  EXPECT_EQ(recovered.error().category, Category::kDataLoss);
}

TEST_F(JobDurabilityTest, published_numbers_are_gapless_over_crashes_and_equal_the_stored_ones) {
  Submission retrying = submission();
  retrying.spec.retry.node_lost = 100;
  for (int i = 0; i < 4; ++i) {
    const JobId id = submit(retrying);
    runs(rank(id, 1));
    ledger.hold_commits();
    service->on_ranks_lost({rank(id, 1)}, "gone");
    strand.run_ready();
    crash_in_commit(i % 2 == 0);
    boot();
  }
  const std::vector<store::EventRecord> stored = ledger.events({}, {}, 1000).value();
  for (std::size_t i = 0; i < stored.size(); ++i) EXPECT_EQ(stored[i].number.value, i + 1);
  std::uint64_t last = 0;
  for (const store::EventRecord& event : published) {
    EXPECT_GT(event.number.value, last) << "an event is published once";
    last = event.number.value;
    EXPECT_EQ(stored.at(last - 1).body, event.body);
  }
}

TEST_F(JobDurabilityTest, events_of_a_job_end_with_its_terminal_state) {
  const JobId id = submit();
  runs(rank(id, 1));
  EXPECT_EQ(events(rank(id, 1), 0, {R"({"event":"ready","url":"http://x"})", R"({"event":"metric","key":"a","value":1})"}).value(), 2u);
  exits(rank(id, 1), exit_with(0));
  EXPECT_EQ(published_types(), "submitted launching running ready succeeded");
  EXPECT_EQ(parse_json(published.back().body).value()["state"].text(), "SUCCEEDED");
}

}  // namespace
}  // namespace trainyard::jobs
