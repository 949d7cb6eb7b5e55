#include "sched/internal/builtin.h"

namespace trainyard::sched {
namespace {

class StrictFifoBackfill final : public BackfillPolicy {
 public:
  const PolicyInfo& info() const override {
    static const PolicyInfo kInfo{
        .name = "strict_fifo",
        .meaning = "The queue stops at the first job that does not fit.",
        .source = "docs/guide/scheduling.md",
        .parameters = {},
        .promise = {.overtakes_max = 0, .work_conserving = false},
    };
    return kInfo;
  }
  Reaction after(const BlockedJob&) const override { return Reaction::kStop; }
};

}  // namespace

const BackfillPolicy& strict_fifo_backfill() {
  static const StrictFifoBackfill kPolicy;
  return kPolicy;
}

}  // namespace trainyard::sched
