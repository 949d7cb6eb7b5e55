#include <algorithm>

#include "jobs/job_service.h"

// What JobService does beside its jobs: old idempotency keys leave, and an idle holder of the ledger asks whether it still is one.

namespace trainyard::jobs {
namespace {

/// Dropping keys costs the ledger a search: fewer than a whole portion wait for each other so long.
constexpr Duration kDropPause = std::chrono::minutes(1);

}  // namespace

/// What the batch that is being gathered is to forget: nothing that is still known here. A portion at a time: the next batch goes on.
std::optional<TimePoint> JobService::forget_keys_before() {
  const std::uint64_t due = keys_.forgotten() - keys_dropped_;
  const MonotonicPoint mono = deps_.clock.monotonic_now();
  if (due == 0 || (due < store::kForgottenKeysMax && mono - keys_dropped_at_ < kDropPause)) return std::nullopt;
  keys_dropped_ += std::min<std::uint64_t>(due, store::kForgottenKeysMax);
  if (keys_dropped_ < keys_.forgotten()) {
    pipeline_.changed();
  } else {
    keys_dropped_at_ = mono;
  }
  return keys_.oldest().value_or(now() - IdempotencyKeys::kKept);
}

void JobService::keep_house(Duration quiet) {
  keys_.expire(now());
  const MonotonicPoint mono = deps_.clock.monotonic_now();
  const bool drops = keys_dropped_ < keys_.forgotten() && mono - keys_dropped_at_ >= kDropPause;
  if (drops || mono - committed_at_ >= quiet) pipeline_.changed();
}

}  // namespace trainyard::jobs
