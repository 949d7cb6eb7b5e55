#include "sched/internal/builtin_placement.h"
#include "sched/internal/node_scale.h"

namespace trainyard::sched {
namespace {

class TopologyScorer final : public PlacementScorer {
 public:
  TopologyScorer(const Demand& demand, NodeScale scale) : demand_(demand), scale_(scale) {}
  std::int64_t score(const Candidate& candidate) override { return best_fit_score(candidate.free, demand_, scale_); }
  bool keeps_together() const override { return true; }

 private:
  const Demand& demand_;
  NodeScale scale_;
};

class TopologyPlacement final : public PlacementPolicy {
 public:
  const PolicyInfo& info() const override {
    static const PolicyInfo kInfo{
        .name = "topology",
        .meaning =
            "A gang goes into the narrowest of node, switch and rack that holds it, and there into the part with the least room, so that "
            "whole parts stay whole.",
        .source = "best fit per level of the topology, from the top down",
        .parameters = scale_parameters(),
        .promise = {},
    };
    return kInfo;
  }
  std::unique_ptr<PlacementScorer> begin(const PlacementView& view) const override {
    return std::make_unique<TopologyScorer>(view.job.demand, scale_of(info(), view.parameters));
  }
};

}  // namespace

const PlacementPolicy& topology_placement() {
  static const TopologyPlacement kPolicy;
  return kPolicy;
}

}  // namespace trainyard::sched
