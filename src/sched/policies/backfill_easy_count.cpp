#include "sched/internal/builtin.h"

namespace trainyard::sched {
namespace {

class EasyCountBackfill final : public BackfillPolicy {
 public:
  const PolicyInfo& info() const override {
    static const PolicyInfo kInfo{
        .name = "easy_count",
        .meaning =
            "Backfill by counting: a later job starts when it ends before the first blocked one can start, or needs no more than is "
            "to spare then.",
        .source = "the textbook form of EASY: Mu'alem and Feitelson, TPDS 2001",
        .parameters = {},
        .promise = {.overtakes_max = std::nullopt, .work_conserving = true},
    };
    return kInfo;
  }
  Reaction after(const BlockedJob& blocked) const override { return blocked.reservations == 0 ? Reaction::kReserve : Reaction::kPass; }
  bool counts_only() const override { return true; }
};

}  // namespace

const BackfillPolicy& easy_count_backfill() {
  static const EasyCountBackfill kPolicy;
  return kPolicy;
}

}  // namespace trainyard::sched
