#include "jobs/idempotency_keys.h"

#include <fmt/format.h>

namespace trainyard::jobs {

Result<std::optional<JobId>> IdempotencyKeys::find(const std::string& key, std::string_view fingerprint) const {
  const auto found = keys_.find(key);
  if (found == keys_.end()) return std::optional<JobId>();
  if (found->second.fingerprint == fingerprint) return std::optional(found->second.job);
  return Error{Category::kAlreadyExists,
               "idempotency.mismatch",
               fmt::format("this Idempotency-Key was used with another body; it made job {}: use a new key", found->second.job.text()),
               {},
               {}};
}

void IdempotencyKeys::remember(const store::IdempotencyRecord& record, TimePoint now) {
  if (!keys_.emplace(record.key, Done{record.fingerprint, record.job}).second) return;
  ages_.push_back({record.created_at, record.key});
  expire(now);
}

void IdempotencyKeys::expire(TimePoint now) {
  while (!ages_.empty() && (keys_.size() > keys_max_ || now - ages_.front().created_at > kKept)) {
    keys_.erase(ages_.front().key);
    ages_.pop_front();
    ++forgotten_;
  }
}

}  // namespace trainyard::jobs
