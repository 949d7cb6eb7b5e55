#pragma once
#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "base/executor.h"

namespace trainyard::sim {

/// Runs posted tasks on the caller's thread when told to. Timers are run apart from them, so that a batch of simulated time can put both
/// into its own order. Single-threaded.
class VirtualStrand final : public Executor {
 public:
  void post(Task task) override { posted_.push_back(std::move(task)); }
  void post_at(MonotonicPoint due, Task task) override { timers_.emplace(due, std::move(task)); }

  std::optional<MonotonicPoint> first_timer() const {
    return timers_.empty() ? std::nullopt : std::optional<MonotonicPoint>(timers_.begin()->first);
  }

  /// Runs the timers that are due, with those that they add, but nothing that was posted.
  void run_timers(MonotonicPoint now) {
    while (!timers_.empty() && timers_.begin()->first <= now) {
      const Task task = std::move(timers_.begin()->second);
      timers_.erase(timers_.begin());
      task();
    }
  }

  /// Runs what was posted, with what that posts.
  void run_posted() {
    while (!posted_.empty()) {
      const Task task = std::move(posted_.front());
      posted_.pop_front();
      task();
    }
  }

 private:
  std::deque<Task> posted_;
  std::multimap<MonotonicPoint, Task> timers_;
};

}  // namespace trainyard::sim
