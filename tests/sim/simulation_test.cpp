#include "tests/sim/simulation.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace trainyard::sim_test {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kSeeds = 15;  // Sanitizers make a run many times as long.
#else
constexpr std::uint64_t kSeeds = 300;
#endif

std::uint64_t from_environment(const char* name, std::uint64_t fallback) {
  const char* text = std::getenv(name);
  return text != nullptr && *text != '\0' ? std::strtoull(text, nullptr, 10) : fallback;
}

SimulationOutcome run(std::uint64_t seed, const SimulationSettings& settings = {}) { return Simulation(seed, settings).run(); }

/// Fails with the first breaches of a run; each line names the seed.
void expect_sound(const SimulationOutcome& outcome) {
  constexpr std::size_t kShown = 5;
  if (!outcome.violations.empty()) {
    std::string tail;
    for (const std::string& line : outcome.tail) tail += line;
    ADD_FAILURE() << "TRAINYARD_SIM_SEED=" << outcome.seed << " TRAINYARD_SIM_TRACE=1 repeats this run. Before its first breach:\n" << tail;
  }
  for (std::size_t i = 0; i < outcome.violations.size() && i < kShown; ++i) ADD_FAILURE() << outcome.violations[i];
}

TEST(Simulation, invariants_hold_for_all_seeds) {
  const std::uint64_t only = from_environment("TRAINYARD_SIM_SEED", 0);
  const std::uint64_t first = only != 0 ? only : from_environment("TRAINYARD_SIM_FIRST", 1);
  const std::uint64_t last = only != 0 ? only : from_environment("TRAINYARD_SIM_SEEDS", kSeeds);
  std::size_t jobs = 0, kills = 0, takeovers = 0;
  for (std::uint64_t seed = first; seed <= last && !HasFailure(); ++seed) {
    const SimulationOutcome outcome = run(seed);
    expect_sound(outcome);
    jobs += outcome.jobs;
    kills += outcome.server_kills;
    takeovers += outcome.takeovers;
  }
  // A run in which little happens proves little.
  EXPECT_GT(jobs, 15 * (last - first + 1));
  EXPECT_TRUE(only != 0 || (kills > 5 * (last - first + 1) && takeovers > last - first))
      << kills << " kills, " << takeovers << " takeovers";
}

TEST(Simulation, equal_seeds_give_equal_traces_and_others_do_not) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) EXPECT_EQ(run(seed).trace_hash, run(seed).trace_hash) << "seed " << seed;
  EXPECT_NE(run(1).trace_hash, run(2).trace_hash);
}

TEST(Simulation, log_store_that_forgets_to_sync_is_noticed) {
  SimulationSettings settings;
  settings.logs.forgets_sync = true;
  const SimulationOutcome outcome = run(1, settings);
  ASSERT_FALSE(outcome.violations.empty());
  EXPECT_NE(outcome.violations.front().find("LogLinesOnceAndInOrder"), std::string::npos) << outcome.violations.front();
}

TEST(Simulation, ledger_that_answers_too_early_is_noticed) {
  SimulationSettings settings;
  settings.ledger.answers_too_early = true;
  const SimulationOutcome outcome = run(1, settings);
  EXPECT_FALSE(outcome.violations.empty());
}

/// Whether one of the first seeds breaks the invariant of this name.
bool is_noticed(const SimulationSettings& settings, const std::string& invariant) {
  constexpr std::uint64_t kTried = 20;
  for (std::uint64_t seed = 1; seed <= kTried; ++seed) {
    for (const std::string& violation : run(seed, settings).violations) {
      if (violation.find(invariant) != std::string::npos) return true;
    }
  }
  return false;
}

TEST(Simulation, ledger_that_fences_nobody_is_noticed) {
  SimulationSettings settings;
  settings.ledger.forgets_epoch = true;
  EXPECT_TRUE(is_noticed(settings, "OnlyTheLeaderWrites"));
}

TEST(Simulation, server_that_forgets_what_operators_want_of_nodes_is_noticed) {
  SimulationSettings settings;
  settings.server.forgets_orders = true;
  EXPECT_TRUE(is_noticed(settings, "OrderedNodesGetNothing"));
}

}  // namespace
}  // namespace trainyard::sim_test
