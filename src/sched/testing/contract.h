#pragma once
#include <string>

#include "sched/testing/event_loop.h"

namespace trainyard::sched::testing {

/// Runs a recipe from its first arrival until nothing happens any more, with every check on every plan. At the end no job may be left that
/// could run: where nothing gates, limits or can never fit, all have run.
Violation run_contract(const Recipe& recipe);

/// Draws the recipe of a seed, runs it, and on a violation makes it as small as it gets. Tells seed, violation and the small recipe.
Violation contract_of_seed(std::uint64_t seed, const RandomStateSettings& settings);

}  // namespace trainyard::sched::testing
