#include <algorithm>

#include "sched/internal/builtin_placement.h"
#include "sched/internal/node_scale.h"

namespace trainyard::sched {
namespace {

/// Kinds of tasks, one bit each: a share of a device; 1, 2, 4 or 8 devices, other counts rounded up.
using KindMask = std::uint8_t;

KindMask kind_of(const Demand& demand) {
  if (demand.gpus == 0) return 0;
  if (demand.gpu_milli < 1000) return 1;
  if (demand.gpus > 4) return 16;
  return static_cast<KindMask>(std::bit_ceil(static_cast<unsigned>(demand.gpus)) << 1);
}

/// Base 75 on a node that runs only tasks of this kind, 50 of this and others, 25 none, 0 only others; plus the used part of the largest
/// node's GPUs, floor(25 (g_max - gpu_free) / g_max). 0 for tasks without GPUs.
class GpuClusteringScorer final : public PlacementScorer {
 public:
  GpuClusteringScorer(const PlacementView& view, NodeScale scale) : kind_(kind_of(view.job.demand)), scale_(scale) {
    if (kind_ == 0) return;
    kinds_.assign(view.cluster.nodes().size(), 0);
    view.cluster.each_by_end([this](const RunningJob& running) {
      const KindMask kind = kind_of(running.job.demand);
      for (const TaskPlace& place : running.nodes) kinds_[place.node] = static_cast<KindMask>(kinds_[place.node] | kind);
      return true;
    });
  }
  std::int64_t score(const Candidate& candidate) override {
    if (kind_ == 0) return 0;
    const KindMask kinds = kinds_[candidate.node];
    std::int64_t base = 0;
    if (kinds == 0) base = 25;
    if ((kinds & kind_) != 0) base = kinds == kind_ ? 75 : 50;
    const __int128 used = __int128{25} * (scale_.milli_gpu - candidate.free.amounts[kGpu]);
    return base + static_cast<std::int64_t>(floor_divide(used, scale_.milli_gpu));
  }

 private:
  KindMask kind_;
  NodeScale scale_;
  std::vector<KindMask> kinds_;  ///< By node: of the jobs that run there. Starts of the same pass are not seen.
};

class GpuClusteringPlacement final : public PlacementPolicy {
 public:
  const PolicyInfo& info() const override {
    static const PolicyInfo kInfo{
        .name = "gpu_clustering",
        .meaning = "Nodes that run the same kind of GPU task first: shares, or 1, 2, 4, 8 devices.",
        .source = "Weng et al., USENIX ATC 2023, baseline GpuClustering",
        .parameters = scale_parameters(),
        .promise = {},
    };
    return kInfo;
  }
  std::unique_ptr<PlacementScorer> begin(const PlacementView& view) const override {
    return std::make_unique<GpuClusteringScorer>(view, scale_of(info(), view.parameters));
  }
};

}  // namespace

const PlacementPolicy& gpu_clustering_placement() {
  static const GpuClusteringPlacement kPolicy;
  return kPolicy;
}

}  // namespace trainyard::sched
