#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "sched/testing/scenario.h"

namespace trainyard::sched::testing {

/// How large and how varied random states are. Sizes are upper bounds unless `full` is set.
struct RandomStateSettings {
  std::size_t nodes_max = 6;
  std::size_t queues_max = 4;  ///< Leaves; about half as many cohorts come on top.
  std::size_t users_max = 3;
  std::size_t shapes_max = 8;  ///< Different demands and constraints among the jobs.
  std::size_t running_max = 6;
  std::size_t pending_max = 12;
  bool full = false;  ///< As large as the bounds allow.
  bool gpus = true;
  bool constraints = true;  ///< Labels, taints, GPU models, racks, tasks per node.
  bool gangs = true;
  bool elastic = false;
  bool quotas = true;        ///< Also limits of running jobs.
  bool gates = true;         ///< Held jobs, dependencies, backoff, stopped queues.
  bool node_trouble = true;  ///< Drained and lost nodes.
  bool preemption = false;
  // Names of policies; empty: one of the table, drawn for each queue.
  std::string order;
  std::string backfill;
  std::string placement;
  std::string share;
};

struct RandomNode {
  std::string name;
  NodeSpec spec;
  bool ready = true;
  bool drained = false;
};

/// `submit_at` counts from the start of the scenario. A job with `placed` runs from time 0 on the first nodes with room, or waits when
/// there are none.
struct RandomJob {
  JobSpec spec;
  Duration submit_at{0};
  Duration runtime{0};
  bool placed = false;
};

/// What a random state is built from: lists that a failing test can shorten. What refers to a missing line is built without it.
struct Recipe {
  std::vector<RandomNode> nodes;
  std::vector<QueueSettings> queues;  ///< Parents before children.
  SharingSettings sharing;
  std::vector<RandomJob> jobs;  ///< In the order of submission.
};

/// Draws a recipe. Arrivals lie within `span`; 0: everything is there at the start.
Recipe random_recipe(Rng& rng, const RandomStateSettings& settings, Duration span = Duration(0));

/// Nodes and queues, and jobs that run; of the others those for which `submitted` holds.
Scenario build(const Recipe& recipe, const std::function<bool(const RandomJob&)>& submitted);
/// With every job.
Scenario build(const Recipe& recipe);
/// The job of the recipe as its queue takes it, be it renamed or gone.
JobSpec spec_for(const Scenario& scenario, const JobSpec& spec);

/// A state in one step.
Scenario random_scenario(std::uint64_t seed, const RandomStateSettings& settings);

/// Drops jobs, nodes and queues and simplifies what is left as long as `fails` stays true. `fails(recipe)` must be true at the start.
Recipe shrink(Recipe recipe, const std::function<bool(const Recipe&)>& fails);

/// One line per node, queue and job.
std::string describe(const Recipe& recipe);

}  // namespace trainyard::sched::testing
