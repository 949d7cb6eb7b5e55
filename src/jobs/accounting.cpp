#include "jobs/accounting.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace trainyard::jobs {
namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMilli = 1000;
constexpr std::int64_t kMicrosPerMilli = 1000;
constexpr std::int64_t kMib = std::int64_t{1} << 20;

using Wide = __int128;  // A large node over a long time: the product of both does not fit in 64 bits, the result does.

std::int64_t scaled(std::int64_t amount, std::int64_t micros, std::int64_t divisor) {
  return static_cast<std::int64_t>(std::min<Wide>(Wide{amount} * Wide{micros} / Wide{divisor}, kMost));
}

std::int64_t saturated_sum(std::int64_t a, std::int64_t b) { return a > kMost - b ? kMost : a + b; }

}  // namespace

JobUsage usage_of(const Resources& resources, Duration length) {
  const std::int64_t micros = std::max<std::int64_t>(length.count(), 0);
  JobUsage usage;
  usage.cpu_us = scaled(resources.milli_cpu, micros, kMilli);
  usage.gpu_us = scaled(resources.milli_gpu, micros, kMilli);
  usage.memory_mib_ms = scaled(resources.memory_bytes, micros, kMib * kMicrosPerMilli);
  return usage;
}

JobUsage& operator+=(JobUsage& total, const JobUsage& more) {
  total.cpu_us = saturated_sum(total.cpu_us, more.cpu_us);
  total.gpu_us = saturated_sum(total.gpu_us, more.gpu_us);
  total.memory_mib_ms = saturated_sum(total.memory_mib_ms, more.memory_mib_ms);
  total.cpu_used_us = saturated_sum(total.cpu_used_us, more.cpu_used_us);
  total.max_rss_bytes = std::max(total.max_rss_bytes, more.max_rss_bytes);
  return total;
}

void charge_rank(Job& job, std::uint32_t rank, TimePoint now) {
  CHECK(rank < job.attempt.ranks.size() && job.attempt.ranks[rank].exit, "only a rank that has ended is charged");
  JobUsage usage = usage_of(task_resources(job), now - job.attempt.launched_at);
  if (const auto& measured = job.attempt.ranks[rank].exit->usage) {
    usage.cpu_used_us = std::max<std::int64_t>(measured->cpu_us, 0);
    usage.max_rss_bytes = std::max<std::int64_t>(measured->max_rss_bytes, 0);
  }
  job.usage += usage;
}

}  // namespace trainyard::jobs
