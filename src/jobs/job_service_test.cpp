#include "jobs/job_service.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "jobs/testing/service_world.h"

namespace trainyard::jobs {
namespace {

using namespace std::chrono_literals;
using testing::exit_with;
using Calls = std::vector<std::string>;

class JobServiceTest : public testing::ServiceWorld {};

TEST_F(JobServiceTest, what_limits_ranks_is_kept_with_the_attempt) {
  const JobId id = submit(submission(1, 2));
  service->on_rank_limited(rank(id, 1, 0), "cgroup2");
  service->on_rank_limited(rank(id, 1, 1), "rlimit");
  service->on_rank_limited(rank(id, 2, 1), "cgroup1");
  for (std::uint32_t i = 0; i < 2; ++i) runs(rank(id, 1, i));
  crash();
  boot();
  EXPECT_EQ(job_view(job(id))["ranks"].items()[0]["limited_by"].text(), "cgroup2");
  EXPECT_EQ(job_view(job(id))["ranks"].items()[1]["limited_by"].text(), "rlimit");
  for (std::uint32_t i = 0; i < 2; ++i) exits(rank(id, 1, i), exit_with(0));
  EXPECT_EQ(job_view(job(id))["attempts"].items()[0]["limited_by"].text(), "cgroup2,rlimit");
}

TEST_F(JobServiceTest, submitted_job_is_launched_runs_and_succeeds) {
  const JobId id = submit();
  EXPECT_EQ(id, JobId(1));
  EXPECT_EQ(take_calls(), (Calls{"launch 1.1"}));
  EXPECT_EQ(job(id).state, JobState::kStarting);
  EXPECT_EQ(started, (std::vector<std::uint64_t>{1}));
  runs(rank(id, 1));
  EXPECT_EQ(job(id).state, JobState::kRunning);
  exits(rank(id, 1), exit_with(0));
  EXPECT_EQ(job(id).state, JobState::kSucceeded);
  EXPECT_EQ(take_calls(), (Calls{"forget 1.1"}));
  EXPECT_EQ(ended, (std::vector<std::uint64_t>{1}));
  EXPECT_EQ(service->live_count(), 0u);
  EXPECT_EQ(published_types(), "submitted launching running succeeded");
}

TEST_F(JobServiceTest, submit_and_immediate_launch_share_one_commit) {
  submit();
  EXPECT_EQ(ledger.commit_count(), 1u);
}

TEST_F(JobServiceTest, ids_are_dense_and_runs_differ) {
  const Job first = job(submit()), second = job(submit());
  EXPECT_EQ(second.id.value, first.id.value + 1);
  EXPECT_NE(first.run, second.run);
  EXPECT_EQ(first.run.text.size(), 32u);
}

TEST_F(JobServiceTest, job_that_fits_nowhere_ever_is_refused) {
  std::optional<Result<JobId>> answer;
  service->submit(submission(5), [&answer](Result<JobId> result) { answer = std::move(result); });
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->error().id, "spec.impossible_resources");
  EXPECT_EQ(answer->error().category, Category::kFailedPrecondition);
  EXPECT_EQ(service->live_count(), 0u);
}

TEST_F(JobServiceTest, queue_beyond_its_bound_refuses_submits) {
  crash();
  settings.live_jobs_max = 2;
  boot();
  submit();
  submit();
  std::optional<Result<JobId>> answer;
  service->submit(submission(), [&answer](Result<JobId> result) { answer = std::move(result); });
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->error().id, "queue.full");
  EXPECT_EQ(answer->error().category, Category::kResourceExhausted);
  exits(rank(JobId(1), 1), exit_with(0));
  submit();
}

TEST_F(JobServiceTest, job_waits_for_room_and_starts_when_it_comes) {
  const JobId first = submit(submission(4, 2));
  const JobId second = submit();
  EXPECT_EQ(take_calls(), (Calls{"launch 1.1"}));
  EXPECT_EQ(job(second).state, JobState::kQueued);
  ASSERT_TRUE(service->explain(second).ok());
  EXPECT_EQ(service->explain(second)->reason, sched::Reason::kWaitingForResources);
  exits(rank(first, 1, 0), exit_with(0));
  EXPECT_EQ(job(second).state, JobState::kStarting) << "one rank's room is enough";
  EXPECT_FALSE(service->explain(second).ok());
}

TEST_F(JobServiceTest, planned_start_comes_from_the_users_last_run_times_and_promises_do_not) {
  const JobId first = submit(submission(4, 2));
  clock.advance(std::chrono::seconds(100));
  exits(rank(first, 1, 0), exit_with(0));
  exits(rank(first, 1, 1), exit_with(0));
  ASSERT_EQ(job(first).state, JobState::kSucceeded);
  const JobId second = submit(submission(4, 2));
  const JobId waiting = submit(submission(4, 2));
  const TimePoint start = job(second).attempt.launched_at;
  ASSERT_TRUE(service->planned_start(waiting).has_value());
  EXPECT_EQ(*service->planned_start(waiting), start + std::chrono::seconds(100));
  EXPECT_EQ(service->explain(waiting)->promised_start, std::nullopt) << "without a limit there is nothing to promise";
  EXPECT_EQ(service->planned_start(second), std::nullopt) << "it runs";
}

TEST_F(JobServiceTest, wait_reason_is_told_for_queued_jobs_only) {
  submit(submission(4, 2));
  const JobId waiting = submit(submission(4, 2));
  ASSERT_TRUE(service->explain(waiting).ok());
  ASSERT_TRUE(stop(waiting).ok());
  EXPECT_EQ(service->explain(waiting).error().id, "job.not_waiting") << "it does not wait any more";
  EXPECT_EQ(service->explain(JobId(99)).error().id, "job.not_waiting");
}

TEST_F(JobServiceTest, node_that_joins_starts_what_waits) {
  crash();
  backend.views.clear();
  boot();
  const JobId id = submit();
  EXPECT_EQ(service->explain(id)->reason, sched::Reason::kNoWorkerForQueue);
  backend.add_node("c", 1);
  service->on_nodes_changed();
  strand.run_ready();
  EXPECT_EQ(take_calls(), (Calls{"launch 1.1"}));
}

TEST_F(JobServiceTest, failed_job_restarts_after_its_backoff) {
  Submission retrying = submission();
  retrying.spec.retry.user = 1;
  const JobId id = submit(retrying);
  exits(rank(id, 1), exit_with(1));
  const Job waiting = job(id);
  EXPECT_EQ(waiting.state, JobState::kQueued);
  EXPECT_EQ(take_calls(), (Calls{"launch 1.1", "forget 1.1"}));
  strand.advance(waiting.eligible_at - clock.now() - 1us);
  EXPECT_EQ(take_calls(), (Calls{}));
  strand.advance(1us);
  EXPECT_EQ(take_calls(), (Calls{"launch 1.2"}));
  exits(rank(id, 2), exit_with(1));
  EXPECT_EQ(job(id).state, JobState::kFailed);
  EXPECT_EQ(published_types(), "submitted launching requeued launching failed");
}

TEST_F(JobServiceTest, failed_rank_stops_the_gang_and_the_last_exit_ends_the_attempt) {
  const JobId id = submit(submission(1, 3));
  for (std::uint32_t r = 0; r < 3; ++r) runs(rank(id, 1, r));
  take_calls();
  exits(rank(id, 1, 1), exit_with(2));
  EXPECT_EQ(take_calls(), (Calls{"stop 1.1 gang_failed"}));
  EXPECT_EQ(job(id).state, JobState::kRunning);
  exec::RankExit followed = exit_with(143);
  followed.stop_requested = true;
  exits(rank(id, 1, 0), followed);
  exits(rank(id, 1, 2), followed);
  EXPECT_EQ(job(id).state, JobState::kFailed);
  EXPECT_EQ(job(id).exit_code, 2);
}

TEST_F(JobServiceTest, lost_ranks_end_the_attempt_as_node_loss) {
  const JobId id = submit(submission(1, 2));
  service->on_ranks_lost({rank(id, 1, 0), rank(id, 1, 1)}, "lease expired");
  strand.run_ready();
  EXPECT_EQ(job(id).state, JobState::kQueued);
  EXPECT_EQ(job(id).retries.node_lost, 1);
  EXPECT_EQ(job(id).retries.user, 0);
}

TEST_F(JobServiceTest, cancelled_queued_job_ends_at_once) {
  submit(submission(4, 2));
  const JobId id = submit();
  EXPECT_TRUE(stop(id).ok());
  EXPECT_EQ(job(id).state, JobState::kCancelled);
  EXPECT_EQ(ended, (std::vector<std::uint64_t>{2}));
}

TEST_F(JobServiceTest, cancelled_running_job_is_stopped_and_ends_with_its_ranks) {
  const JobId id = submit();
  runs(rank(id, 1));
  take_calls();
  EXPECT_TRUE(stop(id).ok());
  EXPECT_EQ(take_calls(), (Calls{"stop 1.1 cancel"}));
  EXPECT_EQ(job(id).state, JobState::kStopping);
  exits(rank(id, 1), exit_with(0));
  EXPECT_EQ(job(id).state, JobState::kCancelled);
}

TEST_F(JobServiceTest, stop_tells_the_backend_its_true_reason) {
  for (const auto& [intent, reason] : std::vector<std::pair<StopIntent, std::string>>{{StopIntent::kCancel, "cancel"},
                                                                                      {StopIntent::kPreempt, "preempt"},
                                                                                      {StopIntent::kDrain, "drain"},
                                                                                      {StopIntent::kLimit, "limit"}}) {
    const JobId id = submit();
    take_calls();
    EXPECT_TRUE(stop(id, intent).ok());
    EXPECT_EQ(take_calls(), (Calls{"stop " + id.text() + ".1 " + reason}));
    exits(rank(id, 1), exit_with(0));
  }
}

TEST_F(JobServiceTest, stop_of_an_ended_job_is_no_error_and_of_an_unknown_one_is) {
  const JobId id = submit();
  exits(rank(id, 1), exit_with(0));
  EXPECT_TRUE(stop(id).ok());
  EXPECT_EQ(job(id).state, JobState::kSucceeded);
  EXPECT_EQ(stop(JobId(99)).error().id, "job.unknown");
  EXPECT_EQ(stop(JobId()).error().category, Category::kNotFound);
}

TEST_F(JobServiceTest, preempted_job_goes_back_to_its_place_in_the_queue) {
  const JobId id = submit(submission(4, 2));
  const JobId later = submit(submission(4, 2));
  EXPECT_TRUE(stop(id, StopIntent::kPreempt).ok());
  take_calls();
  exits(rank(id, 1, 0), exit_with(75));
  exits(rank(id, 1, 1), exit_with(75));
  EXPECT_EQ(take_calls(), (Calls{"forget 1.1", "launch 1.2"})) << "it was queued before job 2";
  EXPECT_EQ(job(later).state, JobState::kQueued);
  EXPECT_EQ(job(id).retries.user, 0);
}

class TwoTeamsTest : public testing::ServiceWorld {
 protected:
  TwoTeamsTest() {
    const char* yaml =
        "sharing: drf\n"
        "queues:\n"
        "  - {name: vision, owns_quota: true, quota: {cpu: '4'}, preemption: {enabled: true, grace: 5s}}\n"
        "  - {name: language, owns_quota: true, quota: {cpu: '4'}, preemption: {enabled: true, grace: 5s}}\n";
    settings.scheduler = sched::scheduler_settings_from(parse_yaml(yaml, "queues.yaml").value()).value();
    crash();
    boot();
  }
  /// Two ranks of two cores: all that a team owns.
  JobId submit_to(const std::string& queue) {
    Submission made = submission(2, 2);
    made.spec.queue = queue;
    return submit(made);
  }
};

TEST_F(TwoTeamsTest, owner_takes_back_what_it_lent_within_the_grace_of_its_queue) {
  const JobId own = submit_to("vision");
  strand.advance(10min);  // It has more to lose than the other.
  const JobId borrower = submit_to("vision");
  EXPECT_EQ(take_calls(), (Calls{"launch 1.1", "launch 2.1"}));
  const JobId owner = submit_to("language");
  EXPECT_EQ(take_calls(), (Calls{"stop 2.1 preempt"}));
  EXPECT_EQ(backend.graces[rank(borrower, 1).attempt], 5s) << "the job's own is 30 s";
  EXPECT_EQ(service->explain(owner)->reason, sched::Reason::kWaitingForPreempted);
  exits(rank(borrower, 1, 0), exit_with(75));
  EXPECT_TRUE(take_calls().empty()) << "half of the room is not enough, and belongs to the owner";
  exits(rank(borrower, 1, 1), exit_with(75));
  EXPECT_EQ(take_calls(), (Calls{"forget 2.1", "launch 3.1"}));
  EXPECT_EQ(job(borrower).state, JobState::kQueued);
  EXPECT_EQ(job(own).state, JobState::kStarting);
}

TEST_F(TwoTeamsTest, gang_that_has_failed_is_no_victim_and_stays_failed) {
  submit_to("vision");
  const JobId failed = submit_to("vision");
  take_calls();
  exits(rank(failed, 1, 0), exit_with(64));
  EXPECT_EQ(take_calls(), (Calls{"stop 2.1 gang_failed"}));
  const JobId owner = submit_to("language");
  exits(rank(failed, 1, 1), exit_with(143));
  EXPECT_EQ(job(failed).state, JobState::kFailed) << "a preemption would have made it wait again";
  EXPECT_EQ(job(owner).state, JobState::kStarting);
}

TEST_F(JobServiceTest, node_that_has_not_called_in_yet_refuses_nobody) {
  submit(submission(4, 2));
  crash();
  backend.views.clear();
  boot();
  const JobId waiting = submit(submission(4, 2));
  EXPECT_EQ(service->explain(waiting)->reason, sched::Reason::kNoWorkerForQueue);
}

// A plan for each microsecond of the grace would take this test minutes.
TEST_F(JobServiceTest, job_past_its_limit_in_a_conservative_queue_costs_no_storm_of_plans) {
  settings.scheduler.queues[0].backfill = "conservative";
  settings.scheduler.queues[0].parameters.clear();
  crash();
  boot();
  Submission limited = submission(4, 2);
  limited.spec.limits.attempt = 10s;
  const JobId first = submit(limited);
  const JobId waiting = submit(limited);
  strand.advance(10s);
  EXPECT_EQ(take_calls(), (Calls{"launch 1.1", "stop 1.1 limit"}));
  strand.advance(20s);
  EXPECT_EQ(job(waiting).state, JobState::kQueued) << "the other one is saving its work";
  exits(rank(first, 1, 0), exit_with(75));
  exits(rank(first, 1, 1), exit_with(75));
  EXPECT_EQ(job(waiting).state, JobState::kStarting);
}

TEST_F(JobServiceTest, node_that_joins_is_used_at_once_by_jobs_that_have_a_promise) {
  settings.scheduler.queues[0].backfill = "conservative";
  settings.scheduler.queues[0].parameters.clear();
  crash();
  boot();
  Submission limited = submission(4, 2);
  limited.spec.limits.attempt = 1h;
  submit(limited);
  const JobId waiting = submit(limited);
  ASSERT_TRUE(service->explain(waiting)->promised_start.has_value());
  backend.add_node("c", 8);
  service->on_nodes_changed();
  strand.run_ready();
  EXPECT_EQ(job(waiting).state, JobState::kStarting);
}

TEST_F(JobServiceTest, queue_limit_times_a_waiting_job_out) {
  submit(submission(4, 2));
  Submission impatient = submission();
  impatient.spec.limits.queue = 10s;
  const JobId id = submit(impatient);
  strand.advance(10s - 1us);
  EXPECT_EQ(job(id).state, JobState::kQueued);
  strand.advance(1us);
  EXPECT_EQ(job(id).state, JobState::kTimedOut);
}

TEST_F(JobServiceTest, attempt_limit_stops_the_job_which_then_timed_out) {
  Submission limited = submission();
  limited.spec.limits.attempt = 10s;
  const JobId id = submit(limited);
  runs(rank(id, 1));
  take_calls();
  strand.advance(10s);
  EXPECT_EQ(take_calls(), (Calls{"stop 1.1 limit"}));
  EXPECT_EQ(job(id).state, JobState::kStopping);
  exits(rank(id, 1), exit_with(75));
  EXPECT_EQ(job(id).state, JobState::kTimedOut);
}

TEST_F(JobServiceTest, total_limit_counts_through_restarts) {
  Submission limited = submission();
  limited.spec.limits.total = 10s;
  limited.spec.retry.user = 100;
  const JobId id = submit(limited);
  strand.advance(4s);
  exits(rank(id, 1), exit_with(1));
  strand.advance(2s);
  runs(rank(id, 2));
  strand.advance(4s);
  EXPECT_EQ(job(id).state, JobState::kStopping);
}

TEST_F(JobServiceTest, silence_beyond_the_no_progress_limit_stops_the_job) {
  Submission limited = submission();
  limited.spec.limits.no_progress = 10s;
  const JobId id = submit(limited);
  runs(rank(id, 1));
  strand.advance(8s);
  EXPECT_EQ(events(rank(id, 1), 0, {R"({"event":"progress","done":1})"}).value(), 1u);
  strand.advance(8s);
  EXPECT_EQ(job(id).state, JobState::kRunning);
  strand.advance(2s);
  EXPECT_EQ(job(id).state, JobState::kStopping);
}

TEST_F(JobServiceTest, earlier_limit_of_a_later_job_is_not_missed) {
  Submission patient = submission(), hasty = submission();
  patient.spec.limits.attempt = 1h;
  hasty.spec.limits.attempt = 5s;
  const JobId first = submit(patient), second = submit(hasty);
  strand.advance(5s);
  EXPECT_EQ(job(second).state, JobState::kStopping);
  EXPECT_EQ(job(first).state, JobState::kStarting);
  strand.advance(1h);
  EXPECT_EQ(job(first).state, JobState::kStopping);
}

TEST_F(JobServiceTest, step_of_the_wall_clock_changes_no_limit_and_no_backoff) {
  Submission limited = submission();
  limited.spec.limits.attempt = 10s;
  const JobId id = submit(limited);
  clock.step_wall_clock(24h);
  strand.advance(5s);
  EXPECT_EQ(job(id).state, JobState::kStarting);
  clock.step_wall_clock(-48h);
  strand.advance(5s);
  EXPECT_EQ(job(id).state, JobState::kStopping);
}

TEST_F(JobServiceTest, counts_are_by_state) {
  submit(submission(4, 2));
  submit();
  submit();
  EXPECT_EQ(service->counts(), (std::map<JobState, std::size_t>{{JobState::kStarting, 1}, {JobState::kQueued, 2}}));
}

TEST_F(JobServiceTest, listener_may_unsubscribe_itself_and_others_while_it_is_called) {
  std::vector<int> heard;
  std::uint64_t first = 0, second = 0;
  first = service->subscribe([&](const store::EventRecord&) {
    heard.push_back(1);
    service->unsubscribe(first);
    service->unsubscribe(second);
    heard.push_back(1);
  });
  second = service->subscribe([&](const store::EventRecord&) { heard.push_back(2); });
  submit();
  EXPECT_EQ(heard, (std::vector<int>{1, 1}));
}

}  // namespace
}  // namespace trainyard::jobs
