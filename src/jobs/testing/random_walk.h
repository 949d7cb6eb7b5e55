#pragma once
#include <utility>

#include "base/rng.h"
#include "jobs/accounting.h"
#include "jobs/dependencies.h"
#include "jobs/testing/job_examples.h"

namespace trainyard::jobs::testing {

/// One random but possible step in the life of `job`: what the service would do with it next. False when it is terminal.
class RandomWalk {
 public:
  explicit RandomWalk(Rng& rng) : rng_(rng) {}

  Job draw_job() {
    Job job = queued_job(static_cast<std::int64_t>(1 + rng_.below(4)));
    if (rng_.below(4) == 0) job.spec.job_class = "service";
    job.spec.retry.user = static_cast<std::int64_t>(rng_.below(3));
    job.spec.retry.oom = static_cast<std::int64_t>(rng_.below(2));
    job.spec.retry.node_lost = static_cast<std::int64_t>(rng_.below(3));
    job.spec.retry.infrastructure = static_cast<std::int64_t>(rng_.below(2));
    job.spec.retry.memory_factor = rng_.below(2) == 0 ? 1.0 : 2.0;
    if (rng_.below(6) == 0) job.spec.after = job.waits_for = {{3, rng_.below(2) == 0 ? "ok" : "any"}};
    if (rng_.below(6) == 0) hold(job, "walk", now_);
    return job;
  }

  bool step(Job& job) {
    if (is_terminal(job.state)) return false;
    now_ += Duration(static_cast<std::int64_t>(rng_.below(10'000'000)));
    if (rng_.below(25) == 0) {
      constexpr StopIntent kIntents[] = {StopIntent::kCancel, StopIntent::kPreempt, StopIntent::kLimit, StopIntent::kDrain};
      request_stop(job, kIntents[rng_.below(4)], "walk", now_);
    } else if (rng_.below(12) == 0) {
      change(job);
    } else if (job.state == JobState::kQueued) {
      wait_or_start(job);
    } else if (rng_.below(2) == 0) {
      rank_running(job, random_rank(job), now_);
    } else {
      const std::uint32_t rank = random_rank(job);
      if (rank_exited(job, rank, random_exit())) charge_rank(job, rank, now_);
      if (all_ranks_exited(job)) finish_attempt(job, now_, rng_);
    }
    return true;
  }

 private:
  /// What people change while a job lives.
  void change(Job& job) {
    switch (rng_.below(3)) {
      case 0:
        hold(job, "walk", now_);
        return;
      case 1:
        release(job, now_);
        return;
      default:
        set_priority(job, static_cast<std::int64_t>(rng_.below(5)));
    }
  }

  void wait_or_start(Job& job) {
    if (waits_for_room(job)) return start(job, nodes_for(job), now_);
    if (job.hold) {
      release(job, now_);
      return;
    }
    const JobState state = rng_.below(2) == 0 ? JobState::kSucceeded : JobState::kFailed;
    if (settle_dependency(job, JobId(3), state, now_) != DependencyOutcome::kImpossible) return;
    request_stop(job, {StopIntent::kCancel, impossible_dependency_text(job, JobId(3), state), ReasonCode::kDependencyFailed}, now_);
  }

  std::uint32_t random_rank(const Job& job) { return static_cast<std::uint32_t>(rng_.below(job.attempt.ranks.size())); }

  exec::RankExit random_exit() {
    constexpr int kCodes[] = {0, 0, 0, 0, 1, 3, 64, 65, 70, 75, 137, 143};
    exec::RankExit exit = exit_with(kCodes[rng_.below(std::size(kCodes))]);
    exit.ended_at = now_;
    exit.stop_requested = rng_.below(3) == 0;
    exit.oom = exit.code == 137 && rng_.below(2) == 0;
    exit.lost = exit.code == 137 && rng_.below(2) == 0;
    if (rng_.below(12) == 0) exit.launch_error = "no such program";
    return exit;
  }

  Rng& rng_;
  TimePoint now_ = kStart;
};

}  // namespace trainyard::jobs::testing
