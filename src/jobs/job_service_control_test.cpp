#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "jobs/testing/service_world.h"

namespace trainyard::jobs {
namespace {

using namespace std::chrono_literals;
using testing::exit_with;
using Calls = std::vector<std::string>;

class JobControlTest : public testing::ServiceWorld {};

TEST_F(JobControlTest, job_submitted_on_hold_starts_when_it_is_released) {
  Submission held = submission();
  held.spec.hold = true;
  held.owner = "bob";
  const JobId id = submit(held);
  EXPECT_EQ(take_calls(), (Calls{}));
  const Result<sched::Explanation> why = service->explain(id);
  ASSERT_TRUE(why.ok());
  EXPECT_EQ(why->reason, sched::Reason::kSuspended);
  EXPECT_NE(why->message.find("held by bob"), std::string::npos) << why->message;
  EXPECT_EQ(service->wait_of(id)->reason, sched::Reason::kSuspended);
  EXPECT_EQ(service->fixes(id)->at(0).dimension, "hold");
  EXPECT_TRUE(release(id).ok());
  EXPECT_EQ(take_calls(), (Calls{"launch 1.1"}));
  EXPECT_EQ(published_types(), "submitted released launching");
  EXPECT_TRUE(release(id).ok()) << "again";
  EXPECT_EQ(published_types(), "submitted released launching");
}

TEST_F(JobControlTest, waiting_job_that_is_held_lets_others_pass) {
  const JobId first = submit(submission(4, 2));
  const JobId held = submit(submission(4, 2));
  const JobId later = submit(submission(4, 2));
  EXPECT_TRUE(hold(held).ok());
  EXPECT_TRUE(hold(held).ok()) << "again";
  take_calls();
  exits(rank(first, 1, 0), exit_with(0));
  exits(rank(first, 1, 1), exit_with(0));
  EXPECT_EQ(job(held).state, JobState::kQueued);
  EXPECT_EQ(job(later).state, JobState::kStarting);
  crash();
  boot();
  EXPECT_EQ(service->explain(held)->reason, sched::Reason::kSuspended) << "a hold is durable";
}

TEST_F(JobControlTest, running_job_that_is_held_stays_away_once_it_was_preempted) {
  const JobId id = submit();
  runs(rank(id, 1));
  EXPECT_TRUE(hold(id).ok());
  EXPECT_EQ(job(id).state, JobState::kRunning);
  EXPECT_TRUE(stop(id, StopIntent::kPreempt).ok());
  exits(rank(id, 1), exit_with(75));
  EXPECT_EQ(job(id).state, JobState::kQueued);
  EXPECT_EQ(job(id).attempt.number, AttemptNumber(1));
  EXPECT_TRUE(release(id).ok());
  EXPECT_EQ(job(id).attempt.number, AttemptNumber(2));
}

TEST_F(JobControlTest, held_job_has_no_queue_limit_and_released_one_has_all_of_it) {
  submit(submission(4, 2));
  Submission impatient = submission();
  impatient.spec.hold = true;
  impatient.spec.limits.queue = 10s;
  const JobId id = submit(impatient);
  strand.advance(1h);
  EXPECT_EQ(job(id).state, JobState::kQueued);
  EXPECT_TRUE(release(id).ok());
  strand.advance(10s - 1us);
  EXPECT_EQ(job(id).state, JobState::kQueued);
  strand.advance(1us);
  EXPECT_EQ(job(id).state, JobState::kTimedOut);
  EXPECT_EQ(job(id).reason_code, ReasonCode::kQueueLimit);
}

TEST_F(JobControlTest, queue_limit_of_a_released_job_goes_on_after_a_restart) {
  submit(submission(4, 2));
  Submission impatient = submission();
  impatient.spec.hold = true;
  impatient.spec.limits.queue = 10s;
  const JobId id = submit(impatient);
  strand.advance(1h);
  EXPECT_TRUE(release(id).ok());
  strand.advance(4s);
  crash();
  boot();
  strand.advance(6s - 1us);
  EXPECT_EQ(job(id).state, JobState::kQueued);
  strand.advance(1us);
  EXPECT_EQ(job(id).state, JobState::kTimedOut);
}

TEST_F(JobControlTest, waiting_job_with_a_higher_priority_comes_first) {
  const JobId running = submit(submission(4, 2));
  const JobId first = submit(submission(4, 2));
  const JobId second = submit(submission(4, 2));
  EXPECT_TRUE(set_priority(second, 100).ok());
  EXPECT_EQ(priority_of(job(second)), 100);
  EXPECT_EQ(service->explain(second)->position, 0u) << "at once";
  exits(rank(running, 1, 0), exit_with(0));
  exits(rank(running, 1, 1), exit_with(0));
  EXPECT_EQ(job(second).state, JobState::kStarting);
  EXPECT_EQ(job(first).state, JobState::kQueued);
}

TEST_F(JobControlTest, priority_is_durable_and_bounded) {
  submit(submission(4, 2));
  const JobId id = submit(submission(4, 2));
  EXPECT_TRUE(set_priority(id, 7).ok());
  EXPECT_EQ(set_priority(id, 1'000'001).error().id, "spec.range");
  crash();
  boot();
  EXPECT_EQ(priority_of(job(id)), 7);
}

TEST_F(JobControlTest, changes_of_ended_and_unknown_jobs_are_refused) {
  const JobId id = submit();
  exits(rank(id, 1), exit_with(0));
  for (const Result<void>& answer : {hold(id), release(id), set_priority(id, 1)}) EXPECT_EQ(answer.error().id, "job.ended");
  for (const Result<void>& answer : {hold(JobId(9)), release(JobId(9)), set_priority(JobId(9), 1)}) {
    EXPECT_EQ(answer.error().id, "job.unknown");
  }
}

TEST_F(JobControlTest, change_is_answered_once_it_is_durable) {
  submit(submission(4, 2));
  const JobId id = submit();
  ledger.hold_commits();
  int answers = 0;
  service->hold(id, "ann", [&answers](const Result<void>&) { ++answers; });
  service->set_priority(id, 3, "ann", [&answers](const Result<void>&) { ++answers; });
  strand.run_ready();
  EXPECT_EQ(answers, 0);
  ledger.release();
  strand.run_ready();
  EXPECT_EQ(answers, 2);
}

TEST_F(JobControlTest, checkpoint_is_asked_of_a_running_job_only) {
  const JobId id = submit();
  const auto ask_for_one = [&] { return ask([&](auto done) { service->request_checkpoint(id, std::move(done)); }); };
  EXPECT_EQ(ask_for_one().error().id, "job.not_running");
  runs(rank(id, 1));
  take_calls();
  EXPECT_TRUE(ask_for_one().ok());
  EXPECT_EQ(take_calls(), (Calls{"checkpoint 1.1"}));
  EXPECT_EQ(published.back().type, "checkpoint_requested");
}

TEST_F(JobControlTest, cancel_keeps_its_reason) {
  const JobId id = submit();
  EXPECT_TRUE(stop(id).ok());
  exits(rank(id, 1), exit_with(143));
  EXPECT_EQ(job(id).reason, "asked");
  EXPECT_EQ(job(id).reason_code, ReasonCode::kCancelled);
  EXPECT_EQ(parse_json(published.back().body).value()["reason_code"].text(), "cancelled");
}

TEST_F(JobControlTest, step_that_takes_too_long_stops_the_job_though_it_is_not_silent) {
  Submission limited = submission();
  limited.spec.limits.step = 10s;
  const JobId id = submit(limited);
  runs(rank(id, 1));
  strand.advance(8s);
  EXPECT_TRUE(events(rank(id, 1), 0, {R"({"event":"metric","key":"loss","value":1,"step":1})"}).ok());
  for (std::uint64_t line = 1; line <= 4; ++line) {
    strand.advance(2s);
    EXPECT_TRUE(events(rank(id, 1), line, {R"({"event":"metric","key":"loss","value":1,"step":1})"}).ok());
  }
  EXPECT_EQ(job(id).state, JobState::kRunning);
  strand.advance(2s);
  EXPECT_EQ(job(id).state, JobState::kStopping);
  exits(rank(id, 1), exit_with(143));
  EXPECT_EQ(job(id).state, JobState::kTimedOut);
  EXPECT_EQ(job(id).reason_code, ReasonCode::kStepLimit);
}

TEST_F(JobControlTest, memory_that_did_not_suffice_is_raised_for_the_next_attempt_also_over_a_restart) {
  Submission hungry = submission();
  hungry.spec.resources.memory.bytes = 1LL << 30;
  hungry.spec.retry.backoff_cap = 0s;
  const JobId id = submit(hungry);
  exits(rank(id, 1), testing::out_of_memory_exit());
  ASSERT_EQ(job(id).attempt.number, AttemptNumber(2));
  EXPECT_EQ(backend.launches.at({id, AttemptNumber(2)}).ranks[0].resources.memory_bytes, 3LL << 29);
  crash();
  boot();
  EXPECT_EQ(backend.launches.at({id, AttemptNumber(2)}).ranks[0].resources.memory_bytes, 3LL << 29) << "adopted as it was launched";
}

TEST_F(JobControlTest, raised_memory_that_no_node_has_is_not_asked_for) {
  Submission hungry = submission();
  hungry.spec.resources.memory.bytes = 3LL << 30;
  hungry.spec.retry.memory_factor = 2;
  hungry.spec.retry.backoff_cap = 0s;
  const JobId id = submit(hungry);
  exits(rank(id, 1), testing::out_of_memory_exit());
  EXPECT_EQ(job(id).state, JobState::kStarting);
  EXPECT_FALSE(job(id).memory_bytes.has_value());
}

TEST_F(JobControlTest, room_is_charged_over_all_attempts) {
  Submission retrying = submission(2);
  retrying.spec.retry.node_lost = 1;
  retrying.spec.retry.backoff_cap = 0s;
  const JobId id = submit(retrying);
  strand.advance(10s);
  service->on_ranks_lost({rank(id, 1)}, "gone");
  strand.run_ready();
  strand.advance(5s);
  exits(rank(id, 2), exit_with(0));
  EXPECT_EQ(job(id).usage.cpu_us, 30'000'000);
  EXPECT_EQ(job(id).history.size(), 2u);
}

TEST_F(JobControlTest, node_that_is_drained_gets_no_new_jobs_and_loses_those_that_may_go) {
  const JobId first = submit(submission(4));
  Submission staying = submission(4);
  staying.spec.preemptible = false;
  const JobId stays = submit(staying);
  const std::string node = job(first).attempt.ranks[0].node.text;
  for (exec::NodeView& view : backend.views) {
    view.state = exec::NodeState::kDraining;
    view.schedulable = false;
  }
  take_calls();
  service->on_nodes_changed();
  strand.run_ready();
  EXPECT_EQ(take_calls(), (Calls{"stop 1.1 drain"}));
  EXPECT_EQ(job(first).reason, "node " + node + " is being drained");
  exits(rank(first, 1), exit_with(75));
  EXPECT_EQ(job(first).state, JobState::kQueued);
  EXPECT_EQ(job(first).reason_code, ReasonCode::kDrained);
  exits(rank(stays, 1), exit_with(0));
  EXPECT_EQ(take_calls(), (Calls{"forget 1.1", "forget 2.1"})) << "nothing new starts there";
  backend.views[0].schedulable = true;
  backend.views[0].state = exec::NodeState::kReady;
  service->on_nodes_changed();
  strand.run_ready();
  EXPECT_EQ(job(first).state, JobState::kStarting);
}

TEST_F(JobControlTest, ended_job_is_submitted_again_as_a_new_one) {
  Submission failing = submission();
  failing.owner = "bob";
  failing.spec.hold = true;
  const JobId id = submit(failing);
  EXPECT_EQ(resubmission_of(job(id)).error().id, "job.not_ended");
  EXPECT_TRUE(release(id).ok());
  exits(rank(id, 1), exit_with(1));
  const Job failed = job(id);
  ASSERT_EQ(failed.state, JobState::kFailed);
  const JobId again = submit(resubmission_of(failed).value());
  EXPECT_EQ(job(again).retried_from, id);
  EXPECT_EQ(job(again).owner, "bob");
  EXPECT_EQ(job(again).state, JobState::kStarting) << "not held again";
  EXPECT_EQ(encode_job(job(id)), encode_job(failed)) << "the old one stays as it is";
  exits(rank(again, 1), exit_with(0));
  EXPECT_EQ(resubmission_of(job(again)).error().id, "job.succeeded");
}

TEST_F(JobControlTest, batch_is_taken_whole_in_one_commit) {
  std::optional<Result<std::vector<JobId>>> answer;
  const std::size_t commits = ledger.commit_count();
  service->submit_batch({submission(), submission(), submission()}, [&answer](auto result) { answer = std::move(result); });
  strand.run_ready();
  ASSERT_TRUE(answer && answer->ok());
  EXPECT_EQ(**answer, (std::vector<JobId>{JobId(1), JobId(2), JobId(3)}));
  EXPECT_EQ(ledger.commit_count(), commits + 1);
}

TEST_F(JobControlTest, batch_with_a_fault_is_refused_whole_and_the_fault_is_placed) {
  std::vector<Submission> batch{submission(), submission(), after({{99, "ok"}})};
  std::optional<Result<std::vector<JobId>>> answer;
  service->submit_batch(batch, [&answer](auto result) { answer = std::move(result); });
  strand.run_ready();
  ASSERT_TRUE(answer && !answer->ok());
  EXPECT_EQ(answer->error().id, "spec.unknown_dependency");
  EXPECT_EQ(answer->error().where, "/2/after/0");
  EXPECT_EQ(service->live_count(), 0u);
  EXPECT_EQ(submit(), JobId(1));
}

TEST_F(JobControlTest, batch_beyond_the_bound_of_the_queue_is_refused_whole) {
  crash();
  settings.live_jobs_max = 2;
  boot();
  std::optional<Result<std::vector<JobId>>> answer;
  service->submit_batch({submission(), submission(), submission()}, [&answer](auto result) { answer = std::move(result); });
  strand.run_ready();
  EXPECT_EQ(answer->error().id, "queue.full");
  EXPECT_EQ(answer->error().where, "/2");
  EXPECT_EQ(service->live_count(), 0u);
}

TEST_F(JobControlTest, keys_in_a_batch_make_each_job_once) {
  Submission keyed = submission();
  keyed.idempotency_key = "k";
  keyed.fingerprint = "f";
  const JobId known = submit(keyed);
  Submission fresh = keyed;
  fresh.idempotency_key = "fresh";
  std::optional<Result<std::vector<JobId>>> answer;
  const auto send = [&](std::vector<Submission> batch) {
    service->submit_batch(std::move(batch), [&answer](auto result) { answer = std::move(result); });
    strand.run_ready();
  };
  send({keyed, fresh, fresh});
  EXPECT_EQ(**answer, (std::vector<JobId>{known, JobId(2), JobId(2)}));
  Submission other = fresh;
  fresh.idempotency_key = other.idempotency_key = "two";
  other.fingerprint = "g";
  send({fresh, other});
  EXPECT_EQ(answer->error().id, "idempotency.mismatch");
  EXPECT_EQ(answer->error().where, "/1");
}

}  // namespace
}  // namespace trainyard::jobs
