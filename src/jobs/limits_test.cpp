#include "jobs/limits.h"

#include <gtest/gtest.h>

#include "jobs/testing/job_examples.h"

namespace trainyard::jobs {
namespace {

using namespace std::chrono_literals;

/// Everything began at the same moment and this long has passed since.
LimitClock all_since(Duration passed) {
  const MonotonicPoint began(Duration(1'000'000));
  return {began, began, began, began, began, began + passed};
}

TEST(Limits, job_without_limits_never_reaches_one) {
  for (const Job& job : {testing::queued_job(), testing::starting_job(), testing::running_job()}) {
    EXPECT_FALSE(limit_reached(job, all_since(10'000h)).has_value());
    EXPECT_FALSE(next_limit(job, all_since(0s)).has_value());
  }
}

TEST(Limits, limit_is_reached_exactly_when_its_time_has_passed) {
  Job job = testing::running_job();
  job.spec.limits.attempt = 10s;
  EXPECT_FALSE(limit_reached(job, all_since(10s - 1us)).has_value());
  const std::optional<LimitHit> hit = limit_reached(job, all_since(10s));
  ASSERT_TRUE(hit.has_value());
  EXPECT_EQ(hit->why, "the attempt limit of 10s has passed");
  EXPECT_EQ(hit->code, ReasonCode::kAttemptLimit);
  EXPECT_EQ(next_limit(job, all_since(3s)), all_since(10s).now);
}

TEST(Limits, queue_limit_counts_only_before_the_first_start) {
  Job job = testing::queued_job();
  job.spec.limits.queue = 1s;
  EXPECT_TRUE(limit_reached(job, all_since(1s)).has_value());
  Job running = testing::running_job();
  running.spec.limits.queue = 1s;
  EXPECT_FALSE(limit_reached(running, all_since(1h)).has_value());
  SeededRng rng(1);
  rank_exited(running, 0, testing::exit_with(75));
  finish_attempt(running, testing::kStart, rng);
  ASSERT_EQ(running.state, JobState::kQueued);
  EXPECT_FALSE(limit_reached(running, all_since(1h)).has_value()) << "it has been started before";
}

TEST(Limits, total_limit_counts_through_restarts) {
  Job job = testing::running_job();
  job.spec.limits.total = 1min;
  EXPECT_TRUE(limit_reached(job, all_since(1min)).has_value());
  SeededRng rng(1);
  rank_exited(job, 0, testing::exit_with(75));
  finish_attempt(job, testing::kStart, rng);
  EXPECT_TRUE(limit_reached(job, all_since(1min)).has_value()) << "waiting between attempts counts";
  Job queued = testing::queued_job();
  queued.spec.limits.total = 1min;
  EXPECT_FALSE(limit_reached(queued, all_since(1h)).has_value()) << "it begins with the first start";
}

TEST(Limits, attempt_and_progress_limits_count_only_while_launched) {
  for (Duration JobLimits::*limit : {&JobLimits::attempt, &JobLimits::step, &JobLimits::no_progress}) {
    for (Job job : {testing::starting_job(), testing::running_job()}) {
      job.spec.limits.*limit = 5s;
      EXPECT_TRUE(limit_reached(job, all_since(5s)).has_value());
    }
    Job queued = testing::queued_job();
    queued.spec.limits.*limit = 5s;
    EXPECT_FALSE(limit_reached(queued, all_since(1h)).has_value());
  }
}

TEST(Limits, each_limit_has_a_reason_of_its_own) {
  for (const auto& [limit, code] : {std::pair{&JobLimits::total, ReasonCode::kTotalLimit},
                                    {&JobLimits::attempt, ReasonCode::kAttemptLimit},
                                    {&JobLimits::step, ReasonCode::kStepLimit},
                                    {&JobLimits::no_progress, ReasonCode::kNoProgressLimit}}) {
    Job job = testing::running_job();
    job.spec.limits.*limit = 5s;
    EXPECT_EQ(limit_reached(job, all_since(5s))->code, code);
  }
  Job queued = testing::queued_job();
  queued.spec.limits.queue = 5s;
  EXPECT_EQ(limit_reached(queued, all_since(5s))->code, ReasonCode::kQueueLimit);
}

TEST(Limits, step_that_got_further_moves_its_limit_alone) {
  Job job = testing::running_job();
  job.spec.limits = {.step = 5s, .no_progress = 7s};
  LimitClock clock = all_since(6s);
  clock.step = clock.now;
  EXPECT_FALSE(limit_reached(job, clock).has_value());
  EXPECT_EQ(next_limit(job, clock), clock.now + 1s);
}

TEST(Limits, job_that_is_held_waits_for_others_or_stands_for_many_is_not_limited_in_its_wait) {
  Job job = testing::queued_job();
  job.spec.limits.queue = 1s;
  ASSERT_TRUE(limit_reached(job, all_since(1h)).has_value());
  Job held = job;
  hold(held, "ann", testing::kStart);
  EXPECT_FALSE(limit_reached(held, all_since(1h)).has_value());
  release(held, testing::kStart);
  EXPECT_TRUE(limit_reached(held, all_since(1h)).has_value());
  Job dependent = job;
  dependent.waits_for = {{3, "ok"}};
  EXPECT_FALSE(limit_reached(dependent, all_since(1h)).has_value());
  Job array = job;
  array.spec.array = JobArray{10, 0};
  array.spec.limits.total = 1s;
  array.started_at = testing::kStart;
  EXPECT_FALSE(limit_reached(array, all_since(1h)).has_value());
}

TEST(Limits, progress_moves_its_limit) {
  Job job = testing::running_job();
  job.spec.limits.no_progress = 5s;
  LimitClock clock = all_since(1h);
  clock.progress = clock.now - 4s;
  EXPECT_FALSE(limit_reached(job, clock).has_value());
  EXPECT_EQ(next_limit(job, clock), clock.now + 1s);
}

TEST(Limits, stopping_and_ended_jobs_have_no_limits) {
  Job stopping = testing::running_job();
  stopping.spec.limits = {.queue = 1s, .total = 1s, .attempt = 1s, .no_progress = 1s};
  request_stop(stopping, StopIntent::kPreempt, "room", testing::kStart);
  EXPECT_FALSE(limit_reached(stopping, all_since(1h)).has_value());
  Job cancelled = testing::queued_job();
  cancelled.spec.limits.queue = 1s;
  request_stop(cancelled, StopIntent::kCancel, "enough", testing::kStart);
  EXPECT_FALSE(limit_reached(cancelled, all_since(1h)).has_value());
  EXPECT_FALSE(next_limit(cancelled, all_since(0s)).has_value());
}

TEST(Limits, next_limit_is_the_earliest_of_those_that_apply) {
  Job job = testing::running_job();
  job.spec.limits = {.queue = 1s, .total = 30s, .attempt = 20s, .no_progress = 0s};
  EXPECT_EQ(next_limit(job, all_since(0s)), all_since(20s).now);
  job.spec.limits.no_progress = 3s;
  EXPECT_EQ(next_limit(job, all_since(0s)), all_since(3s).now);
}

}  // namespace
}  // namespace trainyard::jobs
