#include "net/rate_limit.h"

#include <algorithm>
#include <cmath>

namespace trainyard::net {

void RequestLimits::describe(FieldVisitor& fields) {
  const Range rate{.min = 0.001, .max = 1e9};
  fields.field("read_per_second", read.per_second, rate, "Reading requests of one caller a second, in the long run.");
  fields.field("read_burst", read.burst, {.min = 1, .max = 1e9}, "Reading requests of one caller at once.");
  fields.field("write_per_second", write.per_second, rate, "Changing requests of one caller a second, in the long run.");
  fields.field("write_burst", write.burst, {.min = 1, .max = 1e9}, "Changing requests of one caller at once.");
  fields.field("callers_max", callers_max, {.min = 1, .max = 1e6}, "Callers whose budget is remembered.");
  fields.field("in_flight_max", in_flight_max, {.min = 1, .max = 1e6}, "Requests that are worked on at the same time.");
}

std::optional<RequestLimiter::Place> RequestLimiter::enter() {
  if (++in_flight_ <= limits_.in_flight_max) return Place(this);
  --in_flight_;
  return std::nullopt;
}

RequestLimiter::Caller& RequestLimiter::find(const std::string& name, MonotonicPoint now) {
  if (const auto known = by_name_.find(name); known != by_name_.end()) {
    callers_.splice(callers_.begin(), callers_, known->second);
    return callers_.front();
  }
  if (callers_.size() >= static_cast<std::size_t>(limits_.callers_max)) {
    by_name_.erase(callers_.back().name);
    callers_.pop_back();
  }
  callers_.push_front({name, {limits_.read.burst, now}, {limits_.write.burst, now}});
  by_name_[name] = callers_.begin();
  return callers_.front();
}

std::optional<Duration> RequestLimiter::take(const std::string& caller, RateClass rate) {
  if (rate == RateClass::kReserved) return std::nullopt;
  const MonotonicPoint now = clock_.monotonic_now();
  const RateLimit& limit = rate == RateClass::kRead ? limits_.read : limits_.write;
  const std::lock_guard lock(mutex_);
  Caller& found = find(caller, now);
  Bucket& bucket = rate == RateClass::kRead ? found.read : found.write;
  const double seconds = std::max(0.0, std::chrono::duration<double>(now - bucket.filled_at).count());
  bucket.left = std::min(limit.burst, bucket.left + seconds * limit.per_second);
  bucket.filled_at = now;
  if (bucket.left < 1) return Duration(std::llround(std::ceil((1 - bucket.left) / limit.per_second * 1e6)));
  bucket.left -= 1;
  return std::nullopt;
}

std::size_t RequestLimiter::callers() const {
  const std::lock_guard lock(mutex_);
  return callers_.size();
}

}  // namespace trainyard::net
