#pragma once
#include <functional>

#include "sched/testing/checks.h"
#include "sched/testing/random_state.h"

namespace trainyard::sched::testing {

/// Small crowded cohorts: some queues run more than their part from the start, others ask for theirs later. `RandomJob::submit_at` and, for
/// those that end by themselves, `runtime` are numbers of outside events, in seconds.
Recipe random_cohort(Rng& rng);

struct CohortOutcome {
  Violation violation;  ///< Name of the invariant and what broke it.
  std::size_t evictions = 0;
  std::size_t shrinks = 0;
  std::size_t passes = 0;
};

/// Plays the recipe: outside events one after the other, and between them passes until nothing changes any more, while victims leave at
/// random times, one by one, and wait again. Checks every invariant of evictions and that it comes to rest.
/// `on_pass` (optional) sees every plan.
CohortOutcome play_cohort(const Recipe& recipe, std::uint64_t seed, const std::function<void(const PlannedPass&)>& on_pass = {});

}  // namespace trainyard::sched::testing
