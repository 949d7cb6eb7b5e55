#pragma once
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "store/job_ledger.h"

namespace trainyard::jobs {

/// What each idempotency key did, so that a request that is sent again is answered and not carried out again. Not thread-safe.
class IdempotencyKeys {
 public:
  /// Keys are kept for this long at least, unless there are more than `keys_max`.
  static constexpr Duration kKept = std::chrono::hours(24);

  explicit IdempotencyKeys(std::size_t keys_max) : keys_max_(keys_max) {}

  /// The job that the same request made before; none: the key is new. Errors: ALREADY_EXISTS "idempotency.mismatch" for another body.
  Result<std::optional<JobId>> find(const std::string& key, std::string_view fingerprint) const;
  /// Remembers a key that find does not know, and forgets the oldest that are too old or too many. Keys come in the order of their times.
  void remember(const store::IdempotencyRecord& record, TimePoint now);
  /// Forgets the keys that are too old.
  void expire(TimePoint now);
  std::size_t size() const { return keys_.size(); }
  /// When the oldest known key was made.
  std::optional<TimePoint> oldest() const { return ages_.empty() ? std::nullopt : std::optional(ages_.front().created_at); }
  /// Keys that were forgotten so far.
  std::uint64_t forgotten() const { return forgotten_; }

 private:
  struct Done {
    std::string fingerprint;
    JobId job;
  };
  struct Age {
    TimePoint created_at;
    std::string key;
  };
  std::size_t keys_max_;
  std::unordered_map<std::string, Done> keys_;
  std::deque<Age> ages_;  ///< Ascending.
  std::uint64_t forgotten_ = 0;
};

}  // namespace trainyard::jobs
