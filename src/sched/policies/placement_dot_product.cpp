#include "sched/internal/builtin_placement.h"
#include "sched/internal/node_scale.h"

namespace trainyard::sched {
namespace {

class DotProductScorer final : public PlacementScorer {
 public:
  DotProductScorer(const Demand& demand, NodeScale scale) : demand_(demand), scale_(scale) {}
  /// floor(100 (1 - (cpu_free cpu / c_max^2 + gpu_free gpu / g_max^2) / 2)).
  std::int64_t score(const Candidate& candidate) override {
    const __int128 cpu_unit = __int128{scale_.milli_cpu} * scale_.milli_cpu;
    const __int128 gpu_unit = __int128{scale_.milli_gpu} * scale_.milli_gpu;
    const __int128 cpu = __int128{candidate.free.amounts[kCpu]} * demand_.amounts[kCpu];
    const __int128 gpu = __int128{candidate.free.amounts[kGpu]} * demand_.amounts[kGpu];
    const __int128 whole = 2 * cpu_unit * gpu_unit;
    return static_cast<std::int64_t>(floor_divide(100 * (whole - cpu * gpu_unit - gpu * cpu_unit), whole));
  }

 private:
  const Demand& demand_;
  NodeScale scale_;
};

class DotProductPlacement final : public PlacementPolicy {
 public:
  const PolicyInfo& info() const override {
    static const PolicyInfo kInfo{
        .name = "dot_product",
        .meaning = "The node whose free CPU and GPU are least aligned with what the task asks for.",
        .source = "Weng et al., USENIX ATC 2023, baseline DotProd (after Grandl et al., Tetris, SIGCOMM 2014)",
        .parameters = scale_parameters(),
        .promise = {},
    };
    return kInfo;
  }
  std::unique_ptr<PlacementScorer> begin(const PlacementView& view) const override {
    return std::make_unique<DotProductScorer>(view.job.demand, scale_of(info(), view.parameters));
  }
};

}  // namespace

const PlacementPolicy& dot_product_placement() {
  static const DotProductPlacement kPolicy;
  return kPolicy;
}

}  // namespace trainyard::sched
