#pragma once
#include <optional>

#include "sched/internal/fix_search.h"

namespace trainyard::sched {

/// The least higher priority with which the waiting job starts now; none: its place does not depend on it, or does not help.
std::optional<std::int64_t> least_priority(FixSearch& search, const SchedulerState& state, const JobSnapshot& job, TimePoint now);

}  // namespace trainyard::sched
