#include "cluster/leadership.h"

namespace trainyard::cluster {

Result<bool> Leadership::start() {
  ASSIGN_OR_RETURN(const Standing standing, take_turn());
  elected_ = standing.leads;
  turn_later();
  return elected_;
}

std::optional<Leader> Leadership::leader() const {
  const std::lock_guard lock(mutex_);
  return leader_;
}

void Leadership::resign() {
  in_office_ = false;
  const Result<void> left = deps_.election.resign();
  if (!left.ok()) deps_.log.write({LogLevel::kWarning, "leader.resign_failed", {{"error", left.error().describe()}}});
}

Result<Standing> Leadership::take_turn() {
  // The lead counts from before the turn: others see the beat later than that.
  const MonotonicPoint begun = deps_.clock.monotonic_now();
  ASSIGN_OR_RETURN(Standing standing, settings_.stands ? deps_.election.turn() : deps_.election.look());
  if (standing.leads) lead_ends_ = (begun + settings_.patience * 7 / 8).time_since_epoch().count();
  const std::lock_guard lock(mutex_);
  leader_ = standing.leader;
  return standing;
}

void Leadership::turn() {
  const Result<Standing> standing = take_turn();
  if (!standing.ok()) {
    if (standing.error().id == "leader.deposed") return hooks_.on_deposed(standing.error());
    deps_.log.write({LogLevel::kWarning, "leader.turn_failed", {{"error", standing.error().describe()}}});
  } else if (standing->leads && !elected_) {
    elected_ = true;
    deps_.log.write({LogLevel::kInfo, "leader.elected", {{"term", standing->leader->term}}});
    hooks_.on_elected();
  }
  turn_later();
}

void Leadership::turn_later() {
  deps_.executor.post_at(deps_.clock.monotonic_now() + settings_.patience / 5, [this, alive = alive_] {
    if (*alive) turn();
  });
}

}  // namespace trainyard::cluster
