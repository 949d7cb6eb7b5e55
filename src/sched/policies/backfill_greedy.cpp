#include "sched/internal/builtin.h"

namespace trainyard::sched {
namespace {

class GreedyBackfill final : public BackfillPolicy {
 public:
  const PolicyInfo& info() const override {
    static const PolicyInfo kInfo{
        .name = "greedy",
        .meaning = "Every job that fits starts; nothing is kept for one that does not, so a large job may wait for ever.",
        .source = "first fit in queue order",
        .parameters = {},
        .promise = {.overtakes_max = std::nullopt, .work_conserving = true},
    };
    return kInfo;
  }
  Reaction after(const BlockedJob&) const override { return Reaction::kPass; }
};

}  // namespace

const BackfillPolicy& greedy_backfill() {
  static const GreedyBackfill kPolicy;
  return kPolicy;
}

}  // namespace trainyard::sched
