#include <fmt/format.h>

#include <algorithm>

#include "sched/testing/random_state.h"

namespace trainyard::sched::testing {
namespace {

/// Tasks on the first nodes that take them, lowest first; none when not all fit.
std::optional<Placement> first_fit(const SchedulerState& state, const JobSnapshot& job) {
  Placement placement;
  std::int32_t left = job.tasks;
  for (NodeIndex index = 0; index < state.cluster.nodes().size(); ++index) {
    const NodeState& node = state.cluster.node(index);
    if (job.constraints && !allows(*node.info, *job.constraints)) continue;
    if (!job.constraints && !node.info->taints.empty()) continue;
    NodeFree free = node.free;
    for (; left > 0 && free.slots(job.demand, 1) > 0; --left) {
      TaskPlace place{.node = index, .tasks = 1, .devices = 0};
      const DeviceMask fitting = free.devices_with(job.demand.gpu_milli);
      for (std::size_t d = 0; d < kDevicesMax && std::popcount(place.devices) < job.demand.gpus; ++d) {
        place.devices = static_cast<DeviceMask>(place.devices | (fitting & 1U << d));
      }
      free.take(job.demand, 1, place.devices);
      placement.push_back(place);
    }
  }
  if (left > 0) return std::nullopt;
  return placement;
}

/// Equal places of one node become one.
Placement merged(const Placement& placement, bool shares) {
  Placement merged;
  for (const TaskPlace& place : placement) {
    TaskPlace* last = merged.empty() ? nullptr : &merged.back();
    if (last != nullptr && last->node == place.node && (!shares || last->devices == place.devices)) {
      last->tasks += 1;
      last->devices = static_cast<DeviceMask>(last->devices | place.devices);
    } else {
      merged.push_back(place);
    }
  }
  return merged;
}

QueueSettings with_known_parent(const Scenario& scenario, QueueSettings settings) {
  if (!settings.parent.empty() && !scenario.state.queue.find_queue(settings.parent)) settings.parent.clear();
  return settings;
}

/// Tries the recipe without every stretch of `list`, long ones first.
template <typename List>
bool drop_some(Recipe& recipe, List Recipe::*list, const std::function<bool(const Recipe&)>& fails) {
  bool shorter = false;
  for (std::size_t length = std::max<std::size_t>(1, (recipe.*list).size() / 2); length > 0; length /= 2) {
    for (std::size_t from = 0; from + length <= (recipe.*list).size();) {
      Recipe smaller = recipe;
      const auto begin = (smaller.*list).begin() + static_cast<std::ptrdiff_t>(from);
      (smaller.*list).erase(begin, begin + static_cast<std::ptrdiff_t>(length));
      if (fails(smaller)) {
        recipe = std::move(smaller);
        shorter = true;
      } else {
        from += length;
      }
    }
  }
  return shorter;
}

bool keep_if_it_fails(Recipe& recipe, const Recipe& simpler, const std::function<bool(const Recipe&)>& fails) {
  if (describe(simpler) == describe(recipe) || !fails(simpler)) return false;
  recipe = simpler;
  return true;
}

bool simplify_jobs(Recipe& recipe, const std::function<bool(const Recipe&)>& fails) {
  using Change = void (*)(RandomJob&);
  static constexpr Change kChanges[] = {
      [](RandomJob& job) { job.spec.constraints = {}; },  [](RandomJob& job) { job.spec.tasks = 1, job.spec.tasks_min = 0; },
      [](RandomJob& job) { job.spec.tasks_min = 0; },     [](RandomJob& job) { job.spec.gpus = 0; },
      [](RandomJob& job) { job.spec.memory_gib = 0; },    [](RandomJob& job) { job.spec.milli_cores = 0; },
      [](RandomJob& job) { job.spec.cores = 1; },         [](RandomJob& job) { job.spec.extended.clear(); },
      [](RandomJob& job) { job.spec.tier = 0; },          [](RandomJob& job) { job.spec.priority = 0; },
      [](RandomJob& job) { job.spec.user = "u0"; },       [](RandomJob& job) { job.spec.held = false; },
      [](RandomJob& job) { job.spec.waits_for.clear(); }, [](RandomJob& job) { job.spec.eligible_at = {}; },
      [](RandomJob& job) { job.spec.deadline = kNever; },
  };
  bool simpler = false;
  for (std::size_t i = 0; i < recipe.jobs.size(); ++i) {
    for (const Change change : kChanges) {
      Recipe changed = recipe;
      change(changed.jobs[i]);
      simpler |= keep_if_it_fails(recipe, changed, fails);
    }
  }
  return simpler;
}

bool simplify_queues_and_nodes(Recipe& recipe, const std::function<bool(const Recipe&)>& fails) {
  using Change = void (*)(QueueSettings&);
  static constexpr Change kChanges[] = {
      [](QueueSettings& queue) { queue.nominal.reset(); },
      [](QueueSettings& queue) { queue.borrow_limit = queue.lend_limit = Amounts::unlimited(); },
      [](QueueSettings& queue) { queue.running_jobs_max = queue.running_jobs_per_user_max = kUnlimited; },
      [](QueueSettings& queue) { queue.parameters.clear(); },
      [](QueueSettings& queue) { queue.placement = "first_fit"; },
      [](QueueSettings& queue) { queue.order = "fifo", queue.parameters.clear(); },
      [](QueueSettings& queue) { queue.preemption = {}; },
      [](QueueSettings& queue) { queue.state = QueueSettings::State::kOpen; },
      [](QueueSettings& queue) { queue.parent.clear(); },
      [](QueueSettings& queue) { queue.weight_milli = 1000; },
  };
  bool simpler = false;
  for (std::size_t i = 0; i < recipe.queues.size(); ++i) {
    for (const Change change : kChanges) {
      Recipe changed = recipe;
      change(changed.queues[i]);
      simpler |= keep_if_it_fails(recipe, changed, fails);
    }
  }
  for (std::size_t i = 0; i < recipe.nodes.size(); ++i) {
    Recipe changed = recipe;
    const NodeSpec& spec = changed.nodes[i].spec;
    changed.nodes[i] = {.name = changed.nodes[i].name, .spec = {.cores = spec.cores, .memory_gib = spec.memory_gib, .gpus = spec.gpus}};
    simpler |= keep_if_it_fails(recipe, changed, fails);
  }
  return simpler;
}

std::string text_of(const Amounts& amounts) {
  std::string text;
  for (std::size_t kind = 0; kind < kAmountKinds; ++kind) {
    text += (kind > 0 ? "," : "") + (amounts[kind] == kUnlimited ? std::string("-") : std::to_string(amounts[kind]));
  }
  return text;
}

std::string text_of(const Constraints& constraints) {
  std::string text;
  if (!constraints.pool.empty()) text += " pool=" + constraints.pool;
  for (const std::string& model : constraints.gpu_models) text += " model=" + model;
  for (const LabelRule& rule : constraints.required) text += fmt::format(" rule={}/{}", rule.key, static_cast<int>(rule.op));
  for (const PreferredRule& rule : constraints.preferred)
    text += fmt::format(" prefers={}/{}", rule.rule.key, static_cast<int>(rule.rule.op));
  for (const std::string& taint : constraints.tolerations) text += " tolerates=" + taint;
  if (constraints.tasks_per_node_max > 0) text += fmt::format(" per_node<={}", constraints.tasks_per_node_max);
  if (constraints.within != TopologyLevel::kCluster) {
    text += fmt::format(" within={}{}", static_cast<int>(constraints.within), constraints.within_required ? "" : "?");
  }
  return text;
}

std::string seconds(Duration duration) {
  return duration == kForever ? "-" : fmt::format("{}", static_cast<double>(duration.count()) / 1e6);
}

std::string seconds(TimePoint time) { return time == kNever ? "-" : seconds(time.time_since_epoch()); }

std::string text_of(const RandomNode& node) {
  const NodeSpec& spec = node.spec;
  std::string text = fmt::format("node {}: {} cores, {} GiB, {} gpus {} pool={} rack={}/{}", node.name, spec.cores, spec.memory_gib,
                                 spec.gpus, spec.gpu_model, spec.pool, spec.rack, spec.switch_name);
  for (const auto& [name, amount] : spec.extended) text += fmt::format(" {}={}", name, amount);
  for (const auto& [key, value] : spec.labels) text += fmt::format(" {}={}", key, value);
  for (const std::string& taint : spec.taints) text += " taint=" + taint;
  return text + (node.ready ? "" : " lost") + (node.drained ? " drained" : "") + "\n";
}

std::string text_of(const QueueSettings& queue) {
  std::string text = fmt::format("queue {}/{}: {} {} {} weight={}", queue.parent, queue.name, queue.order, queue.backfill, queue.placement,
                                 queue.weight_milli);
  for (const auto& [name, value] : queue.parameters) text += fmt::format(" {}={}", name, value);
  if (queue.nominal) text += " nominal=" + text_of(*queue.nominal);
  if (!(queue.borrow_limit == Amounts::unlimited())) text += " borrow=" + text_of(queue.borrow_limit);
  if (!(queue.lend_limit == Amounts::unlimited())) text += " lend=" + text_of(queue.lend_limit);
  if (queue.running_jobs_max != kUnlimited) text += fmt::format(" jobs<={}", queue.running_jobs_max);
  if (queue.running_jobs_per_user_max != kUnlimited) text += fmt::format(" per_user<={}", queue.running_jobs_per_user_max);
  if (queue.preemption.enabled) text += " preempts grace=" + seconds(queue.preemption.grace);
  return text + fmt::format(" state={}\n", static_cast<int>(queue.state));
}

std::string text_of(const RandomJob& job) {
  const JobSpec& spec = job.spec;
  std::string text = fmt::format("job {} {} user={} queue={}: {} x ({}+{}m cores, {} GiB, {} x {}m gpu", spec.id.value,
                                 job.placed ? "runs" : "at " + seconds(job.submit_at), spec.user, spec.queue, spec.tasks, spec.cores,
                                 spec.milli_cores, spec.memory_gib, spec.gpus, spec.gpu_milli);
  for (const auto& [name, amount] : spec.extended) text += fmt::format(", {} {}", amount, name);
  text +=
      fmt::format(") walltime={} runtime={} tier={} priority={}", seconds(spec.walltime), seconds(job.runtime), spec.tier, spec.priority);
  if (spec.tasks_min > 0) text += fmt::format(" tasks>={}", spec.tasks_min);
  if (spec.deadline != kNever) text += " deadline=" + seconds(spec.deadline);
  if (spec.eligible_at > at(job.submit_at)) text += " eligible=" + seconds(spec.eligible_at);
  for (const JobId id : spec.waits_for) text += fmt::format(" waits_for={}", id.value);
  return text + (spec.held ? " held" : "") + (spec.preemptible ? "" : " not preemptible") + text_of(spec.constraints) + "\n";
}

}  // namespace

JobSpec spec_for(const Scenario& scenario, const JobSpec& spec) {
  const QueueSnapshot& queue = scenario.state.queue;
  JobSpec known = spec;
  const std::optional<QueueIndex> index = queue.find_queue(spec.queue);
  if (index && queue.queue(*index).leaf()) return known;
  const auto leaf = std::find_if(queue.queues().begin(), queue.queues().end(), [](const QueueState& state) { return state.leaf(); });
  known.queue = leaf->settings.name;
  return known;
}

Scenario build(const Recipe& recipe, const std::function<bool(const RandomJob&)>& submitted) {
  Scenario scenario;
  scenario.state.queue.sharing = recipe.sharing;
  for (const RandomNode& node : recipe.nodes) {
    const NodeIndex index = scenario.node(node.name, node.spec);
    scenario.state.cluster.set_ready(index, node.ready);
    scenario.state.cluster.set_drained(index, node.drained);
  }
  for (const QueueSettings& settings : recipe.queues) scenario.queue(with_known_parent(scenario, settings));
  for (const RandomJob& job : recipe.jobs) {
    if (!job.placed && !submitted(job)) continue;
    const JobId id = scenario.submit(spec_for(scenario, job.spec));
    if (!job.placed) continue;
    const std::optional<Placement> placement = first_fit(scenario.state, scenario.waiting(id));
    if (!placement) continue;
    const Demand& demand = scenario.waiting(id).demand;
    scenario.state.start({.job = id, .nodes = merged(*placement, demand.gpus == 1 && demand.gpu_milli < 1000)}, at(Duration(0)));
  }
  return scenario;
}

Scenario build(const Recipe& recipe) {
  return build(recipe, [](const RandomJob&) { return true; });
}

Recipe shrink(Recipe recipe, const std::function<bool(const Recipe&)>& fails) {
  const auto fails_built = [&fails](const Recipe& smaller) { return !smaller.nodes.empty() && fails(smaller); };
  constexpr int kRoundsMax = 10;
  bool smaller = true;
  for (int round = 0; smaller && round < kRoundsMax; ++round) {
    smaller = drop_some(recipe, &Recipe::jobs, fails_built);
    smaller |= drop_some(recipe, &Recipe::nodes, fails_built);
    smaller |= drop_some(recipe, &Recipe::queues, fails_built);
    smaller |= simplify_jobs(recipe, fails_built);
    smaller |= simplify_queues_and_nodes(recipe, fails_built);
  }
  return recipe;
}

std::string describe(const Recipe& recipe) {
  std::string text =
      fmt::format("sharing {} half_life={} seed={}\n", recipe.sharing.policy, seconds(recipe.sharing.half_life), recipe.sharing.seed);
  for (const RandomNode& node : recipe.nodes) text += text_of(node);
  for (const QueueSettings& queue : recipe.queues) text += text_of(queue);
  for (const RandomJob& job : recipe.jobs) text += text_of(job);
  return text;
}

}  // namespace trainyard::sched::testing
