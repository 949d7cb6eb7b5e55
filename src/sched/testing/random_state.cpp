#include "sched/testing/random_state.h"

#include <algorithm>
#include <cmath>

#include "sched/policy.h"

namespace trainyard::sched::testing {
namespace {

using namespace std::chrono_literals;

/// One draw after another, in words.
class Draw {
 public:
  explicit Draw(Rng& rng) : rng_(rng) {}

  bool one_in(std::uint64_t n) { return rng_.below(n) == 0; }
  std::int64_t between(std::int64_t least, std::int64_t most) {
    return least + static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(most - least + 1)));
  }
  std::size_t count(std::size_t least, std::size_t most, bool full) {
    if (full) return most;
    return static_cast<std::size_t>(between(static_cast<std::int64_t>(least), static_cast<std::int64_t>(std::max(least, most))));
  }
  template <typename List>
  auto of(const List& list) -> decltype(list[0]) {
    return list[rng_.below(std::size(list))];
  }
  Duration seconds(std::int64_t least, std::int64_t most) { return std::chrono::seconds(between(least, most)); }

 private:
  Rng& rng_;
};

NodeSpec random_class(Draw& draw, const RandomStateSettings& settings) {
  static constexpr std::int64_t kCores[] = {1, 4, 8, 8, 16};
  static constexpr std::int64_t kGpus[] = {0, 0, 1, 2, 4, 8};
  static const std::string kModels[] = {"a100", "h200", "t4"};
  NodeSpec spec;
  spec.cores = draw.of(kCores);
  spec.memory_gib = spec.cores * draw.between(1, 4);
  if (settings.gpus) spec.gpus = draw.of(kGpus);
  if (spec.gpus > 0) spec.gpu_model = draw.of(kModels);
  if (draw.one_in(4)) spec.extended["licence"] = draw.between(1, 3);
  return spec;
}

std::vector<RandomNode> random_nodes(Draw& draw, const RandomStateSettings& settings) {
  std::vector<NodeSpec> classes;
  for (std::int64_t i = draw.between(1, 3); i > 0; --i) classes.push_back(random_class(draw, settings));
  const std::size_t count = draw.count(1, settings.nodes_max, settings.full);
  std::vector<RandomNode> nodes;
  for (std::size_t i = 0; i < count; ++i) {
    RandomNode node{.name = "n" + std::to_string(i), .spec = draw.of(classes)};
    if (settings.constraints) {
      node.spec.rack = draw.one_in(5) ? "" : "r" + std::to_string(draw.between(0, 2));
      node.spec.switch_name = "s" + std::to_string(draw.between(0, 1));
      if (draw.one_in(2)) node.spec.labels["zone"] = draw.one_in(2) ? "a" : "b";
      if (draw.one_in(8)) node.spec.taints = {"spot"};
      if (draw.one_in(8)) node.spec.pool = "other";
    }
    node.drained = settings.node_trouble && draw.one_in(12);
    node.ready = !settings.node_trouble || !draw.one_in(12);
    nodes.push_back(std::move(node));
  }
  return nodes;
}

template <typename Policy>
std::string policy_name(Draw& draw, const std::string& fixed, std::span<const Policy* const> table) {
  return fixed.empty() ? draw.of(table)->info().name : fixed;
}

/// Now and then a parameter near its fallback.
void random_parameters(Draw& draw, const PolicyInfo& info, PolicyParameters& parameters) {
  for (const ParameterInfo& parameter : info.parameters) {
    if (!draw.one_in(3)) continue;
    const double value = std::floor(parameter.fallback) + static_cast<double>(draw.between(-1, 2));
    parameters[parameter.name] = std::clamp(value, parameter.least, parameter.most);
  }
}

void random_quota(Draw& draw, QueueSettings& queue) {
  const auto quota = [&draw](Amounts amounts, std::int64_t most) {
    if (draw.one_in(2)) amounts[kCpu] = draw.between(0, most) * 1000;
    if (draw.one_in(4)) amounts[kGpu] = draw.between(0, most / 2) * 1000;
    return amounts;
  };
  if (draw.one_in(2)) queue.nominal = quota(Amounts::unlimited(), 16);
  if (queue.nominal && draw.one_in(2)) queue.borrow_limit = quota(queue.borrow_limit, 8);
  if (queue.nominal && draw.one_in(2)) queue.lend_limit = quota(queue.lend_limit, 8);
  if (draw.one_in(5)) queue.running_jobs_max = draw.between(0, 4);
  if (draw.one_in(5)) queue.running_jobs_per_user_max = draw.between(0, 3);
}

QueueSettings random_leaf(Draw& draw, const RandomStateSettings& settings) {
  QueueSettings queue;
  queue.order = policy_name(draw, settings.order, order_policies());
  queue.backfill = policy_name(draw, settings.backfill, backfill_policies());
  queue.placement = policy_name(draw, settings.placement, placement_policies());
  random_parameters(draw, find_order_policy(queue.order).value()->info(), queue.parameters);
  random_parameters(draw, find_backfill_policy(queue.backfill).value()->info(), queue.parameters);
  if (settings.gates && draw.one_in(10)) queue.state = draw.one_in(2) ? QueueSettings::State::kStopped : QueueSettings::State::kDraining;
  if (settings.preemption && draw.one_in(2)) {
    queue.preemption.enabled = true;
    queue.preemption.grace = draw.seconds(0, 60);
    queue.preemption.minimum_run_time = draw.seconds(0, 20);
  }
  return queue;
}

std::vector<QueueSettings> random_queues(Draw& draw, const RandomStateSettings& settings) {
  const std::size_t leaves = draw.count(1, settings.queues_max, settings.full);
  std::vector<QueueSettings> queues;
  const std::size_t cohorts = leaves < 2 ? 0 : draw.count(0, (leaves + 1) / 2, false);
  for (std::size_t i = 0; i < cohorts; ++i) {
    QueueSettings cohort{.name = "cohort" + std::to_string(i)};
    if (i > 0 && draw.one_in(3)) cohort.parent = "cohort" + std::to_string(draw.between(0, static_cast<std::int64_t>(i) - 1));
    cohort.weight_milli = draw.between(1, 3) * 1000;
    if (settings.quotas && draw.one_in(3)) random_quota(draw, cohort);
    queues.push_back(std::move(cohort));
  }
  for (std::size_t i = 0; i < leaves; ++i) {
    QueueSettings leaf = random_leaf(draw, settings);
    leaf.name = "q" + std::to_string(i);
    leaf.weight_milli = draw.between(1, 4) * 500;
    if (cohorts > 0 && !draw.one_in(3)) leaf.parent = "cohort" + std::to_string(draw.between(0, static_cast<std::int64_t>(cohorts) - 1));
    if (settings.quotas) random_quota(draw, leaf);
    queues.push_back(std::move(leaf));
  }
  return queues;
}

void random_constraints(Draw& draw, const NodeSpec& near, Constraints& constraints) {
  if (draw.one_in(6) && !near.gpu_model.empty()) constraints.gpu_models = {near.gpu_model};
  if (draw.one_in(8)) constraints.required.push_back({.key = "zone", .op = LabelRule::Op::kIn, .values = {"a"}});
  if (draw.one_in(12)) constraints.required.push_back({.key = "zone", .op = LabelRule::Op::kMissing, .values = {}});
  if (draw.one_in(8)) constraints.preferred.push_back({.rule = {.key = "zone", .op = LabelRule::Op::kExists, .values = {}}, .weight = 2});
  if (draw.one_in(4)) constraints.tolerations = {"spot"};
  if (draw.one_in(12)) constraints.pool = near.pool;
  if (draw.one_in(8)) constraints.tasks_per_node_max = static_cast<std::int32_t>(draw.between(1, 2));
  if (draw.one_in(6)) {
    static constexpr TopologyLevel kLevels[] = {TopologyLevel::kRack, TopologyLevel::kSwitch, TopologyLevel::kNode};
    constraints.within = draw.of(kLevels);
    constraints.within_required = draw.one_in(2);
  }
}

/// A job that asks for part of what one of the nodes has, now and then for more.
JobSpec random_shape(Draw& draw, const std::vector<RandomNode>& nodes, const RandomStateSettings& settings) {
  static constexpr std::int32_t kMilli[] = {100, 250, 500, 700};
  const NodeSpec& near = draw.of(nodes).spec;
  JobSpec spec;
  spec.cores = draw.one_in(20) ? near.cores + 1 : draw.between(0, near.cores);
  if (draw.one_in(4)) spec.milli_cores = draw.between(0, 999);
  if (draw.one_in(3)) spec.memory_gib = draw.between(0, near.memory_gib);
  if (near.gpus > 0 && !draw.one_in(3)) {
    spec.gpus = static_cast<std::int32_t>(draw.between(1, near.gpus));
    if (draw.one_in(3)) spec.gpus = 1, spec.gpu_milli = draw.of(kMilli);
    if (!draw.one_in(4)) spec.cores = std::min<std::int64_t>(spec.cores, 1);
  }
  if (!near.extended.empty() && draw.one_in(3)) spec.extended["licence"] = 1;
  if (spec.cores == 0 && spec.milli_cores == 0 && spec.gpus == 0) spec.milli_cores = 500;
  if (settings.gangs && draw.one_in(3)) spec.tasks = static_cast<std::int32_t>(draw.between(2, 6));
  if (settings.constraints) random_constraints(draw, near, spec.constraints);
  return spec;
}

RandomJob random_job(Draw& draw, const JobSpec& shape, const Recipe& recipe, const RandomStateSettings& settings) {
  RandomJob job{.spec = shape};
  JobSpec& spec = job.spec;
  spec.queue = draw.of(recipe.queues).name;
  spec.user = "u" + std::to_string(draw.between(0, static_cast<std::int64_t>(settings.users_max) - 1));
  spec.walltime = draw.one_in(10) ? kForever : draw.seconds(1, 60);
  job.runtime = draw.one_in(3) ? draw.seconds(1, 90) : std::min<Duration>(spec.walltime, draw.seconds(1, 60));
  if (draw.one_in(4)) spec.estimate = job.runtime;
  if (draw.one_in(4)) spec.tier = static_cast<std::int32_t>(draw.between(0, 2));
  if (draw.one_in(3)) spec.priority = draw.between(-5, 5);
  if (draw.one_in(6)) spec.deadline = at(draw.seconds(1, 200));
  if (draw.one_in(3)) spec.restart_cost = draw.seconds(0, 60);
  if (draw.one_in(3)) spec.checkpoint_cost = draw.seconds(1, 20);
  spec.preemptible = !draw.one_in(5);
  if (settings.elastic && spec.tasks > 1 && draw.one_in(2)) spec.tasks_min = static_cast<std::int32_t>(draw.between(1, spec.tasks));
  if (!settings.gates) return job;
  spec.held = draw.one_in(16);
  if (draw.one_in(12)) spec.eligible_at = at(draw.seconds(0, 100));
  if (draw.one_in(16)) spec.waits_for = {JobId(draw.one_in(2) ? 1 : 1'000'000)};
  return job;
}

}  // namespace

Recipe random_recipe(Rng& rng, const RandomStateSettings& settings, Duration span) {
  Draw draw(rng);
  Recipe recipe;
  recipe.nodes = random_nodes(draw, settings);
  recipe.queues = random_queues(draw, settings);
  recipe.sharing.policy = policy_name(draw, settings.share, share_policies());
  if (draw.one_in(3)) recipe.sharing.half_life = Duration(0);
  recipe.sharing.seed = static_cast<std::uint64_t>(draw.between(1, 1000));

  std::vector<JobSpec> shapes;
  for (std::size_t i = draw.count(1, settings.shapes_max, settings.full); i > 0; --i) {
    shapes.push_back(random_shape(draw, recipe.nodes, settings));
  }
  const std::size_t running = draw.count(0, settings.running_max, settings.full);
  const std::size_t total = running + draw.count(1, settings.pending_max, settings.full);
  for (std::size_t i = 0; i < total; ++i) {
    RandomJob job = random_job(draw, draw.of(shapes), recipe, settings);
    job.spec.id = JobId(i + 1);
    job.placed = i < running;
    if (!job.placed && span > Duration(0)) job.submit_at = draw.one_in(3) ? Duration(0) : draw.seconds(0, span / 1s);
    job.spec.queued_at = at(job.submit_at);
    recipe.jobs.push_back(std::move(job));
  }
  std::stable_sort(recipe.jobs.begin(), recipe.jobs.end(),
                   [](const RandomJob& a, const RandomJob& b) { return a.submit_at < b.submit_at; });
  return recipe;
}

Scenario random_scenario(std::uint64_t seed, const RandomStateSettings& settings) {
  SeededRng rng(seed);
  return build(random_recipe(rng, settings));
}

}  // namespace trainyard::sched::testing
