#include <fmt/format.h>

#include "jobs/job_service.h"

// When JobService plans, and how it carries a plan out.

namespace trainyard::jobs {

void JobService::request_plan() {
  if (plan_posted_) return;
  plan_posted_ = true;
  deps_.strand.post([this, alive = alive_] {
    if (!*alive) return;
    plan_posted_ = false;
    run_plan();
  });
}

Result<std::vector<sched::Fix>> JobService::fixes(JobId id) const {
  constexpr Duration kSlow = std::chrono::milliseconds(10);
  if (plan_took_ <= kSlow) return book_.fixes(id, now());
  std::string why =
      fmt::format("a plan takes {} ms, and finding what would start the job costs about thirty: ask again when fewer jobs wait",
                  plan_took_.count() / 1000);
  return Error{Category::kResourceExhausted, "sched.slow_plan", std::move(why), {}, {}};
}

void JobService::run_plan() {
  const MonotonicPoint begun = deps_.clock.monotonic_now();
  const SchedulerBook::Orders orders = book_.plan(now());
  plan_took_ = deps_.clock.monotonic_now() - begun;
  for (const SchedulerBook::Launch& decided : orders.launches) launch(decided);
  for (const SchedulerBook::Eviction& eviction : orders.evictions) {
    stop_live(jobs_.at(eviction.victim), StopIntent::kPreempt, fmt::format("gives its room to job {}", eviction.on_behalf_of.text()),
              eviction.grace);
  }
  if (orders.wake_at) plan_at(deps_.clock.monotonic_now() + (*orders.wake_at - now()));
}

/// Plans then, unless an earlier timer is armed: that plan says anew when to wake.
void JobService::plan_at(MonotonicPoint time) {
  if (plan_timer_ && *plan_timer_ <= time) return;
  plan_timer_ = time;
  deps_.strand.post_at(time, [this, time, alive = alive_] {
    if (!*alive || plan_timer_ != time) return;  // An earlier one has taken its place.
    plan_timer_.reset();
    request_plan();
  });
}

}  // namespace trainyard::jobs
