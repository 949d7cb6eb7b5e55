#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/document.h"
#include "base/file.h"
#include "base/rng.h"
#include "sched/policy.h"
#include "sched/testing/scenario.h"

namespace trainyard::sched {
namespace {

constexpr std::size_t kKinds = 3;
using Fractions = std::array<double, kKinds>;

/// A user with as many equal tasks as it likes.
struct DrfUser {
  std::string name;
  Amounts demand;
  std::int64_t weight_milli = 1000;
};

struct DrfOutcome {
  std::vector<std::int64_t> tasks;  ///< By user.
  std::vector<std::string> picks;
  Amounts free;
};

Amounts three(std::int64_t cpu, std::int64_t memory, std::int64_t licences = 0) {
  Amounts amounts;
  amounts[kCpu] = cpu;
  amounts[kMemory] = memory;
  amounts[kExtended] = licences;
  return amounts;
}

/// Serves the users in the order of the policy until nothing fits, on one large node.
DrfOutcome serve(const Amounts& capacity, const std::vector<DrfUser>& users) {
  testing::Scenario scenario;
  scenario.configure({.order = "drf", .backfill = "greedy"});
  NodeInfo node;
  node.name = {"n0"};
  node.capacity = capacity;
  EXPECT_EQ(scenario.state.cluster.resource_kind("licence").value(), kExtended);
  scenario.state.cluster.add_node(node).value();
  for (const DrfUser& user : users) {
    const UserIndex index = scenario.state.queue.user(user.name);
    scenario.state.queue.user_state(index).weight_milli = user.weight_milli;
    std::int64_t most = kUnlimited;
    for (std::size_t kind = 0; kind < kAmountKinds; ++kind) {
      if (user.demand[kind] > 0) most = std::min(most, capacity[kind] / user.demand[kind]);
    }
    for (std::int64_t i = 0; i <= most; ++i) {
      JobSnapshot job = scenario.job_of({.user = user.name});
      job.demand.amounts = user.demand;
      scenario.state.submit(job);
    }
  }
  DrfOutcome outcome{std::vector<std::int64_t>(users.size()), {}, capacity};
  const OrderView view{scenario.state.cluster, scenario.state.queue, 0, TimePoint()};
  const std::unique_ptr<OrderPass> pass = scenario.state.queue.queue(0).order->begin(view);
  while (const JobSnapshot* job = pass->next()) {
    if (!job->demand.amounts.fits_in(outcome.free)) {
      pass->refused();
      continue;
    }
    outcome.free -= job->demand.amounts;
    ++outcome.tasks[job->user];
    outcome.picks.push_back(users[job->user].name);
    pass->started(1);
  }
  return outcome;
}

TEST(DrfOrder, running_example_of_the_paper_gives_three_and_two_tasks) {
  const Result<std::string> text = read_file("tests/data/scheduling/fairness/fair_sharing_vectors.json");
  ASSERT_TRUE(text.ok());
  const Document file = parse_json(*text).value();
  const Document& example = file["drf_nsdi11_running_example"];
  const auto vector = [](const Document& document) {
    return three(document.int_at("cpu").value() * 1000, document.int_at("mem_gb").value() << 30);
  };
  const Amounts capacity = vector(example["capacity"]);
  const DrfOutcome outcome =
      serve(capacity, {{.name = "A", .demand = vector(example["demand"]["A"])}, {.name = "B", .demand = vector(example["demand"]["B"])}});
  EXPECT_EQ(outcome.tasks[0], example["tasks"].int_at("A").value());
  EXPECT_EQ(outcome.tasks[1], example["tasks"].int_at("B").value());
  EXPECT_EQ(capacity - outcome.free, vector(example["used"]));
  // The tie at 0 goes to the lower name.
  EXPECT_EQ(outcome.picks, (std::vector<std::string>{"A", "B", "A", "B", "A"}));
}

TEST(DrfOrder, weight_two_halves_the_share_and_a_tie_goes_to_fewer_allocations) {
  const DrfOutcome outcome =
      serve(three(9, 18), {{.name = "A", .demand = three(1, 4), .weight_milli = 2000}, {.name = "B", .demand = three(3, 1)}});
  EXPECT_EQ(outcome.picks, (std::vector<std::string>{"A", "B", "A", "A", "B"}));
}

TEST(DrfOrder, divisible_tasks_give_neither_asset_fairness_nor_competitive_equilibrium) {
  // The running example with tasks of a thousandth: DRF gives 3 and 2 tasks, asset fairness 2.52 and 2.16, equal incomes 45/11 and 18/11.
  const DrfOutcome outcome = serve(three(9'000, 18'000), {{.name = "A", .demand = three(1, 4)}, {.name = "B", .demand = three(3, 1)}});
  EXPECT_NEAR(static_cast<double>(outcome.tasks[0]) / 1000, 3, 0.01);
  EXPECT_NEAR(static_cast<double>(outcome.tasks[1]) / 1000, 2, 0.01);
}

TEST(DrfOrder, user_gets_its_half_where_asset_fairness_denies_it) {
  // Asset fairness gives 6 and 12 tasks, and the second user less than half of everything.
  const DrfOutcome outcome = serve(three(30, 30), {{.name = "1", .demand = three(1, 3)}, {.name = "2", .demand = three(1, 1)}});
  EXPECT_EQ(outcome.tasks, (std::vector<std::int64_t>{5, 15}));
}

TEST(DrfOrder, jobs_that_ask_for_nothing_scarce_come_first_and_leave_shares_alone) {
  const DrfOutcome outcome = serve(three(4, 0), {{.name = "a", .demand = three(1, 0)}, {.name = "b", .demand = three(2, 0)}});
  EXPECT_EQ(outcome.tasks, (std::vector<std::int64_t>{2, 1}));
  testing::Scenario scenario;
  scenario.configure({.order = "drf", .backfill = "greedy"});
  scenario.nodes(1, {.cores = 1});
  const JobId first = scenario.submit({.user = "a"});
  const JobId free = scenario.submit({.cores = 0, .user = "a"});
  EXPECT_EQ(testing::started(scenario.run(TimePoint())), (std::vector{free, first}));
}

TEST(DrfOrder, user_whose_job_does_not_fit_is_out_and_others_go_on) {
  testing::Scenario scenario;
  scenario.configure({.order = "drf", .backfill = "greedy"});
  scenario.nodes(1, {.cores = 4});
  scenario.submit({.cores = 8, .tasks = 1, .user = "big"});
  scenario.submit({.cores = 5, .user = "a"});
  const JobId behind = scenario.submit({.cores = 1, .user = "a"});
  const JobId other = scenario.submit({.cores = 1, .user = "b"});
  scenario.nodes(1, {.cores = 8});
  scenario.running_on({.cores = 8, .user = "c"}, testing::tasks_on({{1, 1}}), TimePoint());
  EXPECT_EQ(testing::started(scenario.run(TimePoint())), std::vector{other});
  EXPECT_TRUE(scenario.is_pending(behind));
}

TEST(DrfOrder, higher_tier_comes_first_and_running_jobs_count) {
  testing::Scenario scenario;
  scenario.configure({.order = "drf", .backfill = "greedy"});
  scenario.nodes(1, {.cores = 10});
  scenario.running_on({.cores = 4, .user = "a"}, testing::tasks_on({{0, 1}}), TimePoint());
  const JobId a = scenario.submit({.cores = 1, .user = "a"});
  const JobId b1 = scenario.submit({.cores = 2, .user = "b"});
  const JobId b2 = scenario.submit({.cores = 2, .user = "b"});
  const JobId urgent = scenario.submit({.cores = 1, .user = "a", .tier = 1});
  EXPECT_EQ(testing::started(scenario.run(TimePoint())), (std::vector{urgent, b1, b2, a}));
}

// --- what DRF promises, with random demands that are small against the cluster, so that tasks are nearly divisible

/// A random problem.
struct DrfProblem {
  Amounts capacity;
  std::vector<DrfUser> users;
};

Amounts random_demand(Rng& rng, const Amounts& capacity) {
  Fractions fractions{};
  for (double& fraction : fractions) fraction = rng.below(4) == 0 ? 0 : rng.unit();
  fractions[rng.below(kKinds)] = 1;
  const double largest = 0.002 + 0.004 * rng.unit();
  Amounts demand;
  const std::array<std::size_t, kKinds> kinds{kCpu, kMemory, kExtended};
  for (std::size_t i = 0; i < kKinds; ++i) {
    demand[kinds[i]] = std::llround(fractions[i] * largest * static_cast<double>(capacity[kinds[i]]));
  }
  return demand;
}

DrfProblem random_problem(Rng& rng, bool weights) {
  const auto amount = [&rng] { return static_cast<std::int64_t>(1'000'000 + rng.below(1'000'000'000)); };
  DrfProblem problem{three(amount(), amount(), amount()), {}};
  const std::size_t count = 2 + rng.below(4);
  for (std::size_t i = 0; i < count; ++i) {
    problem.users.push_back({.name = "user" + std::to_string(i),
                             .demand = random_demand(rng, problem.capacity),
                             .weight_milli = weights ? static_cast<std::int64_t>(500 + rng.below(2500)) : 1000});
  }
  return problem;
}

double task_share(const DrfProblem& problem, const Amounts& demand) {
  double share = 0;
  for (const std::size_t kind : {kCpu, kMemory, kExtended}) {
    share = std::max(share, static_cast<double>(demand[kind]) / static_cast<double>(problem.capacity[kind]));
  }
  return share;
}

double grain(const DrfProblem& problem) {
  double grain = 0;
  for (const DrfUser& user : problem.users) grain = std::max(grain, task_share(problem, user.demand));
  return grain;
}

/// How many tasks of `demand` the bundle holds, in fractions of a task.
double tasks_in(const Amounts& bundle, const Amounts& demand) {
  double tasks = std::numeric_limits<double>::infinity();
  for (const std::size_t kind : {kCpu, kMemory, kExtended}) {
    if (demand[kind] > 0) tasks = std::min(tasks, static_cast<double>(bundle[kind]) / static_cast<double>(demand[kind]));
  }
  return tasks;
}

constexpr int kProblems = 40;

TEST(DrfOrder, nobody_gets_less_than_its_weighted_part_of_the_cluster) {
  const std::uint64_t seed = 1'101;
  SCOPED_TRACE("seed " + std::to_string(seed));
  SeededRng rng(seed);
  for (int round = 0; round < kProblems; ++round) {
    const DrfProblem problem = random_problem(rng, round % 2 == 1);
    const DrfOutcome outcome = serve(problem.capacity, problem.users);
    std::int64_t weights = 0;
    std::int64_t least = kUnlimited;
    for (const DrfUser& user : problem.users) {
      weights += user.weight_milli;
      least = std::min(least, user.weight_milli);
    }
    for (std::size_t i = 0; i < problem.users.size(); ++i) {
      const double share = static_cast<double>(outcome.tasks[i]) * task_share(problem, problem.users[i].demand);
      const double part = static_cast<double>(problem.users[i].weight_milli) / static_cast<double>(weights);
      const double slack = 2 * grain(problem) * static_cast<double>(problem.users[i].weight_milli) / static_cast<double>(least);
      EXPECT_GE(share, part - slack) << "round " << round << ", user " << i;
    }
  }
}

TEST(DrfOrder, nobody_envies_another_bundle) {
  const std::uint64_t seed = 1'102;
  SCOPED_TRACE("seed " + std::to_string(seed));
  SeededRng rng(seed);
  for (int round = 0; round < kProblems; ++round) {
    const DrfProblem problem = random_problem(rng, false);
    const DrfOutcome outcome = serve(problem.capacity, problem.users);
    for (std::size_t i = 0; i < problem.users.size(); ++i) {
      const Amounts& wish = problem.users[i].demand;
      const double share = static_cast<double>(outcome.tasks[i]) * task_share(problem, wish);
      for (std::size_t j = 0; j < problem.users.size(); ++j) {
        const Amounts other = problem.users[j].demand * outcome.tasks[j];
        EXPECT_LE(tasks_in(other, wish) * task_share(problem, wish), share + 3 * grain(problem))
            << "round " << round << ": " << i << ", " << j;
      }
    }
  }
}

TEST(DrfOrder, nobody_could_get_one_more_task_without_taking_it_from_another) {
  const std::uint64_t seed = 1'103;
  SCOPED_TRACE("seed " + std::to_string(seed));
  SeededRng rng(seed);
  for (int round = 0; round < kProblems; ++round) {
    const DrfProblem problem = random_problem(rng, round % 2 == 1);
    const DrfOutcome outcome = serve(problem.capacity, problem.users);
    for (std::size_t i = 0; i < problem.users.size(); ++i) {
      EXPECT_FALSE(problem.users[i].demand.fits_in(outcome.free)) << "round " << round << ", user " << i;
    }
  }
}

TEST(DrfOrder, nobody_gains_by_asking_for_something_else) {
  const std::uint64_t seed = 1'104;
  SCOPED_TRACE("seed " + std::to_string(seed));
  SeededRng rng(seed);
  for (int round = 0; round < kProblems; ++round) {
    const DrfProblem truth = random_problem(rng, false);
    DrfProblem lie = truth;
    lie.users[0].demand = random_demand(rng, truth.capacity);
    const Amounts& wish = truth.users[0].demand;
    const double honest = static_cast<double>(serve(truth.capacity, truth.users).tasks[0]) * task_share(truth, wish);
    const Amounts bundle = lie.users[0].demand * serve(lie.capacity, lie.users).tasks[0];
    const double gained = tasks_in(bundle, wish) * task_share(truth, wish);
    EXPECT_LE(gained, honest + 3 * std::max(grain(truth), grain(lie))) << "round " << round;
  }
}

}  // namespace
}  // namespace trainyard::sched
