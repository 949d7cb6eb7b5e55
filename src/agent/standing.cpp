#include "agent/standing.h"

#include <utility>

namespace trainyard::agent {

Standing::News Standing::note_accepted() {
  const std::lock_guard lock(mutex_);
  refused_since_.reset();
  return std::exchange(served_, true) ? News::kNone : News::kServes;
}

Standing::News Standing::note_refused(const Error& error) {
  const std::lock_guard lock(mutex_);
  if (fatal_) return News::kNone;
  const MonotonicPoint now = clock_.monotonic_now();
  if (!refused_since_) refused_since_ = now;
  if (now - *refused_since_ >= patience_with(error)) {
    fatal_ = error;
    return News::kOver;
  }
  return std::exchange(told_, true) ? News::kNone : News::kRefused;
}

std::optional<Error> Standing::fatal() const {
  const std::lock_guard lock(mutex_);
  return fatal_;
}

Duration Standing::patience_with(const Error& error) const {
  if (error.id == "agent.replaced" || error.category == Category::kInvalidArgument) return Duration(0);
  return served_ || error.category == Category::kAborted ? settings_.patience : settings_.patience_with_strangers;
}

}  // namespace trainyard::agent
