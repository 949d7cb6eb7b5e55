#include "jobs/limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "jobs/transitions.h"

namespace trainyard::jobs {
namespace {

struct Limit {
  ReasonCode code = ReasonCode::kNone;
  std::string_view name;
  Duration length;
  MonotonicPoint since;
  bool applies;
};

std::array<Limit, 5> limits_of(const Job& job, const LimitClock& clock) {
  const JobLimits& limits = job.spec.limits;
  const bool single = !is_array(job);
  const bool queued = single && job.state == JobState::kQueued;
  const bool launched = single && (job.state == JobState::kStarting || job.state == JobState::kRunning);
  const bool waits = queued && job.attempt.number.value == 0 && waits_for_room(job);
  return {{{ReasonCode::kQueueLimit, "queue", limits.queue, clock.queued, waits},
           {ReasonCode::kTotalLimit, "total", limits.total, clock.started, job.started_at.has_value() && (queued || launched)},
           {ReasonCode::kAttemptLimit, "attempt", limits.attempt, clock.attempt, launched},
           {ReasonCode::kStepLimit, "step", limits.step, clock.step, launched},
           {ReasonCode::kNoProgressLimit, "no_progress", limits.no_progress, clock.progress, launched}}};
}

}  // namespace

std::optional<LimitHit> limit_reached(const Job& job, const LimitClock& clock) {
  for (const Limit& limit : limits_of(job, clock)) {
    if (limit.applies && limit.length > Duration(0) && clock.now >= limit.since + limit.length) {
      return LimitHit{limit.code, fmt::format("the {} limit of {} has passed", limit.name, format_duration(limit.length))};
    }
  }
  return std::nullopt;
}

std::optional<MonotonicPoint> next_limit(const Job& job, const LimitClock& clock) {
  std::optional<MonotonicPoint> next;
  for (const Limit& limit : limits_of(job, clock)) {
    if (!limit.applies || limit.length <= Duration(0)) continue;
    const MonotonicPoint due = limit.since + limit.length;
    next = next ? std::min(*next, due) : due;
  }
  return next;
}

}  // namespace trainyard::jobs
