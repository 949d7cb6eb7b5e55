#pragma once
#include <chrono>
#include <cstdint>
#include <string>

#include "base/result.h"

namespace trainyard {

using Duration = std::chrono::microseconds;

/// Microseconds since 1970-01-01 UTC. What is stored and shown.
using TimePoint = std::chrono::time_point<std::chrono::system_clock, Duration>;

/// Microseconds of a clock that only moves forward. Leases, deadlines and measurements use nothing else.
using MonotonicPoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;

/// Both clocks as an argument, so that tests and the simulation own time. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() const = 0;
  virtual MonotonicPoint monotonic_now() const = 0;
};

/// The machine's clocks.
class SystemClock final : public Clock {
 public:
  TimePoint now() const override;
  MonotonicPoint monotonic_now() const override;
};

constexpr std::int64_t micros(TimePoint time) { return time.time_since_epoch().count(); }
constexpr TimePoint time_from_micros(std::int64_t count) { return TimePoint(Duration(count)); }

/// "2026-01-02T03:04:05.000006Z"
std::string to_rfc3339(TimePoint time);
/// Accepts RFC 3339 with 'Z' or a numeric offset. Errors: INVALID_ARGUMENT "time.malformed".
Result<TimePoint> parse_rfc3339(std::string_view text);

/// "90s", "1h30m", "250ms", "2d"; a bare number is not a duration. Errors: INVALID_ARGUMENT "spec.duration".
Result<Duration> parse_duration(std::string_view text);
/// The shortest exact form that parse_duration reads back, e.g. "1h30m".
std::string format_duration(Duration duration);

}  // namespace trainyard
