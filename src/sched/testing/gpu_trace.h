#pragma once
#include <memory>
#include <vector>

#include "base/rng.h"
#include "sched/policy.h"

namespace trainyard::sched::testing {

/// One task of a GPU-sharing cluster.
struct GpuTask {
  Demand demand;
  std::shared_ptr<const Constraints> constraints;  // shared: as in JobSnapshot
};

/// A GPU-sharing cluster and what its users submit.
struct GpuTrace {
  std::vector<NodeInfo> nodes;
  std::vector<GpuTask> tasks;
};

/// A cluster of `nodes` nodes and four times as many tasks, drawn at random with the proportions of published GPU-sharing clusters: half of
/// the tasks want one device, more than a third a share of one, some only CPU, a few 2 to 8 devices; some nodes have much CPU for few GPUs.
GpuTrace generated_gpu_trace(std::size_t nodes, Rng& rng);

/// What a placement policy made of a trace when as much GPU had been asked for as the cluster has. Percent of its GPUs.
struct FillFigures {
  double allocated = 0;
  double fragmented = 0;  ///< Free GPU that typical tasks cannot use: F of Weng et al., USENIX ATC 2023, over all nodes.
  std::int64_t decisions = 0;
};

/// The protocol of that paper: nodes and tasks in random order, tasks again at random until 1.3 times the cluster's GPUs would be asked
/// for; one task at a time, none ever ends, one that does not fit is dropped. Stops when 100.5 % have been asked for and takes means over
/// the tasks from 99.5 % on. The policy knows the trace's own shapes as its workload.
FillFigures fill_cluster(const GpuTrace& trace, const PlacementPolicy& policy, std::uint64_t seed);

}  // namespace trainyard::sched::testing
