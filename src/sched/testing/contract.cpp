#include "sched/testing/contract.h"

#include <fmt/format.h>

#include <algorithm>

#include "sched/testing/holdings.h"

namespace trainyard::sched::testing {
namespace {

constexpr Duration kArrivalSpan = std::chrono::seconds(60);
constexpr std::size_t kPassesMax = 2000;  ///< Far more than the few dozen jobs of a recipe need.

bool limits_jobs(const QueueState& queue) {
  const QueueSettings& settings = queue.settings;
  return settings.nominal || settings.running_jobs_max < kUnlimited || settings.running_jobs_per_user_max < kUnlimited ||
         settings.state == QueueSettings::State::kStopped;
}

/// A job that waits for ever though the cluster is empty.
Violation left_behind(const Scenario& scenario) {
  const QueueSnapshot& queue = scenario.state.queue;
  if (std::any_of(queue.queues().begin(), queue.queues().end(), limits_jobs)) return std::nullopt;
  const Holdings empty(scenario.state.cluster);
  for (const QueueState& state : queue.queues()) {
    const auto blocks = [&](const PendingEntry& entry) {
      const JobSnapshot& job = queue.job(entry);
      return job.held || !job.waits_for.empty() || !empty.has_room(job, at(Duration(0)));
    };
    if (std::any_of(state.pending.begin(), state.pending.end(), blocks)) continue;
    if (!state.pending.empty()) return fmt::format("left_behind: job {} never runs", queue.job(state.pending[0]).id.value);
  }
  return std::nullopt;
}

}  // namespace

Violation run_contract(const Recipe& recipe) {
  Scenario scenario = build(recipe, [](const RandomJob&) { return false; });
  OvertakesAtMost overtakes;
  LoopSettings settings{.passes_max = kPassesMax};
  settings.on_pass = [&overtakes](const PlannedPass& pass) {
    if (Violation violation = check_pass(pass)) return violation;
    return overtakes.after(pass);
  };
  const LoopOutcome outcome = run_loop(scenario, arrivals_of(scenario, recipe), settings);
  return outcome.violation ? outcome.violation : left_behind(scenario);
}

Violation contract_of_seed(std::uint64_t seed, const RandomStateSettings& settings) {
  SeededRng rng(seed);
  const Recipe recipe = random_recipe(rng, settings, kArrivalSpan);
  const Violation first = run_contract(recipe);
  if (!first) return std::nullopt;
  const std::string check = first->substr(0, first->find(':'));
  const Recipe small = shrink(recipe, [&check](const Recipe& smaller) {
    const Violation violation = run_contract(smaller);
    return violation && violation->substr(0, violation->find(':')) == check;
  });
  return fmt::format("seed {}: {}\n{}", seed, *run_contract(small), describe(small));
}

}  // namespace trainyard::sched::testing
