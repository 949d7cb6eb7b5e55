#pragma once
#include "sched/testing/random_state.h"

namespace trainyard::sched::testing {

/// A state at some moment of its life.
struct Moment {
  SchedulerState state;
  TimePoint now;
};

/// The state of a recipe, by `seed`: as it was submitted, after a pass, or after a pass and when a third of what ran has ended since.
Moment moment_of(const Recipe& recipe, std::uint64_t seed);

/// Waiting jobs in the order of queues and places, without those that `decisions` start.
std::vector<JobId> left_waiting(const SchedulerState& state, const Decisions& decisions);

/// All that a plan can depend on, and what the books say, as text: equal for equal states.
std::string fingerprint(const SchedulerState& state);

/// An environment variable as a number.
std::uint64_t number_from_environment(const char* variable, std::uint64_t fallback);

}  // namespace trainyard::sched::testing
