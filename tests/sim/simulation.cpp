#include "tests/sim/simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace trainyard::sim_test {

using namespace std::chrono_literals;

Simulation::Simulation(std::uint64_t seed, SimulationSettings settings)
    : seed_(seed),
      settings_(settings),
      world_(seed),
      logs_(world_, settings_.logs),
      server_(world_, logs_, settings_.server, settings_.ledger),
      clients_(world_, server_, settings_.clients) {
  for (std::int64_t i = 0; i < settings_.nodes; ++i) {
    // Every job fits on the nodes together, so that none waits for ever.
    add_node(settings_.clients.cores_max + world_.number(0, 4));
  }
}

void Simulation::schedule_fault() {
  world_.after(world_.between(500ms, settings_.fault_every_max), [this] {
    if (!world_.faults) return;
    next_fault();
    schedule_fault();
  });
}

void Simulation::next_fault() {
  SimNode& node = *nodes_[world_.rng.below(nodes_.size())];
  switch (world_.rng.below(14)) {
    case 0:
    case 1:
      return server_.kill("by a fault");
    case 2:
      world_.history.note("cut off: " + node.name().text);
      return node.partition(world_.between(100ms, 40s));
    case 3:
      return node.reboot(world_.between(100ms, 30s));
    case 4:
      return replace(node);
    case 5:
      return node.kill_agent("by a fault");
    case 6:
      return node.kill_warden();
    case 7:
      node.kill_agent("with its server");
      return server_.kill("with an agent");
    case 8:
    case 9:
      ++takeovers_;
      return server_.replace_while_asleep();
    case 10:
      return server_.order(node.name(), exec::NodeState::kCordoned);
    case 11:
      return server_.order(node.name(), exec::NodeState::kDraining);
    case 12:
      return order_nodes();
    default:
      world_.history.note("the wall clock steps");
      world_.clock.step_wall_clock(world_.between(-1h, 1h));
  }
}

void Simulation::add_node(std::int64_t cores) {
  nodes_.push_back(std::make_unique<SimNode>(world_, server_, settings_.node, NodeName{fmt::format("node-{}", nodes_.size())},
                                             Resources{cores * 1000, 64LL << 30, 0}));
}

/// The host is gone for good, as a spot instance; another one with as much room takes its place.
void Simulation::replace(SimNode& node) {
  if (node.is_retired()) return;
  const std::int64_t cores = node.capacity().milli_cpu / 1000;
  node.retire();
  add_node(cores);
}

/// Every node is to be used again.
void Simulation::order_nodes() {
  for (const auto& node : nodes_) server_.order(node->name(), exec::NodeState::kReady);
}

/// For the trace: why jobs wait that should have ended.
void Simulation::note_waits() {
  (void)server_.request([this](const ServerParts& parts) {
    const Result<std::vector<store::JobRecord>> all = parts.ledger.list(JobId(), std::size_t{1} << 30);
    for (const store::JobRecord& record : *all) {
      const Result<sched::Explanation> why = record.live ? parts.jobs.explain(record.id) : Result<sched::Explanation>(not_found("", ""));
      if (why.ok()) world_.history.note(fmt::format("job {} waits: {}", record.id.value, why->message));
    }
    for (const exec::NodeView& node : parts.pool.nodes()) {
      world_.history.note(fmt::format("{}: {} {}", node.name.text, node.ready ? "heard of" : "silent", name_of(node.state)));
    }
  });
}

bool Simulation::settled() {
  if (!clients_.all_answered() || server_.has_live_jobs()) return false;
  return std::all_of(nodes_.begin(), nodes_.end(), [](const auto& node) { return node->rank_count() == 0; });
}

SimulationOutcome Simulation::run() {
  server_.boot();
  schedule_fault();
  world_.executor.advance(settings_.fault_span);

  world_.history.tell(Healed{});
  world_.faults = false;
  for (const auto& node : nodes_) node->heal();
  // One node stays out of use until everything has left it.
  order_nodes();
  SimNode& drained = *nodes_[world_.rng.below(nodes_.size())];
  server_.order(drained.name(), exec::NodeState::kDraining);
  clients_.heal();
  world_.after(settings_.drain_span, [this] { order_nodes(); });
  const MonotonicPoint deadline = world_.clock.monotonic_now() + settings_.settle_span;
  while (!settled() && world_.clock.monotonic_now() < deadline) world_.executor.advance(10s);
  note_waits();
  // The last news reaches its listeners.
  world_.executor.advance(10s);
  world_.history.tell(Finished{});

  SimulationOutcome outcome;
  outcome.seed = seed_;
  outcome.violations = world_.history.violations();
  outcome.tail = world_.history.tail();
  outcome.trace_hash = world_.history.trace_hash();
  outcome.jobs = clients_.acknowledged();
  outcome.server_kills = server_.kills();
  outcome.takeovers = takeovers_;
  return outcome;
}

}  // namespace trainyard::sim_test
