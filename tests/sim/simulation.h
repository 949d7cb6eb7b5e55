#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/clients.h"
#include "tests/sim/sim_node.h"

namespace trainyard::sim_test {

struct SimulationSettings {
  std::int64_t nodes = 3;
  Clients::Settings clients;
  SimServer::Settings server;
  SimLedger::Settings ledger;
  SimLogStore::Settings logs;
  SimNode::Settings node;
  Duration fault_span{150'000'000};  ///< Faults happen during this span; then everything heals.
  Duration fault_every_max{12'000'000};
  Duration drain_span{200'000'000};     ///< Then one node is drained for so long.
  Duration settle_span{1'800'000'000};  ///< By then every job must have ended.
};

struct SimulationOutcome {
  std::uint64_t seed = 0;
  std::vector<std::string> violations;
  std::vector<std::string> tail;  ///< What happened last before the first of them.
  std::string trace_hash;
  std::size_t jobs = 0;
  std::size_t server_kills = 0;
  std::size_t takeovers = 0;  ///< Of servers that slept and woke.
};

/// One run of the whole control plane in one thread. Equal seeds and settings give equal runs.
class Simulation {
 public:
  Simulation(std::uint64_t seed, SimulationSettings settings);
  SimulationOutcome run();

 private:
  void schedule_fault();
  void next_fault();
  void add_node(std::int64_t cores);
  void replace(SimNode& node);
  void order_nodes();
  void note_waits();
  bool settled();

  const std::uint64_t seed_;
  const SimulationSettings settings_;
  World world_;
  SimLogStore logs_;
  SimServer server_;
  std::vector<std::unique_ptr<SimNode>> nodes_;
  std::size_t takeovers_ = 0;
  Clients clients_;
};

}  // namespace trainyard::sim_test
