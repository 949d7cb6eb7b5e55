#include "sched/fix.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "sched/testing/moments.h"

namespace trainyard::sched::testing {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kMiB = std::int64_t{1} << 20;

bool starts_with(const SchedulerState& state, const Change& change, JobId job, TimePoint now) {
  SchedulerState fork = state;
  if (const Result<void> applied = apply_change(fork, change); !applied.ok()) {
    ADD_FAILURE() << "the change is refused: " << applied.error().message;
    return false;
  }
  return start_of(plan(fork.cluster, fork.queue, now), job) != nullptr;
}

AlterJob alter(JobId job) { return {.job = job, .demand = {}, .tasks = {}, .walltime = {}, .priority = {}}; }

AlterJob with_demand(const JobSnapshot& job, std::size_t kind, std::int64_t amount) {
  AlterJob change = alter(job.id);
  change.demand = job.demand;
  change.demand->amounts[kind] = amount;
  return change;
}

AlterJob with_gpus(const JobSnapshot& job, std::int32_t devices, std::int32_t milli) {
  AlterJob change = alter(job.id);
  change.demand = job.demand;
  change.demand->ask_gpus(devices, milli);
  return change;
}

AlterJob with_tasks(const JobSnapshot& job, std::int32_t tasks) {
  AlterJob change = alter(job.id);
  change.tasks = tasks;
  return change;
}

AlterJob with_walltime(const JobSnapshot& job, Duration walltime) {
  AlterJob change = alter(job.id);
  change.walltime = walltime;
  return change;
}

AlterJob with_priority(const JobSnapshot& job, std::int64_t priority) {
  AlterJob change = alter(job.id);
  change.priority = priority;
  return change;
}

/// The same change by one unit less, written without the code that found it; each of them for a quota of several kinds. None where that is
/// no change at all.
std::vector<Change> one_unit_less(const SchedulerState& state, const JobSnapshot& job, const Fix& fix) {
  if (const auto* quota = std::get_if<SetQuota>(&*fix.change)) {
    const Amounts& before = *state.queue.queue(*state.queue.find_queue(quota->queue)).settings.nominal;
    std::vector<Change> less;
    for (std::size_t kind = 0; kind < kAmountKinds; ++kind) {
      SetQuota smaller = *quota;
      (*smaller.nominal)[kind] -= kind == kMemory ? kMiB : 1;
      if ((*quota->nominal)[kind] != before[kind]) less.emplace_back(smaller);
    }
    return less;
  }
  const bool last = fix.dimension == "walltime" && job.walltime == kForever && fix.to == kForever / 1s;
  if (fix.dimension == "node" || std::abs(fix.to - fix.from) == 1 || last) return {};
  const auto& alter = std::get<AlterJob>(*fix.change);
  if (fix.dimension == "cpu") return {with_demand(job, kCpu, alter.demand->amounts[kCpu] + 1)};
  if (fix.dimension == "memory") return {with_demand(job, kMemory, alter.demand->amounts[kMemory] + kMiB)};
  if (fix.dimension == "tasks") return {with_tasks(job, *alter.tasks + 1)};
  if (fix.dimension == "walltime") return {with_walltime(job, *alter.walltime + 1s)};
  if (fix.dimension == "priority") return {with_priority(job, *alter.priority - 1)};
  if (fix.unit == "gpus") return {with_gpus(job, alter.demand->gpus + 1, 1000)};
  return {with_gpus(job, 1, alter.demand->gpu_milli + 1)};
}

using Violation = std::optional<std::string>;

Violation broken_fix(const SchedulerState& state, const JobSnapshot& job, const Fix& fix, TimePoint now) {
  const auto violation = [&](const std::string& what) {
    return fmt::format("{}: {} (job {}, {} -> {} {}, \"{}\")", fix.dimension, what, job.id.text(), fix.from, fix.to, fix.unit, fix.text);
  };
  if (fix.text.empty() || fix.unit.empty() || fix.text == "none") return violation("nothing is told");
  if (!starts_with(state, *fix.change, job.id, now)) return violation("does not start the job");
  for (const Change& less : one_unit_less(state, job, fix)) {
    if (starts_with(state, less, job.id, now)) return violation("one unit less would do");
  }
  return std::nullopt;
}

/// Changes of a dimension without a fix, as many as are cheap in a small state.
std::vector<Change> all_changes(const SchedulerState& state, const JobSnapshot& job, const std::string& dimension) {
  std::vector<Change> changes;
  const Demand& demand = job.demand;
  if (dimension == "cpu") {
    for (std::int64_t milli = 1; milli < demand.amounts[kCpu]; milli += 97) changes.emplace_back(with_demand(job, kCpu, milli));
  } else if (dimension == "memory") {
    for (std::int64_t bytes = kMiB; bytes < demand.amounts[kMemory]; bytes += 700 * kMiB) {
      changes.emplace_back(with_demand(job, kMemory, bytes));
    }
  } else if (dimension == "gpu" && demand.gpus > 0) {
    for (std::int32_t devices = 1; devices < demand.gpus; ++devices) changes.emplace_back(with_gpus(job, devices, 1000));
    const std::int32_t most = demand.gpus > 1 ? 1000 : demand.gpu_milli;
    for (std::int32_t milli = 1; milli < most; milli += 7) changes.emplace_back(with_gpus(job, 1, milli));
  } else if (dimension == "tasks") {
    for (std::int32_t tasks = 1; tasks < job.tasks; ++tasks) changes.emplace_back(with_tasks(job, tasks));
  } else if (dimension == "walltime") {
    for (Duration length = 1s; length < job.walltime && length < 200s; length += 1s) changes.emplace_back(with_walltime(job, length));
  } else if (dimension == "priority") {
    for (std::int64_t more = 1; more <= 12; ++more) changes.emplace_back(with_priority(job, job.priority + more));
    changes.emplace_back(with_priority(job, 1'000'000));
  } else if (dimension == "node") {
    for (const NodeState& node : state.cluster.nodes()) {
      AddNodes change{.node = *node.info, .count = 1};
      change.node.name.text = "one-more";
      changes.emplace_back(change);
    }
  } else if (dimension == "quota") {
    const QueueSettings& settings = state.queue.queue(job.queue).settings;
    for (std::int64_t cores = 0; settings.nominal && cores <= 24; ++cores) {
      for (std::int64_t gpus = 0; gpus <= 8; ++gpus) {
        SetQuota change{settings.name, settings.nominal};
        Amounts& nominal = *change.nominal;
        if (nominal[kCpu] < kUnlimited) nominal[kCpu] += cores * 1000;
        if (nominal[kGpu] < kUnlimited) nominal[kGpu] += gpus * 1000;
        if (nominal != *settings.nominal) changes.emplace_back(change);
      }
    }
  }
  return changes;
}

/// True when what a waiting job asks for can decide who has a turn before it.
bool looks_at_requests(const SchedulerState& state) {
  static const std::set<std::string> kOrders{"deadline", "drf", "finish_time", "las", "shortest"};
  const auto looks = [](const QueueState& queue) { return queue.leaf() && kOrders.contains(queue.settings.order); };
  const std::vector<QueueState>& queues = state.queue.queues();
  return state.queue.sharing.policy == "hdrf" || std::any_of(queues.begin(), queues.end(), looks);
}

/// How thoroughly a state is looked at, and what was seen.
struct Look {
  std::size_t jobs_max = 0;  ///< 0: all.
  bool settled = false;      ///< After as many passes as start anything.
  bool brute_force = false;  ///< Dimensions without a fix are tried through.
  std::size_t jobs = 0;
  std::map<std::string, std::size_t> fixes;
  std::map<std::string, std::size_t> none;
  std::size_t missed = 0;  ///< Dimensions without a fix where trying found one, with policies that look at requests.
};

Violation broken_fixes(const SchedulerState& state, JobId id, TimePoint now, Look& look) {
  const JobSnapshot job = *state.queue.find(id);
  const Result<std::vector<Fix>> fixes = fixes_of(state, id, now);
  if (!fixes.ok()) return "error: " + fixes.error().message;
  if (fixes->size() != fix_dimensions().size()) return "dimensions: some are missing";
  for (std::size_t i = 0; i < fixes->size(); ++i) {
    const Fix& fix = (*fixes)[i];
    if (fix.dimension != fix_dimensions()[i]) return "dimensions: another order";
    ++(fix.change ? look.fixes : look.none)[fix.dimension];
    if (fix.change) {
      if (Violation violation = broken_fix(state, job, fix, now)) return violation;
      continue;
    }
    if (fix.text != "none") return fix.dimension + ": no change, but \"" + fix.text + "\"";
    if (!look.brute_force) continue;
    const std::vector<Change> changes = all_changes(state, job, fix.dimension);
    const auto works = std::find_if(changes.begin(), changes.end(), [&](const Change& each) { return starts_with(state, each, id, now); });
    if (works == changes.end()) continue;
    if (looks_at_requests(state)) {
      ++look.missed;
    } else {
      return fmt::format("{}: missed (value {} of {} starts job {})", fix.dimension, works - changes.begin(), changes.size(), id.text());
    }
  }
  return std::nullopt;
}

Moment settled_moment_of(const Recipe& recipe) {
  Scenario scenario = build(recipe);
  while (!scenario.run(at(1s)).starts.empty()) {
  }
  return {std::move(scenario.state), at(2s)};
}

Violation broken_state(const Recipe& recipe, std::uint64_t seed, Look& look) {
  const Moment moment = look.settled ? settled_moment_of(recipe) : moment_of(recipe, seed);
  const Decisions decisions = plan(moment.state.cluster, moment.state.queue, moment.now);
  std::vector<JobId> waiting = left_waiting(moment.state, decisions);
  SeededRng rng(seed);
  if (look.jobs_max > 0 && waiting.size() > look.jobs_max) {
    for (std::size_t i = 0; i < look.jobs_max; ++i) std::swap(waiting[i], waiting[i + rng.below(waiting.size() - i)]);
    waiting.resize(look.jobs_max);
  }
  for (const JobId id : waiting) {
    ++look.jobs;
    if (Violation violation = broken_fixes(moment.state, id, moment.now, look)) return violation;
  }
  return std::nullopt;
}

/// The smallest recipe that breaks the same promise of the same dimension.
std::string smallest(const Recipe& recipe, std::uint64_t seed, const std::string& violation, bool brute_force) {
  const std::string kind = violation.substr(0, violation.find('('));
  const auto broken = [&](const Recipe& smaller) {
    Look look{.jobs_max = 0, .brute_force = brute_force};
    return broken_state(smaller, seed, look);
  };
  const Recipe small = shrink(recipe, [&](const Recipe& smaller) {
    const Violation now = broken(smaller);
    return now && now->starts_with(kind);
  });
  return describe(small) + *broken(small);
}

void print(const char* what, std::uint64_t first, std::uint64_t count, const Look& look) {
  std::cout << what << ", seeds " << first << ".." << first + count - 1 << ": " << look.jobs << " jobs;";
  for (const std::string& dimension : fix_dimensions()) {
    const auto of = [&dimension](const std::map<std::string, std::size_t>& counts) {
      return counts.contains(dimension) ? counts.at(dimension) : 0;
    };
    std::cout << " " << dimension << " " << of(look.fixes) << "/" << of(look.fixes) + of(look.none);
  }
  std::cout << "; missed " << look.missed << "\n";
}

/// A small state of any policies.
Recipe small_recipe(std::uint64_t seed) {
  SeededRng rng(seed);
  RandomStateSettings settings;
  settings.elastic = seed % 4 == 0;
  settings.preemption = seed % 5 == 0;
  settings.gates = seed % 2 == 0;
  settings.quotas = seed % 3 != 0;
  return random_recipe(rng, settings);
}

TEST(Fix, in_small_states_each_fix_starts_the_job_one_unit_less_does_not_and_none_is_none) {
  const std::uint64_t first = number_from_environment("TRAINYARD_FIX_SEED", 1);
  const std::uint64_t states = number_from_environment("TRAINYARD_FIX_STATES", 300);
  Look look{.jobs_max = 0, .brute_force = true};
  std::map<std::string, int> kinds;
  for (std::uint64_t seed = first; seed < first + states; ++seed) {
    const Recipe recipe = small_recipe(seed);
    const Violation violation = broken_state(recipe, seed, look);
    if (!violation) continue;
    FAIL() << "seed " << seed << ": " << *violation << "\nsmallest:\n" << smallest(recipe, seed, *violation, true);
  }
  print("small states", first, states, look);
  std::size_t none = 0;
  for (const auto& [dimension, count] : look.none) none += count;
  EXPECT_LE(look.missed * 2000, none) << "with policies that look at requests too many fixes are missed";
}

/// A large state whose policies are given; empty: any.
struct LargeState {
  const char* what;
  std::size_t nodes;
  std::size_t jobs;
  std::size_t queues;
  const char* order;
  const char* backfill;
  const char* share;
  std::size_t sampled;  ///< Jobs looked at on every run; 0: the state is left out.
  std::size_t most;     ///< With TRAINYARD_FIX_ALL; 0: all.
};

Recipe large_recipe(const LargeState& large, std::uint64_t seed) {
  SeededRng rng(seed);
  RandomStateSettings settings;
  settings.full = true;
  settings.nodes_max = large.nodes;
  settings.pending_max = large.jobs;
  settings.running_max = large.nodes / 2;
  settings.queues_max = large.queues;
  settings.users_max = 20;
  settings.shapes_max = 40;
  settings.order = large.order;
  settings.backfill = large.backfill;
  settings.share = large.share;
  settings.placement = seed % 2 == 0 ? "best_fit" : "first_fit";
  Recipe recipe = random_recipe(rng, settings);
  for (QueueSettings& queue : recipe.queues) {
    queue.state = QueueSettings::State::kOpen;
    queue.running_jobs_max = queue.running_jobs_per_user_max = kUnlimited;
    if (queue.nominal && (*queue.nominal)[kCpu] < kUnlimited) (*queue.nominal)[kCpu] *= static_cast<std::int64_t>(large.nodes);
    if (queue.nominal && (*queue.nominal)[kGpu] < kUnlimited) (*queue.nominal)[kGpu] *= static_cast<std::int64_t>(large.nodes);
  }
  return recipe;
}

TEST(Fix, in_large_states_each_fix_starts_the_job_and_one_unit_less_does_not) {
  static constexpr LargeState kStates[] = {
      {"10,000 jobs on 100 nodes, greedy", 100, 10'100, 1, "priority", "greedy", "order", 200, 0},
      {"10,000 jobs on 2,000 nodes, easy", 2000, 14'000, 1, "fifo", "easy", "order", 200, 0},
      {"1,000 jobs on 100 nodes, reserve_k", 100, 1'200, 4, "fair_share", "reserve_k", "drf", 200, 0},
      {"360 jobs on 40 nodes, any policies", 40, 360, 5, "", "", "", 200, 0},
      {"10,000 jobs on 300 nodes, priority", 300, 10'600, 3, "priority", "easy", "fair_share", 0, 1000},
      {"1,000 jobs on 100 nodes, conservative", 100, 1'200, 2, "fifo", "conservative", "order", 0, 0},
      {"1,000 jobs on 100 nodes, any policies", 100, 1'200, 6, "", "", "", 0, 0},
  };
  const bool all = std::getenv("TRAINYARD_FIX_ALL") != nullptr;
  const std::uint64_t seed = number_from_environment("TRAINYARD_FIX_SEED", 1);
  for (const LargeState& large : kStates) {
    if (!all && large.sampled == 0) continue;
    const Recipe recipe = large_recipe(large, seed);
    Look look{.jobs_max = all ? large.most : large.sampled, .settled = true};
    const Violation violation = broken_state(recipe, seed, look);
    if (violation) FAIL() << large.what << ", seed " << seed << ": " << *violation << "\n";
    print(large.what, seed, 1, look);
    EXPECT_GE(look.jobs, std::min<std::size_t>(200, look.jobs_max > 0 ? look.jobs_max : 200)) << large.what;
  }
}

}  // namespace
}  // namespace trainyard::sched::testing
