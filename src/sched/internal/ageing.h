#pragma once
#include "sched/policy.h"

namespace trainyard::sched {

/// How priority grows with waiting: by `per_hour` for each hour, up to `cap_hours`.
struct Ageing {
  double per_hour = 0;
  double cap_hours = 0;
};

/// The two parameters "ageing_per_hour" and "ageing_cap_h" for a policy's list.
std::vector<ParameterInfo> ageing_parameters();
/// Their values in the queue; no ageing when its order does not declare them.
Ageing ageing_of(const QueueState& queue);
/// Priority + per_hour * min(wait, cap).
double aged_priority(const JobSnapshot& job, const Ageing& ageing, TimePoint now);

}  // namespace trainyard::sched
