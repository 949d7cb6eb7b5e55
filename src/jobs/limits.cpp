#include "jobs/limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace trainyard::jobs {
namespace {

struct Limit {
  std::string_view name;
  Duration length;
  MonotonicPoint since;
  bool applies;
};

std::array<Limit, 4> limits_of(const Job& job, const LimitClock& clock) {
  const JobLimits& limits = job.spec.limits;
  const bool queued = job.state == JobState::kQueued;
  const bool launched = job.state == JobState::kStarting || job.state == JobState::kRunning;
  return {{{"queue", limits.queue, clock.queued, queued && job.attempt.number.value == 0},
           {"total", limits.total, clock.started, job.started_at.has_value() && (queued || launched)},
           {"attempt", limits.attempt, clock.attempt, launched},
           {"no_progress", limits.no_progress, clock.progress, launched}}};
}

}  // namespace

std::optional<std::string> limit_reached(const Job& job, const LimitClock& clock) {
  for (const Limit& limit : limits_of(job, clock)) {
    if (limit.applies && limit.length > Duration(0) && clock.now >= limit.since + limit.length) {
      return fmt::format("the {} limit of {} has passed", limit.name, format_duration(limit.length));
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
