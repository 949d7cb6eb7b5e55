#pragma once
#include <optional>

#include "jobs/job.h"
#include "sched/explain.h"
#include "sched/fix.h"

namespace trainyard::jobs {

/// Why a queued job is not even shown to the planner: it is held, or waits for others. The best-ranked reason, with the others in `also`.
/// `array_hold`: the hold of the array that it is an element of, or null. None: nothing but room and backoff keep it waiting.
std::optional<sched::Wait> gate_of(const Job& job, const Hold* array_hold);
/// The same with all that is known, in sentences.
std::optional<sched::Explanation> explain_gate(const Job& job, const Hold* array_hold, TimePoint now);
/// What would let the job through its gate; empty when it has none.
std::vector<sched::Fix> gate_fixes(const Job& job, const Hold* array_hold);

}  // namespace trainyard::jobs
