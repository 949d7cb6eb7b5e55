#include <gtest/gtest.h>

#include <cstdlib>

#include "sched/testing/cohort.h"

namespace trainyard::sched::testing {
namespace {

/// How many scenarios, from TRAINYARD_EVICTION_SCENARIOS.
std::uint64_t scenarios() {
  const char* text = std::getenv("TRAINYARD_EVICTION_SCENARIOS");
  return text == nullptr ? 2000 : std::strtoull(text, nullptr, 10);
}

std::uint64_t first_seed() {
  const char* text = std::getenv("TRAINYARD_EVICTION_SEED");
  return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}

Recipe cohort_of(std::uint64_t seed) {
  SeededRng rng(seed);
  return random_cohort(rng);
}

/// The smallest recipe that breaks the same invariant, in words.
std::string smallest(const Recipe& recipe, std::uint64_t seed, const std::string& violation) {
  const std::string invariant = violation.substr(0, violation.find(':'));
  const Recipe small = shrink(recipe, [&](const Recipe& smaller) {
    const CohortOutcome outcome = play_cohort(smaller, seed);
    return outcome.violation && outcome.violation->starts_with(invariant + ":");
  });
  return describe(small) + *play_cohort(small, seed).violation;
}

TEST(PreemptionProperty, random_cohorts_come_to_rest_and_keep_every_invariant) {
  const std::uint64_t first = first_seed();
  std::uint64_t with_evictions = 0;
  std::uint64_t with_shrinks = 0;
  std::uint64_t evictions = 0;
  std::uint64_t passes = 0;
  for (std::uint64_t seed = first; seed < first + scenarios(); ++seed) {
    const Recipe recipe = cohort_of(seed);
    const CohortOutcome outcome = play_cohort(recipe, seed);
    with_evictions += outcome.evictions > 0 ? 1 : 0;
    with_shrinks += outcome.shrinks > 0 ? 1 : 0;
    evictions += outcome.evictions;
    passes += outcome.passes;
    if (!outcome.violation) continue;
    FAIL() << "seed " << seed << ": " << *outcome.violation << "\nsmallest:\n" << smallest(recipe, seed, *outcome.violation);
  }
  RecordProperty("scenarios", static_cast<int>(scenarios()));
  std::cout << "seeds " << first << ".." << first + scenarios() - 1 << ": " << evictions << " evictions in " << with_evictions
            << " scenarios, gangs shrank in " << with_shrinks << ", " << passes << " passes\n";
  if (scenarios() < 1000) return;
  EXPECT_GT(with_evictions, scenarios() / 4) << "the scenarios are too quiet to say anything";
  EXPECT_GT(with_shrinks, scenarios() / 100);
}

}  // namespace
}  // namespace trainyard::sched::testing
