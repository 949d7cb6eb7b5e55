#include <cmath>

#include "sched/internal/builtin_placement.h"
#include "sched/internal/fragmentation_scorer.h"
#include "sched/internal/node_scale.h"

namespace trainyard::sched {
namespace {

/// F_before - F_after - w (cpu_free / c_max + gpu_free / g_max) / 2 without rounding to whole points, where free GPU beyond what the free
/// CPU can go with counts as fragmented. In millionths of a device.
class BalancedRule final : public FragmentationRule {
 public:
  BalancedRule(NodeScale scale, std::int64_t fit_weight) : scale_(scale), fit_weight_(fit_weight) {}

  std::int64_t score(const Change& change) const override {
    const auto fall = static_cast<std::int64_t>(floor_divide(__int128{change.before - change.after} * 1000, change.weight));
    const __int128 whole = __int128{2} * scale_.milli_cpu * scale_.milli_gpu;
    const __int128 free = __int128{change.free.amounts[kCpu]} * scale_.milli_gpu + __int128{change.free.amounts[kGpu]} * scale_.milli_cpu;
    return fall - static_cast<std::int64_t>(floor_divide(free * fit_weight_ * 1000, whole));
  }
  Fragmentation::Use use() const override { return Fragmentation::Use::kAccompanied; }
  std::vector<std::int64_t> key() const override { return {scale_.milli_cpu, scale_.milli_gpu, fit_weight_}; }

 private:
  NodeScale scale_;
  std::int64_t fit_weight_;
};

std::vector<ParameterInfo> balanced_parameters() {
  std::vector<ParameterInfo> parameters = scale_parameters();
  parameters.push_back({.name = "fit_weight",
                        .fallback = 300,
                        .least = 0,
                        .most = 8000,
                        .meaning = "What an empty node of full size counts against it, in thousandths of a fragmented device."});
  return parameters;
}

class FgdBalancedPlacement final : public PlacementPolicy {
 public:
  const PolicyInfo& info() const override {
    static const PolicyInfo kInfo{
        .name = "fgd_balanced",
        .meaning =
            "As fgd, but GPU that a node has too little CPU for counts as fragmented too, and fuller nodes are preferred where that "
            "changes little.",
        .source = "Trainyard; after Weng et al., USENIX ATC 2023",
        .parameters = balanced_parameters(),
        .promise = {},
    };
    return kInfo;
  }
  std::unique_ptr<PlacementScorer> begin(const PlacementView& view) const override {
    const auto fit_weight = static_cast<std::int64_t>(std::llround(parameter(info(), view.parameters, "fit_weight")));
    return std::make_unique<FragmentationScorer>(*this, view,
                                                 std::make_unique<BalancedRule>(scale_of(info(), view.parameters), fit_weight));
  }
};

}  // namespace

const PlacementPolicy& fgd_balanced_placement() {
  static const FgdBalancedPlacement kPolicy;
  return kPolicy;
}

}  // namespace trainyard::sched
