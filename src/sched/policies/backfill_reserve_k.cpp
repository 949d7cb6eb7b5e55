#include "sched/internal/builtin.h"

namespace trainyard::sched {
namespace {

class ReserveKBackfill final : public BackfillPolicy {
 public:
  const PolicyInfo& info() const override {
    static const PolicyInfo kInfo{
        .name = "reserve_k",
        .meaning = "The first k jobs that do not fit get concrete nodes at their earliest starts; later jobs start around those.",
        .source = "between EASY (k = 1) and a reservation for every job",
        .parameters = {{.name = "k", .fallback = 8, .least = 1, .most = 1e9, .meaning = "How many jobs get a reservation."}},
        .promise = {.overtakes_max = std::nullopt, .work_conserving = true},
    };
    return kInfo;
  }
  Reaction after(const BlockedJob& blocked) const override {
    return blocked.reservations < parameter(info(), blocked.parameters, "k") ? Reaction::kReserve : Reaction::kPass;
  }
};

}  // namespace

const BackfillPolicy& reserve_k_backfill() {
  static const ReserveKBackfill kPolicy;
  return kPolicy;
}

}  // namespace trainyard::sched
