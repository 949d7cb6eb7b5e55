#include "sched/internal/builtin_placement.h"

namespace trainyard::sched {
namespace {

class FirstFitPlacement final : public PlacementPolicy {
 public:
  const PolicyInfo& info() const override {
    static const PolicyInfo kInfo{
        .name = "first_fit",
        .meaning = "The lowest nodes that fit.",
        .source = "docs/guide/scheduling.md",
        .parameters = {},
        .promise = {},
    };
    return kInfo;
  }
  std::unique_ptr<PlacementScorer> begin(const PlacementView&) const override { return nullptr; }
};

}  // namespace

const PlacementPolicy& first_fit_placement() {
  static const FirstFitPlacement kPolicy;
  return kPolicy;
}

}  // namespace trainyard::sched
