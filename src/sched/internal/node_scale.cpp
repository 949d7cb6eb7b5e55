#include "sched/internal/node_scale.h"

#include <cmath>

namespace trainyard::sched {

std::vector<ParameterInfo> scale_parameters() {
  return {
      {.name = "largest_cpus", .fallback = 128, .least = 1, .most = 100'000, .meaning = "CPU cores of the largest node: the unit of CPU."},
      {.name = "largest_gpus", .fallback = 8, .least = 1, .most = 16, .meaning = "GPU devices of the largest node: the unit of GPU."},
  };
}

NodeScale scale_of(const PolicyInfo& info, const PolicyParameters& given) {
  const auto milli = [&](std::string_view name) { return static_cast<std::int64_t>(std::llround(parameter(info, given, name) * 1000)); };
  return {.milli_cpu = milli("largest_cpus"), .milli_gpu = milli("largest_gpus")};
}

std::int64_t best_fit_score(const NodeFree& free, const Demand& demand, const NodeScale& scale) {
  const __int128 cpu = free.amounts[kCpu] - demand.amounts[kCpu];
  const __int128 gpu = free.amounts[kGpu] - demand.amounts[kGpu];
  const __int128 whole = __int128{2} * scale.milli_cpu * scale.milli_gpu;
  return static_cast<std::int64_t>(floor_divide(100 * (whole - cpu * scale.milli_gpu - gpu * scale.milli_cpu), whole));
}

}  // namespace trainyard::sched
