#include "sched/internal/builtin.h"

namespace trainyard::sched {
namespace {

class EasyBackfill final : public BackfillPolicy {
 public:
  const PolicyInfo& info() const override {
    static const PolicyInfo kInfo{
        .name = "easy",
        .meaning = "The first job that does not fit gets concrete nodes at its earliest start; later jobs start around that.",
        .source = "Lifka, JSSPP 1995; Feitelson and Weil, IPPS 1998",
        .parameters = {{.name = "protect_after",
                        .fallback = 0,
                        .least = 0,
                        .most = 1e9,
                        .meaning = "A job that so many later ones were started before gets a reservation too; 0: never."}},
        .promise = {.overtakes_max = std::nullopt, .work_conserving = true},
    };
    return kInfo;
  }
  Reaction after(const BlockedJob& blocked) const override {
    if (blocked.reservations == 0) return Reaction::kReserve;
    const double protect_after = parameter(info(), blocked.parameters, "protect_after");
    return protect_after > 0 && blocked.job.skips >= protect_after ? Reaction::kReserve : Reaction::kPass;
  }
};

}  // namespace

const BackfillPolicy& easy_backfill() {
  static const EasyBackfill kPolicy;
  return kPolicy;
}

}  // namespace trainyard::sched
