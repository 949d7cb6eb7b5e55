#include "sched/internal/builtin_placement.h"
#include "sched/internal/node_scale.h"

namespace trainyard::sched {
namespace {

class BestFitScorer final : public PlacementScorer {
 public:
  BestFitScorer(const Demand& demand, NodeScale scale) : demand_(demand), scale_(scale) {}
  std::int64_t score(const Candidate& candidate) override { return best_fit_score(candidate.free, demand_, scale_); }

 private:
  const Demand& demand_;
  NodeScale scale_;
};

class BestFitPlacement final : public PlacementPolicy {
 public:
  const PolicyInfo& info() const override {
    static const PolicyInfo kInfo{
        .name = "best_fit",
        .meaning = "The node on which least CPU and GPU stay free, both as shares of the largest node.",
        .source = "Weng et al., USENIX ATC 2023, baseline BestFit",
        .parameters = scale_parameters(),
        .promise = {},
    };
    return kInfo;
  }
  std::unique_ptr<PlacementScorer> begin(const PlacementView& view) const override {
    return std::make_unique<BestFitScorer>(view.job.demand, scale_of(info(), view.parameters));
  }
};

}  // namespace

const PlacementPolicy& best_fit_placement() {
  static const BestFitPlacement kPolicy;
  return kPolicy;
}

}  // namespace trainyard::sched
