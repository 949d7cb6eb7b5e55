#pragma once
#include <atomic>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/describe.h"
#include "base/time.h"

namespace trainyard::net {

/// What a request costs. Reserved ones are never refused by a limit: health checks and the reports of agents, whose silence would cost
/// their nodes the lease.
enum class RateClass { kRead, kWrite, kReserved };

/// A token bucket: so many requests a second in the long run, so many at once.
struct RateLimit {
  double per_second = 0;
  double burst = 0;
};

struct RequestLimits {
  RateLimit read{20'000, 40'000};
  RateLimit write{20'000, 40'000};
  std::int64_t callers_max = 4'096;  ///< Callers that are remembered; beyond it the one that was silent longest begins anew.
  std::int64_t in_flight_max = 768;  ///< Requests in handlers at the same time; less than the connections, so that a refusal gets through.

  void describe(FieldVisitor& fields);
};

/// Holds requests to a rate for each caller and to a number for the server. Thread-safe, never blocks; memory is bounded by `callers_max`.
class RequestLimiter {
 public:
  RequestLimiter(const RequestLimits& limits, const Clock& clock) : limits_(limits), clock_(clock) {}
  RequestLimiter(const RequestLimiter&) = delete;
  RequestLimiter& operator=(const RequestLimiter&) = delete;

  /// A place among the requests in flight, given back when it is destroyed. The limiter outlives it.
  class Place {
   public:
    explicit Place(RequestLimiter* limiter) : limiter_(limiter) {}
    Place(Place&& other) noexcept : limiter_(std::exchange(other.limiter_, nullptr)) {}
    Place& operator=(Place&& other) noexcept {
      std::swap(limiter_, other.limiter_);
      return *this;
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() {
      if (limiter_ != nullptr) --limiter_->in_flight_;
    }

   private:
    RequestLimiter* limiter_;
  };

  /// None when the server has no room.
  std::optional<Place> enter();
  /// Whether `enter` would find room now.
  bool has_room() const { return in_flight_.load() < limits_.in_flight_max; }
  /// Takes one request from the budget of `caller`; else how long until there is one again.
  std::optional<Duration> take(const std::string& caller, RateClass rate);

  std::int64_t in_flight() const { return in_flight_; }
  std::size_t callers() const;

 private:
  struct Bucket {
    double left = 0;
    MonotonicPoint filled_at;
  };
  struct Caller {
    std::string name;
    Bucket read;
    Bucket write;
  };
  Caller& find(const std::string& name, MonotonicPoint now);

  const RequestLimits limits_;
  const Clock& clock_;
  std::atomic<std::int64_t> in_flight_{0};
  mutable std::mutex mutex_;
  std::list<Caller> callers_;                                             // guarded by mutex_; the last one to call first
  std::unordered_map<std::string, std::list<Caller>::iterator> by_name_;  // guarded by mutex_
};

}  // namespace trainyard::net
