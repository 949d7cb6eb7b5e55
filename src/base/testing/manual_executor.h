#pragma once
#include <deque>
#include <map>

#include "base/executor.h"
#include "base/testing/fake_clock.h"

namespace trainyard::testing {

/// Runs posted tasks on the caller's thread when told to; timers follow a FakeClock. Single-threaded.
class ManualExecutor final : public Executor {
 public:
  explicit ManualExecutor(FakeClock& clock) : clock_(clock) {}

  void post(Task task) override { ready_.push_back(std::move(task)); }
  void post_at(MonotonicPoint due, Task task) override { timers_.emplace(due, std::move(task)); }

  /// Runs what is ready and due, including what that posts. Returns how many tasks ran.
  std::size_t run_ready() {
    std::size_t ran = 0;
    for (;;) {
      while (!timers_.empty() && timers_.begin()->first <= clock_.monotonic_now()) {
        ready_.push_back(std::move(timers_.begin()->second));
        timers_.erase(timers_.begin());
      }
      if (ready_.empty()) return ran;
      Task task = std::move(ready_.front());
      ready_.pop_front();
      task();
      ++ran;
    }
  }

  /// Moves the clock forward by `span`, stopping at every timer on the way.
  void advance(Duration span) {
    const MonotonicPoint end = clock_.monotonic_now() + span;
    run_ready();
    while (!timers_.empty() && timers_.begin()->first <= end) {
      clock_.advance(std::max(timers_.begin()->first - clock_.monotonic_now(), Duration(0)));
      run_ready();
    }
    clock_.advance(end - clock_.monotonic_now());
    run_ready();
  }

  bool idle() const { return ready_.empty(); }
  void drop_all() {
    ready_.clear();
    timers_.clear();
  }

 private:
  FakeClock& clock_;
  std::deque<Task> ready_;
  std::multimap<MonotonicPoint, Task> timers_;
};

}  // namespace trainyard::testing
