#include "sched/internal/ageing.h"

#include <algorithm>

namespace trainyard::sched {

std::vector<ParameterInfo> ageing_parameters() {
  return {{.name = "ageing_per_hour", .fallback = 1, .least = 0, .most = 1e9, .meaning = "Priority gained by each hour of waiting."},
          {.name = "ageing_cap_h", .fallback = 168, .least = 0, .most = 1e6, .meaning = "Hours of waiting that count at most."}};
}

Ageing ageing_of(const QueueState& queue) {
  if (queue.order == nullptr) return {};
  const PolicyInfo& info = queue.order->info();
  const auto declared =
      std::any_of(info.parameters.begin(), info.parameters.end(), [](const ParameterInfo& one) { return one.name == "ageing_per_hour"; });
  if (!declared) return {};
  const PolicyParameters& given = queue.settings.parameters;
  return {.per_hour = parameter(info, given, "ageing_per_hour"), .cap_hours = parameter(info, given, "ageing_cap_h")};
}

double aged_priority(const JobSnapshot& job, const Ageing& ageing, TimePoint now) {
  const auto priority = static_cast<double>(job.priority);
  if (ageing.per_hour <= 0 || now <= job.queued_at) return priority;
  const double waited_hours = static_cast<double>((now - job.queued_at).count()) / 3.6e9;
  return priority + ageing.per_hour * std::min(waited_hours, ageing.cap_hours);
}

}  // namespace trainyard::sched
