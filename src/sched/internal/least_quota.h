#pragma once
#include <optional>

#include "sched/change.h"

namespace trainyard::sched {

/// The least larger quota of one queue with which the waiting job starts now: of its own queue, or of the nearest above that has a quota of
/// what is short. Memory grows in whole MiB. Several kinds may grow; one unit less of any of them does not start the job. None: no raise
/// that was tried does; `tries` is about how many whole plans may be made for each step of the search.
std::optional<SetQuota> least_quota(const SchedulerState& state, const JobSnapshot& job, TimePoint now, std::size_t tries);

}  // namespace trainyard::sched
