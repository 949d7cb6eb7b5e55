#pragma once
#include "sched/policy.h"

namespace trainyard::sched {

/// The node that counts as full size where a score compares CPU with GPUs: the largest of the cluster, as its operator says.
struct NodeScale {
  std::int64_t milli_cpu = 128'000;
  std::int64_t milli_gpu = 8'000;
};

/// "largest_cpus" and "largest_gpus", to be declared by every policy that takes a scale.
std::vector<ParameterInfo> scale_parameters();
NodeScale scale_of(const PolicyInfo& info, const PolicyParameters& given);

/// floor(100 (1 - (cpu_free - cpu)/(2 c_max) - (gpu_free - gpu)/(2 g_max))): how little stays free, 100 for nothing.
std::int64_t best_fit_score(const NodeFree& free, const Demand& demand, const NodeScale& scale);

/// Rounds towards minus infinity; `divisor` > 0.
constexpr __int128 floor_divide(__int128 value, __int128 divisor) { return value / divisor - (value % divisor < 0 ? 1 : 0); }

}  // namespace trainyard::sched
