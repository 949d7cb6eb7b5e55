#include "apps/cli/outage.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <utility>

namespace trainyard::apps {
namespace {

constexpr std::chrono::milliseconds kPauseFirst{100};
constexpr std::chrono::milliseconds kPauseMax{2'000};

}  // namespace

bool is_transient(const Error& error) {
  return error.category == Category::kUnavailable || error.category == Category::kDeadlineExceeded ||
         error.category == Category::kResourceExhausted;
}

void pause_for(std::chrono::milliseconds span) {
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, span, [] { return false; });
}

bool Outage::wait_after(const Error& error) {
  const Duration away_for = clock_.monotonic_now() - last_heard_;
  if (!is_transient(error) || away_for >= patience_) return false;
  if (!std::exchange(away_, true)) {
    fmt::print(stderr, "the server does not answer, waiting up to {} for it: {}\n", format_duration(patience_), error.describe());
  }
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(patience_ - away_for);
  pause_for(std::min(next_pause_, left));
  next_pause_ = std::min(next_pause_ * 2, kPauseMax);
  return true;
}

void Outage::heard() {
  last_heard_ = clock_.monotonic_now();
  next_pause_ = kPauseFirst;
  if (std::exchange(away_, false)) fmt::print(stderr, "the server is back\n");
}

}  // namespace trainyard::apps
