#include "apps/server/history_follower.h"

namespace trainyard::apps {
namespace {

constexpr Duration kRetryAfter = std::chrono::seconds(5);

}  // namespace

void HistoryFollower::poke() { follow_in(kGather); }

void HistoryFollower::follow_in(Duration delay) {
  if (posted_.exchange(true)) return;
  deps_.writes.post_at(deps_.clock.monotonic_now() + delay, [this, alive = alive_] {
    if (*alive) follow();
  });
}

void HistoryFollower::follow() {
  // First, so that what ends from here on pokes again.
  posted_ = false;
  const Result<bool> more = deps_.history.catch_up(deps_.ledger);
  if (more.ok()) {
    if (*more) follow_in(Duration(0));
    return;
  }
  deps_.log.write({LogLevel::kWarning, "server.history_late", {{"error", more.error().describe()}}});
  deps_.strand.post_at(deps_.clock.monotonic_now() + kRetryAfter, [this, alive = alive_] {
    if (*alive) poke();
  });
}

}  // namespace trainyard::apps
