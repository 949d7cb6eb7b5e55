#pragma once
#include <atomic>

#include "base/time.h"

namespace trainyard::testing {

/// A clock that moves only when told. Both readings move together; `step_wall_clock` moves one alone. Thread-safe.
class FakeClock final : public Clock {
 public:
  TimePoint now() const override { return TimePoint(Duration(wall_.load())); }
  MonotonicPoint monotonic_now() const override { return MonotonicPoint(Duration(monotonic_.load())); }

  void advance(Duration span) {
    wall_ += span.count();
    monotonic_ += span.count();
  }
  void set(TimePoint time) { wall_ = micros(time); }
  void step_wall_clock(Duration span) { wall_ += span.count(); }

 private:
  std::atomic<std::int64_t> wall_{1'700'000'000'000'000};
  std::atomic<std::int64_t> monotonic_{1'000'000'000};
};

}  // namespace trainyard::testing
