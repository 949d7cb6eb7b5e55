#include "jobs/transitions.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>

#include "jobs/testing/job_examples.h"

namespace trainyard::jobs {
namespace {

using namespace std::chrono_literals;
using testing::exit_with;
using testing::killed_exit;
using testing::kStart;
using testing::launch_failure;
using testing::lost_exit;
using testing::out_of_memory_exit;
using testing::queued_job;
using testing::running_job;
using testing::starting_job;

/// The one rank of a running job ends like this, a minute after the start.
Job ended(Job job, const exec::RankExit& exit) {
  SeededRng rng(1);
  EXPECT_TRUE(rank_exited(job, 0, exit));
  finish_attempt(job, kStart + 1min, rng);
  return job;
}

Job ended(const exec::RankExit& exit) { return ended(running_job(), exit); }

TEST(Start, queued_job_becomes_starting_with_a_rank_on_each_node) {
  const Job job = starting_job(2);
  EXPECT_EQ(job.state, JobState::kStarting);
  EXPECT_EQ(job.attempt.number, AttemptNumber(1));
  EXPECT_EQ(job.attempt.launched_at, kStart);
  ASSERT_EQ(job.attempt.ranks.size(), 2u);
  EXPECT_EQ(job.attempt.ranks[1].node.text, "node-1");
  EXPECT_EQ(job.attempt.ranks[1].phase, RankStatus::Phase::kLaunching);
  EXPECT_EQ(job.started_at, kStart);
}

TEST(Start, later_attempt_counts_on_and_keeps_the_first_start) {
  Job job = queued_job();
  job.spec.retry.user = 5;
  SeededRng rng(1);
  for (std::uint32_t attempt = 1; attempt <= 3; ++attempt) {
    start(job, {{"n"}}, kStart + attempt * 1min);
    EXPECT_EQ(job.attempt.number, AttemptNumber(attempt));
    EXPECT_FALSE(job.exit_code.has_value());
    rank_exited(job, 0, exit_with(1));
    finish_attempt(job, kStart + attempt * 1min, rng);
    EXPECT_EQ(job.state, JobState::kQueued);
  }
  EXPECT_EQ(job.started_at, kStart + 1min);
  EXPECT_EQ(job.queued_at, kStart);
}

TEST(RankRunning, job_runs_once_every_rank_runs) {
  Job job = starting_job(2);
  EXPECT_TRUE(rank_running(job, 1, kStart));
  EXPECT_EQ(job.state, JobState::kStarting);
  EXPECT_FALSE(rank_running(job, 1, kStart));
  EXPECT_TRUE(rank_running(job, 0, kStart));
  EXPECT_EQ(job.state, JobState::kRunning);
}

TEST(RankRunning, unknown_or_ended_rank_changes_nothing) {
  Job job = starting_job(1);
  EXPECT_FALSE(rank_running(job, 1, kStart));
  EXPECT_TRUE(rank_exited(job, 0, exit_with(0)));
  EXPECT_FALSE(rank_running(job, 0, kStart));
  EXPECT_FALSE(rank_exited(job, 0, exit_with(1)));
  EXPECT_FALSE(rank_exited(job, 5, exit_with(1)));
  EXPECT_EQ(job.attempt.ranks[0].exit->code, 0);
}

TEST(RankRunning, stopping_job_stays_stopping) {
  Job job = starting_job(1);
  request_stop(job, StopIntent::kCancel, "enough", kStart);
  EXPECT_TRUE(rank_running(job, 0, kStart));
  EXPECT_EQ(job.state, JobState::kStopping);
}

TEST(FinishAttempt, clean_exit_succeeds_even_if_no_rank_was_seen_running) {
  EXPECT_EQ(ended(exit_with(0)).state, JobState::kSucceeded);
  const Job job = ended(starting_job(), exit_with(0));
  EXPECT_EQ(job.state, JobState::kSucceeded);
  EXPECT_EQ(job.exit_code, 0);
  EXPECT_EQ(job.ended_at, kStart + 1min);
}

TEST(FinishAttempt, failure_without_budget_fails_and_says_why) {
  const Job job = ended(exit_with(3));
  EXPECT_EQ(job.state, JobState::kFailed);
  EXPECT_EQ(job.exit_code, 3);
  EXPECT_NE(job.reason.find("rank 0 exited with code 3"), std::string::npos) << job.reason;
}

TEST(FinishAttempt, bad_configuration_and_bad_data_are_never_retried) {
  for (const int code : {64, 65}) {
    Job job = running_job();
    job.spec.retry.user = 10;
    job = ended(std::move(job), exit_with(code));
    EXPECT_EQ(job.state, JobState::kFailed) << code;
    EXPECT_EQ(job.retries.user, 0) << code;
  }
}

struct BudgetCase {
  std::string name;
  exec::RankExit exit;
  std::int64_t RetryBudgets::*allowed;
  std::int64_t RetryCounts::*used;
};

TEST(FinishAttempt, each_cause_uses_its_own_budget_until_it_is_spent) {
  for (const BudgetCase& c :
       {BudgetCase{"user", exit_with(1), &RetryBudgets::user, &RetryCounts::user},
        BudgetCase{"oom", out_of_memory_exit(), &RetryBudgets::oom, &RetryCounts::oom},
        BudgetCase{"node_lost", lost_exit(), &RetryBudgets::node_lost, &RetryCounts::node_lost},
        BudgetCase{"killed from outside", killed_exit(), &RetryBudgets::infrastructure, &RetryCounts::infrastructure},
        BudgetCase{"bad command", launch_failure("launch.no_program: the program was not found"), &RetryBudgets::user, &RetryCounts::user},
        BudgetCase{"infrastructure", launch_failure("launch.fork: the process could not be set up"), &RetryBudgets::infrastructure,
                   &RetryCounts::infrastructure}}) {
    Job job = queued_job();
    job.spec.retry = {.user = 0, .oom = 0, .node_lost = 0, .infrastructure = 0};
    job.spec.retry.*c.allowed = 2;
    SeededRng rng(1);
    for (std::int64_t attempt = 1; attempt <= 3; ++attempt) {
      start(job, {{"n"}}, kStart);
      rank_exited(job, 0, c.exit);
      finish_attempt(job, kStart, rng);
      EXPECT_EQ(job.state, attempt <= 2 ? JobState::kQueued : JobState::kFailed) << c.name << ", attempt " << attempt;
      EXPECT_EQ(job.retries.*c.used, std::min<std::int64_t>(attempt, 2)) << c.name;
    }
    const RetryCounts& used = job.retries;
    EXPECT_EQ(used.user + used.oom + used.node_lost + used.infrastructure, 2) << c.name << " charged another budget";
  }
}

TEST(FinishAttempt, every_end_has_a_reason_for_programs) {
  exec::RankExit crashed = exit_with(139);
  crashed.signal = 11;
  for (const auto& [exit, code] : {std::pair{exit_with(0), ReasonCode::kSucceeded},
                                   {exit_with(3), ReasonCode::kExitCode},
                                   {crashed, ReasonCode::kSignal},
                                   {exit_with(64), ReasonCode::kBadConfiguration},
                                   {exit_with(65), ReasonCode::kBadData},
                                   {exit_with(75), ReasonCode::kCheckpointed},
                                   {out_of_memory_exit(), ReasonCode::kOutOfMemory},
                                   {lost_exit(), ReasonCode::kNodeLost},
                                   {killed_exit(), ReasonCode::kInfrastructure},
                                   {launch_failure("launch.no_program: x"), ReasonCode::kBadCommand},
                                   {launch_failure("launch.fork: x"), ReasonCode::kLaunchFailed}}) {
    const Job job = ended(exit);
    EXPECT_EQ(job.reason_code, code) << name_of(code);
    ASSERT_EQ(job.history.size(), 1u);
    EXPECT_EQ(job.history[0].reason_code, code);
  }
}

TEST(FinishAttempt, memory_that_did_not_suffice_is_raised_once_within_its_bound) {
  const auto raised = [](double factor, ByteSize bound) {
    Job job = running_job();
    job.spec.retry.oom = 5;
    job.spec.retry.memory_factor = factor;
    job.spec.retry.memory_max = bound;
    return ended(std::move(job), out_of_memory_exit());
  };
  constexpr std::int64_t kMib = 1 << 20;
  EXPECT_EQ(task_resources(raised(1.5, {})).memory_bytes, 768 * kMib);
  EXPECT_EQ(task_resources(raised(1.5, {600 * kMib})).memory_bytes, 600 * kMib);
  EXPECT_EQ(task_resources(raised(1, {})).memory_bytes, 512 * kMib);
  EXPECT_EQ(task_resources(raised(1.001, {})).memory_bytes, 513 * kMib) << "whole MiB";
  Job job = raised(2, {});
  start(job, {{"n"}}, kStart);
  job = ended(std::move(job), out_of_memory_exit());
  EXPECT_EQ(task_resources(job).memory_bytes, 1024 * kMib) << "not twice";
  EXPECT_EQ(job.spec.resources.memory.bytes, 512 * kMib) << "the spec is what was submitted";
}

TEST(FinishAttempt, last_end_for_want_of_memory_raises_nothing) {
  Job job = running_job();
  job.spec.retry.oom = 0;
  job = ended(std::move(job), out_of_memory_exit());
  EXPECT_EQ(job.state, JobState::kFailed);
  EXPECT_FALSE(job.memory_bytes.has_value());
}

TEST(FinishAttempt, newest_attempts_are_kept_with_what_became_of_them) {
  Job job = queued_job(2);
  job.spec.retry.user = 100;
  SeededRng rng(1);
  for (std::uint32_t attempt = 1; attempt <= 20; ++attempt) {
    start(job, {{"a"}, {"b"}}, kStart + attempt * 1min);
    rank_running(job, 1, kStart + attempt * 1min + 2s);
    rank_running(job, 0, kStart + attempt * 1min + 1s);
    rank_exited(job, 0, exit_with(3));
    rank_exited(job, 1, exit_with(0));
    finish_attempt(job, kStart + attempt * 1min + 5s, rng);
  }
  ASSERT_EQ(job.history.size(), kAttemptsKept);
  EXPECT_EQ(job.history.front().number, AttemptNumber(5));
  const EndedAttempt& last = job.history.back();
  EXPECT_EQ(last.number, AttemptNumber(20));
  EXPECT_EQ(last.nodes, (std::vector<NodeName>{{"a"}, {"b"}}));
  EXPECT_EQ(last.launched_at, kStart + 20min);
  EXPECT_EQ(last.started_at, kStart + 20min + 1s);
  EXPECT_EQ(last.ended_at, kStart + 20min + 5s);
  EXPECT_EQ(last.exit_code, 3);
  EXPECT_EQ(last.cause, ExitCause::kUserFailure);
}

TEST(FinishAttempt, attempt_that_was_stopped_is_kept_with_the_reason_of_the_stop) {
  Job job = running_job();
  request_stop(job, {StopIntent::kLimit, "too long", ReasonCode::kStepLimit}, kStart);
  job = ended(std::move(job), exit_with(143));
  EXPECT_EQ(job.state, JobState::kTimedOut);
  EXPECT_EQ(job.reason_code, ReasonCode::kStepLimit);
  EXPECT_EQ(job.history.at(0).reason_code, ReasonCode::kStepLimit);
  Job preempted = running_job();
  request_stop(preempted, StopIntent::kPreempt, "room", kStart);
  preempted = ended(std::move(preempted), exit_with(75));
  EXPECT_EQ(preempted.history.at(0).reason_code, ReasonCode::kPreempted);
  EXPECT_EQ(preempted.history.at(0).cause, ExitCause::kCheckpointed);
}

TEST(Hold, held_job_does_not_wait_for_room_until_it_is_released) {
  Job job = queued_job();
  EXPECT_TRUE(waits_for_room(job));
  EXPECT_TRUE(hold(job, "ann", kStart + 1s));
  EXPECT_FALSE(hold(job, "bob", kStart + 2s)) << "it is held already";
  EXPECT_EQ(job.hold->by, "ann");
  EXPECT_FALSE(waits_for_room(job));
  EXPECT_TRUE(release(job, kStart + 3s));
  EXPECT_FALSE(release(job, kStart + 4s));
  EXPECT_EQ(job.waits_since, kStart + 3s);
  EXPECT_TRUE(waits_for_room(job));
}

TEST(Hold, hold_of_a_running_job_outlives_its_attempt) {
  Job job = running_job();
  EXPECT_TRUE(hold(job, "ann", kStart));
  EXPECT_EQ(job.state, JobState::kRunning);
  job = ended(std::move(job), exit_with(75));
  EXPECT_EQ(job.state, JobState::kQueued);
  EXPECT_FALSE(waits_for_room(job));
}

TEST(Hold, ended_job_takes_neither_hold_nor_priority) {
  Job job = ended(exit_with(0));
  EXPECT_FALSE(hold(job, "ann", kStart));
  EXPECT_FALSE(set_priority(job, 5));
}

TEST(Priority, other_priority_takes_the_place_of_that_of_the_spec) {
  Job job = queued_job();
  EXPECT_FALSE(set_priority(job, 0)) << "it has that";
  EXPECT_TRUE(set_priority(job, 9));
  EXPECT_EQ(priority_of(job), 9);
  EXPECT_EQ(job.spec.priority, 0);
}

TEST(FinishAttempt, checkpointed_exit_is_requeued_free_of_charge) {
  const Job job = ended(exit_with(75));
  EXPECT_EQ(job.state, JobState::kQueued);
  EXPECT_EQ(job.retries.user, 0);
}

TEST(FinishAttempt, backoff_is_full_jitter_up_to_the_doubled_base_and_the_cap) {
  for (const std::int64_t used : {0, 1, 2, 3, 10, 60}) {
    Duration longest{0};
    const Duration bound = used >= 6 ? Duration(60s) : Duration(1s) * (std::int64_t{1} << used);
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
      Job job = running_job();
      job.spec.retry.user = 1000;
      job.retries.user = used;
      SeededRng rng(seed);
      rank_exited(job, 0, exit_with(1));
      finish_attempt(job, kStart, rng);
      const Duration wait = job.eligible_at - kStart;
      ASSERT_GE(wait, Duration(0)) << "seed " << seed;
      ASSERT_LE(wait, bound) << "seed " << seed << ", restarts " << used;
      longest = std::max(longest, wait);
    }
    EXPECT_GT(longest, bound * 9 / 10) << "the whole range is used, restarts " << used;
  }
}

TEST(FinishAttempt, backoff_of_zero_or_huge_settings_stays_in_bounds) {
  for (const auto& [base, cap] : {std::pair{Duration(0), Duration(60s)}, std::pair{Duration(1s), Duration(0)},
                                  std::pair{Duration(9'000'000'000'000'000), Duration(9'000'000'000'000'000)}}) {
    Job job = running_job();
    job.spec.retry = {.user = 1000, .backoff_base = base, .backoff_cap = cap};
    job.retries.user = 62;
    job = ended(std::move(job), exit_with(1));
    EXPECT_GE(job.eligible_at, kStart + 1min);
    EXPECT_LE(job.eligible_at, kStart + 1min + cap);
  }
}

TEST(FinishAttempt, service_restarts_after_any_failure_and_after_a_clean_exit) {
  for (const exec::RankExit& exit : {exit_with(0), exit_with(1), lost_exit(), out_of_memory_exit(), launch_failure("x")}) {
    Job job = running_job();
    job.spec.job_class = "service";
    job.spec.retry = {.user = 0, .oom = 0, .node_lost = 0, .infrastructure = 0};
    job.ready_url = "http://127.0.0.1:1";
    job = ended(std::move(job), exit);
    EXPECT_EQ(job.state, JobState::kQueued);
    EXPECT_EQ(job.ready_url, "") << "a service that does not run is not ready";
  }
}

TEST(FinishAttempt, intent_decides_before_the_exit_code) {
  struct Case {
    StopIntent intent;
    int code;
    JobState expected;
  };
  for (const Case& c : {Case{StopIntent::kCancel, 0, JobState::kCancelled}, Case{StopIntent::kCancel, 1, JobState::kCancelled},
                        Case{StopIntent::kCancel, 75, JobState::kCancelled}, Case{StopIntent::kLimit, 0, JobState::kTimedOut},
                        Case{StopIntent::kLimit, 143, JobState::kTimedOut}, Case{StopIntent::kPreempt, 75, JobState::kQueued},
                        Case{StopIntent::kPreempt, 143, JobState::kQueued}, Case{StopIntent::kPreempt, 0, JobState::kSucceeded},
                        Case{StopIntent::kDrain, 75, JobState::kQueued}, Case{StopIntent::kDrain, 1, JobState::kQueued},
                        Case{StopIntent::kDrain, 0, JobState::kSucceeded}}) {
    Job job = running_job();
    ASSERT_TRUE(request_stop(job, c.intent, "because", kStart));
    job = ended(std::move(job), exit_with(c.code));
    EXPECT_EQ(job.state, c.expected) << name_of(c.intent) << " " << c.code;
    EXPECT_EQ(job.retries.user, 0) << "a requested stop is free";
    if (job.state == JobState::kQueued) {
      EXPECT_EQ(job.intent, StopIntent::kNone);
      EXPECT_EQ(job.eligible_at, kStart + 1min) << "a preempted job waits for room, not for a backoff";
    }
  }
}

TEST(FinishAttempt, drained_service_is_requeued_even_after_a_clean_exit) {
  Job job = running_job();
  job.spec.job_class = "service";
  ASSERT_TRUE(request_stop(job, StopIntent::kDrain, "node drains", kStart));
  EXPECT_EQ(ended(std::move(job), exit_with(0)).state, JobState::kQueued);
}

TEST(GangFailure, one_failed_rank_dooms_the_gang_until_all_have_exited) {
  Job job = running_job(3);
  EXPECT_FALSE(gang_is_doomed(job));
  rank_exited(job, 0, exit_with(0));
  EXPECT_FALSE(gang_is_doomed(job)) << "a rank that is done does not doom the others";
  rank_exited(job, 1, exit_with(1));
  EXPECT_TRUE(gang_is_doomed(job));
  EXPECT_FALSE(all_ranks_exited(job));
  rank_exited(job, 2, exit_with(143));
  EXPECT_FALSE(gang_is_doomed(job));
  EXPECT_TRUE(all_ranks_exited(job));
}

TEST(GangFailure, cause_is_the_earliest_rank_that_nobody_had_asked_to_stop) {
  Job job = running_job(3);
  exec::RankExit followed = exit_with(143, 1s);
  followed.stop_requested = true;
  rank_exited(job, 0, followed);
  rank_exited(job, 1, exit_with(1, 5s));
  exec::RankExit oom = out_of_memory_exit();
  oom.ended_at = kStart + 3s;
  rank_exited(job, 2, oom);
  EXPECT_EQ(exit_cause(job), ExitCause::kOutOfMemory);
}

TEST(GangFailure, followers_that_checkpointed_do_not_hide_the_failure) {
  Job job = running_job(2);
  exec::RankExit followed = exit_with(75, 1s);
  followed.stop_requested = true;
  rank_exited(job, 0, followed);
  rank_exited(job, 1, lost_exit());
  EXPECT_EQ(exit_cause(job), ExitCause::kNodeLost);
}

TEST(RequestStop, queued_job_ends_at_once_by_cancel_and_limit_only) {
  const auto after = [](StopIntent intent) {
    Job job = queued_job();
    request_stop(job, intent, "why", kStart + 1s);
    return job;
  };
  EXPECT_EQ(after(StopIntent::kCancel).state, JobState::kCancelled);
  EXPECT_EQ(after(StopIntent::kCancel).ended_at, kStart + 1s);
  EXPECT_EQ(after(StopIntent::kLimit).state, JobState::kTimedOut);
  EXPECT_EQ(after(StopIntent::kPreempt).state, JobState::kQueued);
  EXPECT_EQ(after(StopIntent::kDrain).state, JobState::kQueued);
}

TEST(RequestStop, stronger_intent_replaces_a_weaker_one_and_nothing_else) {
  const std::vector<StopIntent> weak{StopIntent::kPreempt, StopIntent::kDrain};
  const std::vector<StopIntent> strong{StopIntent::kCancel, StopIntent::kLimit};
  const auto replaces = [](StopIntent before, StopIntent next) {
    Job job = running_job();
    EXPECT_TRUE(request_stop(job, before, "before", kStart));
    const bool replaced = request_stop(job, next, "next", kStart);
    EXPECT_EQ(job.intent, replaced ? next : before);
    EXPECT_EQ(job.reason, replaced ? "next" : "before");
    EXPECT_EQ(job.state, JobState::kStopping);
    return replaced;
  };
  for (const StopIntent w : weak) {
    for (const StopIntent s : strong) {
      EXPECT_TRUE(replaces(w, s)) << name_of(w) << " by " << name_of(s);
      EXPECT_FALSE(replaces(s, w)) << name_of(s) << " by " << name_of(w);
    }
    for (const StopIntent other : weak) EXPECT_FALSE(replaces(w, other)) << name_of(w) << " by " << name_of(other);
  }
  for (const StopIntent s : strong) {
    for (const StopIntent other : strong) EXPECT_FALSE(replaces(s, other)) << name_of(s) << " by " << name_of(other);
  }
}

TEST(RequestStop, terminal_job_is_immutable) {
  for (const exec::RankExit& exit : {exit_with(0), exit_with(1)}) {
    Job job = ended(exit);
    const std::string before = encode_job(job);
    EXPECT_FALSE(request_stop(job, StopIntent::kCancel, "too late", kStart));
    EXPECT_EQ(encode_job(job), before);
  }
}

TEST(TransitionsDeathTest, misuse_aborts) {
  Job running = running_job();
  EXPECT_DEATH(start(running, {{"n"}}, kStart), "only a queued job starts");
  SeededRng rng(1);
  EXPECT_DEATH(finish_attempt(running, kStart, rng), "all its ranks");
  EXPECT_DEATH(request_stop(running, StopIntent::kNone, "", kStart), "intent");
}

}  // namespace
}  // namespace trainyard::jobs
