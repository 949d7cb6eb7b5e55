#pragma once
#include <functional>
#include <string>
#include <vector>

#include "sched/testing/checks.h"
#include "sched/testing/random_state.h"

namespace trainyard::sched::testing {

/// A job and how long it would run undisturbed. `spec.id` must be set.
struct Arrival {
  TimePoint at;
  JobSpec spec;
  Duration runtime{0};
};

/// One stretch in which a job ran.
struct Segment {
  JobId job;
  TimePoint start;
  TimePoint end;
  std::vector<NodeIndex> hosts;  ///< One per task, ascending.
  bool evicted = false;
};

struct LoopSettings {
  std::size_t passes_max = 100'000;
  /// Sees every plan before it is applied; what it returns stops the loop.
  std::function<Violation(const PlannedPass&)> on_pass;
};

struct LoopOutcome {
  std::vector<Segment> segments;  ///< By start, then in the order of decision.
  std::size_t passes = 0;
  Violation violation;  ///< Of `on_pass`, or "passes" when there were too many.
};

/// The smallest loop around the planner: events of equal time are one batch, all ends first, then all arrivals, then one plan. Jobs are
/// killed at their limit. Victims leave when their grace ends. Arrivals that the scenario has already are not submitted again; those of
/// them that run are given their run time from here.
LoopOutcome run_loop(Scenario& scenario, std::vector<Arrival> arrivals, const LoopSettings& settings = {});

/// The jobs of a recipe, for a scenario built from it without them.
std::vector<Arrival> arrivals_of(const Scenario& scenario, const Recipe& recipe);

}  // namespace trainyard::sched::testing
