#pragma once
#include "jobs/job.h"

namespace trainyard::jobs {

/// What `resources` held for `length` come to; `length` below zero counts as none.
JobUsage usage_of(const Resources& resources, Duration length);
/// Sums saturate, and the larger of two largest processes counts.
JobUsage& operator+=(JobUsage& total, const JobUsage& more);

/// Charges the job for a rank of the current attempt that has ended: its room from the launch until `now`, when it was given back, and what
/// its processes are known to have used. To be called once for each rank.
void charge_rank(Job& job, std::uint32_t rank, TimePoint now);

}  // namespace trainyard::jobs
