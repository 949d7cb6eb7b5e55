#include "sched/internal/builtin.h"

namespace trainyard::sched {
namespace {

class ConservativeBackfill final : public BackfillPolicy {
 public:
  const PolicyInfo& info() const override {
    static const PolicyInfo kInfo{
        .name = "conservative",
        .meaning = "Every job that does not fit is promised nodes and a start, which never moves later; others start around all of them.",
        .source = "Feitelson and Weil, IPPS 1998",
        .parameters = {},
        .promise = {.overtakes_max = std::nullopt, .work_conserving = true},
    };
    return kInfo;
  }
  Reaction after(const BlockedJob&) const override { return Reaction::kReserve; }
  bool keeps_reservations() const override { return true; }
};

}  // namespace

const BackfillPolicy& conservative_backfill() {
  static const ConservativeBackfill kPolicy;
  return kPolicy;
}

}  // namespace trainyard::sched
