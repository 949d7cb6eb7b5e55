#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "sched/cluster.h"
#include "sim/text_input.h"

namespace trainyard::sim {

constexpr std::int64_t kHostsMax = 1'000'000;

/// One node of a simulated cluster.
struct MachineNode {
  std::string name;
  std::int64_t procs = 1;
  std::int64_t gpus = 0;
  std::int64_t mem_mib = 0;  ///< 0: not limited.
  std::string gpu_model;
  std::string rack;

  bool operator==(const MachineNode&) const = default;
};

/// The cluster that a simulation runs on.
struct Machine {
  std::vector<MachineNode> nodes;
  std::vector<std::uint32_t> host_ids;  ///< By node, as schedules name them: the node's name when all names are numbers, else its position.
  std::vector<std::string> warnings;
  bool processors_alone = false;  ///< Hosts of one processor each, without a word on GPUs and memory: those are not modelled.

  bool has_gpus() const;
  bool limits_memory() const;
  std::int64_t procs() const;
  std::int64_t gpus() const;
};

/// Reads `node_id,procs,gpus,mem_mb,gpu_model,rack`: columns found by name, node_id and procs required, blank gpus 0, blank or 0 mem_mb
/// not limited. Errors, each with file and line: INVALID_ARGUMENT "cluster.header", "cluster.truncated", "cluster.quoting",
/// "cluster.field", "cluster.duplicate_id", "cluster.empty", those of RecordReader.
Result<Machine> read_cluster_csv(TextInput& input, const ReadLimits& limits = {});
std::string cluster_csv(const Machine& machine);

/// `count` equal hosts named 0 .. count-1, processors_alone when they have the default shape, in racks of `hosts_per_rack` (0: no racks).
/// Errors: INVALID_ARGUMENT "cluster.hosts".
Result<Machine> equal_hosts(std::int64_t count, const MachineNode& shape = {}, std::int64_t hosts_per_rack = 0);

/// The nodes as the planner sees them: one processor is 1,000 milli-CPU. Errors: those of ClusterSnapshot::add_node.
Result<void> add_nodes(const Machine& machine, sched::ClusterSnapshot& cluster);

}  // namespace trainyard::sim
