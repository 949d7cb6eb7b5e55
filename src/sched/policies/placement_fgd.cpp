#include <cmath>

#include "sched/internal/builtin_placement.h"
#include "sched/internal/fragmentation_scorer.h"

namespace trainyard::sched {
namespace {

/// floor(100 sigmoid((F_before - F_after) / 1000)), F in thousandths of a device.
class FgdRule final : public FragmentationRule {
 public:
  std::int64_t score(const Change& change) const override {
    const double fall = static_cast<double>(change.before - change.after) / static_cast<double>(change.weight);
    return static_cast<std::int64_t>(std::floor(100 / (1 + std::exp(-fall / 1000))));
  }
  Fragmentation::Use use() const override { return Fragmentation::Use::kFitting; }
};

class FgdPlacement final : public PlacementPolicy {
 public:
  const PolicyInfo& info() const override {
    static const PolicyInfo kInfo{
        .name = "fgd",
        .meaning = "Fragmentation gradient descent: where the free GPU that typical tasks cannot use grows least.",
        .source = "Weng et al., Beware of Fragmentation, USENIX ATC 2023",
        .parameters = {},
        .promise = {},
    };
    return kInfo;
  }
  std::unique_ptr<PlacementScorer> begin(const PlacementView& view) const override {
    return std::make_unique<FragmentationScorer>(*this, view, std::make_unique<FgdRule>());
  }
};

}  // namespace

const PlacementPolicy& fgd_placement() {
  static const FgdPlacement kPolicy;
  return kPolicy;
}

}  // namespace trainyard::sched
