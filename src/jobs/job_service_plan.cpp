#include <fmt/format.h>

#include "jobs/job_service.h"

// When JobService plans, how it carries a plan out, and when limits pass.

namespace trainyard::jobs {
namespace {

/// A plan that takes longer than this is followed by a rest, so that other work goes on: as long as it took, and for jobs that only join
/// those which it could not start, several times as long.
constexpr Duration kQuickPlan = std::chrono::milliseconds(1);
constexpr int kRestsForArrivals = 15;

}  // namespace

void JobService::request_plan(PlanCause cause) {
  if (planning_.posted) return;
  if (planning_.took > kQuickPlan) {
    const bool in_vain = cause == PlanCause::kArrival && !planning_.started_jobs;
    const MonotonicPoint next = planning_.ended + planning_.took * (in_vain ? kRestsForArrivals : 1);
    if (next > deps_.clock.monotonic_now()) return plan_at(next);
  }
  planning_.posted = true;
  deps_.strand.post([this, alive = alive_] {
    if (!*alive) return;
    planning_.posted = false;
    run_plan();
  });
}

void JobService::run_plan() {
  const MonotonicPoint begun = deps_.clock.monotonic_now();
  const SchedulerBook::Orders orders = book_.plan(now());
  planning_.ended = deps_.clock.monotonic_now();
  planning_.took = planning_.ended - begun;
  planning_.nodes_seen = false;
  planning_.started_jobs = !orders.launches.empty() || !orders.evictions.empty();
  for (const SchedulerBook::Launch& decided : orders.launches) launch(decided);
  for (const SchedulerBook::Eviction& eviction : orders.evictions) {
    std::string why = fmt::format("gives its room to job {}", eviction.on_behalf_of.text());
    stop_single(jobs_.at(eviction.victim), {StopIntent::kPreempt, std::move(why), ReasonCode::kNone}, eviction.grace);
  }
  make_elements_of_all();
  if (orders.wake_at) plan_at(deps_.clock.monotonic_now() + (*orders.wake_at - now()));
}

Result<void> JobService::set_queue_stop(const std::string& queue, std::optional<QueueStop> stop) {
  TRY(book_.set_stop(queue, std::move(stop)));
  if (recovered_) request_plan();
  return {};
}

/// Plans then, unless an earlier timer is armed: that plan says anew when to wake.
void JobService::plan_at(MonotonicPoint time) {
  if (planning_.timer && *planning_.timer <= time) return;
  planning_.timer = time;
  deps_.strand.post_at(time, [this, time, alive = alive_] {
    if (!*alive || planning_.timer != time) return;  // An earlier one has taken its place.
    planning_.timer.reset();
    request_plan();
  });
}

LimitClock JobService::limit_clock(const Live& live) const {
  return {live.queued_mono, live.started_mono, live.attempt_mono, live.step_mono, live.progress_mono, deps_.clock.monotonic_now()};
}

/// Notes when to look at the limits of this job. An earlier look that is noted already finds out itself when the next is due.
void JobService::arm_limit(Live& live) {
  const std::optional<MonotonicPoint> next = next_limit(live.job, limit_clock(live));
  if (!next || (live.limit_due && *live.limit_due <= *next)) return;
  live.limit_due = next;
  limits_due_.emplace(*next, live.job.id);
  arm_limit_timer();
}

void JobService::arm_limit_timer() {
  if (limits_due_.empty()) return;
  const MonotonicPoint due = limits_due_.begin()->first;
  if (limit_timer_ && *limit_timer_ <= due) return;
  limit_timer_ = due;
  deps_.strand.post_at(due, [this, alive = alive_, due] {
    // A timer that an earlier one replaced has nothing left to do.
    if (!*alive || limit_timer_ != due) return;
    limit_timer_.reset();
    check_limits();
  });
}

void JobService::check_limits() {
  const MonotonicPoint mono = deps_.clock.monotonic_now();
  std::vector<JobId> due;
  while (!limits_due_.empty() && limits_due_.begin()->first <= mono) {
    const auto [time, id] = *limits_due_.begin();
    limits_due_.erase(limits_due_.begin());
    Live* live = find(id);
    if (live == nullptr || live->limit_due != time) continue;
    live->limit_due.reset();
    due.push_back(id);
  }
  for (const JobId id : due) {
    Live& live = jobs_.at(id);
    if (const std::optional<LimitHit> hit = limit_reached(live.job, limit_clock(live))) {
      stop_single(live, {StopIntent::kLimit, hit->why, hit->code}, live.job.spec.limits.grace);
    } else {
      arm_limit(live);
    }
  }
  arm_limit_timer();
}

}  // namespace trainyard::jobs
