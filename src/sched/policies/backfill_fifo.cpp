#include "sched/internal/builtin.h"

namespace trainyard::sched {
namespace {

class FifoBackfill final : public BackfillPolicy {
 public:
  const PolicyInfo& info() const override {
    static const PolicyInfo kInfo{
        .name = "fifo",
        .meaning = "A job that does not fit holds up only later jobs that need a resource it is short of.",
        .source = "docs/guide/scheduling.md",
        .parameters = {},
        .promise = {.overtakes_max = std::nullopt, .work_conserving = false},
    };
    return kInfo;
  }
  Reaction after(const BlockedJob&) const override { return Reaction::kBlockPool; }
};

}  // namespace

const BackfillPolicy& fifo_backfill() {
  static const FifoBackfill kPolicy;
  return kPolicy;
}

}  // namespace trainyard::sched
