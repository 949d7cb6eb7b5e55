#include "sched/testing/cohort.h"

#include <fmt/format.h>

#include <algorithm>

#include "sched/testing/eviction_invariants.h"

namespace trainyard::sched::testing {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kEvents = 3;

std::int64_t between(Rng& rng, std::int64_t least, std::int64_t most) {
  return least + static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(most - least + 1)));
}

bool one_in(Rng& rng, std::uint64_t n) { return rng.below(n) == 0; }

template <typename List>
auto one_of(Rng& rng, const List& list) -> decltype(list[0]) {
  return list[rng.below(std::size(list))];
}

Amounts quota_of(std::int64_t cores) {
  Amounts amounts = Amounts::unlimited();
  amounts[kCpu] = cores * 1000;
  return amounts;
}

void add_queues(Rng& rng, std::int64_t cores, Recipe& recipe) {
  static constexpr std::int64_t kWeights[] = {0, 500, 1000, 1000, 1000, 2000, 3000};
  const std::int64_t leaves = between(rng, 1, 4);
  const std::int64_t cohorts = leaves > 1 && one_in(rng, 2) ? between(rng, 1, 2) : 0;
  const bool quotas = one_in(rng, 2);
  PreemptionSettings preemption{.enabled = true, .grace = std::chrono::seconds(between(rng, 0, 30))};
  if (one_in(rng, 3)) preemption.minimum_run_time = std::chrono::seconds(between(rng, 1, 30));
  preemption.evictions_per_job_max = static_cast<std::int32_t>(between(rng, 1, 4));
  preemption.evictions_per_minute_max = static_cast<std::int32_t>(one_in(rng, 4) ? between(rng, 1, 3) : 60);
  for (std::int64_t i = 0; i < cohorts; ++i) {
    QueueSettings cohort{.name = "cohort" + std::to_string(i), .weight_milli = one_of(rng, kWeights)};
    if (quotas && one_in(rng, 3)) cohort.nominal = quota_of(between(rng, 0, cores / 2));
    recipe.queues.push_back(std::move(cohort));
  }
  for (std::int64_t i = 0; i < leaves; ++i) {
    QueueSettings leaf{.name = "q" + std::to_string(i), .weight_milli = one_of(rng, kWeights)};
    if (cohorts > 0 && !one_in(rng, 4)) leaf.parent = "cohort" + std::to_string(between(rng, 0, cohorts - 1));
    if (quotas && !one_in(rng, 4)) leaf.nominal = quota_of(between(rng, 0, 2 * cores / leaves));
    if (leaf.nominal && one_in(rng, 4)) leaf.borrow_limit = quota_of(between(rng, 0, cores / 2));
    if (leaf.nominal && one_in(rng, 4)) leaf.lend_limit = quota_of(between(rng, 0, cores / 2));
    leaf.order = one_of(rng, order_policies())->info().name;
    leaf.backfill = one_of(rng, backfill_policies())->info().name;
    leaf.preemption = preemption;
    leaf.preemption.enabled = !one_in(rng, 6);
    recipe.queues.push_back(std::move(leaf));
  }
}

/// A part of what one node has, small where the cohort is large.
JobSpec random_size(Rng& rng, const NodeSpec& near, bool large) {
  JobSpec spec;
  spec.cores = large ? between(rng, 1, 2) : between(rng, 1, std::max<std::int64_t>(1, near.cores / 2));
  if (near.gpus > 0 && one_in(rng, 2)) {
    spec.cores = 1;
    spec.gpus = static_cast<std::int32_t>(between(rng, 1, near.gpus));
    if (one_in(rng, 3)) spec.gpus = 1, spec.gpu_milli = 500;
  }
  if (near.memory_gib > 0 && one_in(rng, 2)) {
    spec.memory_gib = between(rng, 1, std::max<std::int64_t>(1, near.memory_gib / 2));
    if (one_in(rng, 3)) spec.cores = 0;
  }
  if (one_in(rng, 3)) spec.tasks = static_cast<std::int32_t>(between(rng, 2, 4));
  if (spec.tasks > 1 && one_in(rng, 2)) spec.tasks_min = static_cast<std::int32_t>(between(rng, 1, spec.tasks));
  if (spec.tasks > 1 && one_in(rng, 4)) spec.constraints.within = TopologyLevel::kRack;
  return spec;
}

RandomJob random_job(Rng& rng, const Recipe& recipe, bool large) {
  RandomJob job;
  job.spec = random_size(rng, one_of(rng, recipe.nodes).spec, large);
  JobSpec& spec = job.spec;
  spec.walltime = one_in(rng, 4) ? 1000h : kForever;
  if (one_in(rng, 3)) spec.tier = static_cast<std::int32_t>(between(rng, 0, 2));
  if (one_in(rng, 3)) spec.priority = between(rng, -2, 2);
  if (one_in(rng, 3)) spec.restart_cost = std::chrono::seconds(between(rng, 0, 300));
  if (one_in(rng, 3)) spec.checkpoint_cost = std::chrono::seconds(between(rng, 1, 60));
  spec.preemptible = !one_in(rng, 12);
  spec.user = "u" + std::to_string(between(rng, 0, 1));
  return job;
}

/// The state of one play.
class Play {
 public:
  Play(const Recipe& recipe, std::uint64_t seed, const std::function<void(const PlannedPass&)>& on_pass)
      : recipe_(recipe),
        on_pass_(on_pass),
        rng_(seed),
        scenario_(build(recipe, [](const RandomJob& job) { return job.submit_at == Duration(0); })),
        invariants_(eviction_invariants()) {}

  CohortOutcome run() {
    for (std::int64_t event = 0; event <= kEvents && !outcome_.violation; ++event) {
      if (event > 0) happen(std::chrono::seconds(event));
      settle();
    }
    return outcome_;
  }

 private:
  /// The outside events of one number.
  void happen(Duration number) {
    for (const RandomJob& job : recipe_.jobs) {
      if (job.runtime == number && scenario_.is_running(job.spec.id)) scenario_.end(job.spec.id, now_);
      if (job.submit_at == number && number > Duration(0)) scenario_.submit(spec_for(scenario_, job.spec));
    }
  }

  /// Passes until two of them an hour apart change nothing.
  void settle() {
    const std::size_t passes_max = outcome_.passes + 100 + 20 * recipe_.jobs.size();
    for (int quiet = 0; quiet < 2 && !outcome_.violation;) {
      if (++outcome_.passes > passes_max) return fail("comes_to_rest", "passes go on without an outside event");
      const bool changed = pass();
      const bool left = let_some_leave(!changed);
      quiet = changed || left ? 0 : quiet + 1;
      now_ += quiet > 0 ? Duration(1h) : Duration(std::chrono::seconds(between(rng_, 0, 20)));
    }
    for (const auto& invariant : invariants_) {
      if (outcome_.violation) return;
      if (Violation broken = invariant->rested(scenario_.state)) fail(invariant->name(), *broken);
    }
  }

  bool pass() {
    const Decisions decisions = scenario_.planned(now_);
    if (on_pass_) on_pass_({scenario_.state, decisions, now_});
    for (const Preemption& preemption : decisions.preemptions) outcome_.evictions += preemption.claim.victims.size();
    outcome_.shrinks += decisions.shrinks.size();
    for (const auto& invariant : invariants_) {
      if (outcome_.violation) return false;
      if (Violation broken = invariant->planned({scenario_.state, decisions, now_})) fail(invariant->name(), *broken);
    }
    if (outcome_.violation) return false;
    scenario_.state.apply(decisions, now_);
    for (const auto& invariant : invariants_) {
      if (outcome_.violation) return false;
      if (Violation broken = invariant->applied(scenario_.state, decisions)) fail(invariant->name(), *broken);
    }
    return !decisions.starts.empty() || !decisions.preemptions.empty() || !decisions.shrinks.empty() || !decisions.grows.empty();
  }

  /// Each victim leaves with a chance of one half, and gangs let tasks go; somebody does when `at_least_one`.
  bool let_some_leave(bool at_least_one) {
    bool any = false;
    for (const JobId id : scenario_.running()) {
      const RunningJob& running = *scenario_.state.cluster.find(id);
      if (!running.stopping && running.shrink_to.empty()) continue;
      if (!one_in(rng_, 2) && !(at_least_one && !any)) continue;
      any = true;
      if (running.stopping) {
        scenario_.state.requeue(scenario_.end(id, now_, true), now_);
      } else {
        scenario_.state.resize(id, Placement(running.shrink_to), now_);
      }
    }
    return any;
  }

  void fail(const char* name, const std::string& text) { outcome_.violation = fmt::format("{}: {}", name, text); }

  const Recipe& recipe_;
  const std::function<void(const PlannedPass&)>& on_pass_;
  SeededRng rng_;
  Scenario scenario_;
  std::vector<std::unique_ptr<EvictionInvariant>> invariants_;
  TimePoint now_ = at(1h);
  CohortOutcome outcome_;
};

}  // namespace

Recipe random_cohort(Rng& rng) {
  Recipe recipe;
  std::int64_t cores = 0;
  const bool gpus = one_in(rng, 3);
  const bool memory = one_in(rng, 3);
  const bool large = one_in(rng, 12);
  for (std::int64_t i = large ? between(rng, 4, 8) : between(rng, 1, 3); i > 0; --i) {
    RandomNode node{.name = "n" + std::to_string(i), .spec = {.cores = between(rng, 1, 6)}};
    if (gpus) node.spec.gpus = between(rng, 0, 4);
    if (memory) node.spec.memory_gib = between(rng, 2, 8);
    if (one_in(rng, 2)) node.spec.rack = "r" + std::to_string(between(rng, 0, 1));
    cores += node.spec.cores;
    recipe.nodes.push_back(std::move(node));
  }
  add_queues(rng, cores, recipe);
  recipe.sharing.policy = one_of(rng, share_policies())->info().name;
  if (one_in(rng, 2)) recipe.sharing.half_life = Duration(0);
  const std::int64_t jobs = large ? between(rng, 20, 60) : between(rng, 3, 14);
  for (std::int64_t i = 0; i < jobs; ++i) {
    RandomJob job = random_job(rng, recipe, large);
    job.spec.id = JobId(static_cast<std::uint64_t>(i) + 1);
    job.placed = one_in(rng, 2);
    // Those that run come mostly from one queue: it has more than its part.
    job.spec.queue = job.placed && one_in(rng, 2) ? recipe.queues.back().name : one_of(rng, recipe.queues).name;
    if (!job.placed) job.submit_at = std::chrono::seconds(between(rng, 0, kEvents));
    if (one_in(rng, 6)) job.runtime = std::chrono::seconds(between(rng, 1, kEvents));
    job.spec.queued_at = at(std::chrono::seconds(between(rng, 0, 100)));
    recipe.jobs.push_back(std::move(job));
  }
  return recipe;
}

CohortOutcome play_cohort(const Recipe& recipe, std::uint64_t seed, const std::function<void(const PlannedPass&)>& on_pass) {
  return Play(recipe, seed, on_pass).run();
}

}  // namespace trainyard::sched::testing
