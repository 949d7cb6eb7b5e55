#include "sched/internal/builtin_placement.h"
#include "sched/internal/node_scale.h"

namespace trainyard::sched {
namespace {

class WorstFitScorer final : public PlacementScorer {
 public:
  WorstFitScorer(const Demand& demand, NodeScale scale) : demand_(demand), scale_(scale) {}
  std::int64_t score(const Candidate& candidate) override { return -best_fit_score(candidate.free, demand_, scale_); }

 private:
  const Demand& demand_;
  NodeScale scale_;
};

class WorstFitPlacement final : public PlacementPolicy {
 public:
  const PolicyInfo& info() const override {
    static const PolicyInfo kInfo{
        .name = "worst_fit",
        .meaning = "Spreads: the node on which most CPU and GPU stay free, both as shares of the largest node.",
        .source = "the reverse of best_fit",
        .parameters = scale_parameters(),
        .promise = {},
    };
    return kInfo;
  }
  std::unique_ptr<PlacementScorer> begin(const PlacementView& view) const override {
    return std::make_unique<WorstFitScorer>(view.job.demand, scale_of(info(), view.parameters));
  }
};

}  // namespace

const PlacementPolicy& worst_fit_placement() {
  static const WorstFitPlacement kPolicy;
  return kPolicy;
}

}  // namespace trainyard::sched
