#pragma once
#include <optional>
#include <string>
#include <vector>

#include "jobs/job.h"

namespace trainyard::jobs {

/// When the measured phases of a job began, on the monotonic clock.
struct LimitClock {
  MonotonicPoint queued;
  MonotonicPoint started;
  MonotonicPoint attempt;
  MonotonicPoint step;
  MonotonicPoint progress;
  MonotonicPoint now;
};

struct LimitHit {
  ReasonCode code = ReasonCode::kNone;
  std::string why;  ///< A sentence for people.
};

/// The limit that has passed, if one has. A job that is stopping has no limits but its grace, which the node keeps; an array has none, its
/// elements have. A job that is held or waits for others is not limited in its wait.
std::optional<LimitHit> limit_reached(const Job& job, const LimitClock& clock);
/// When the next limit of this job passes.
std::optional<MonotonicPoint> next_limit(const Job& job, const LimitClock& clock);

}  // namespace trainyard::jobs
