#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/id.h"
#include "base/time.h"

namespace trainyard::warden {

using WatchId = Id<struct WatchTag>;
using TimerId = Id<struct TimerTag>;

/// epoll and timers on the calling thread. Callbacks may add and remove watches and timers, their own too. Not thread-safe.
class EventLoop {
 public:
  using OnReady = std::function<void(std::uint32_t events)>;
  using OnDue = std::function<void()>;

  static Result<EventLoop> make(const Clock& clock);

  /// Calls `on_ready` whenever one of the EPOLL* `events` holds. The descriptor stays the caller's and is unwatched before it is closed.
  Result<WatchId> watch(int fd, std::uint32_t events, OnReady on_ready);
  void change(WatchId id, std::uint32_t events);
  /// An invalid id is no error.
  void unwatch(WatchId id);

  /// Calls `on_due` once after `delay`.
  TimerId call_after(Duration delay, OnDue on_due);
  /// An invalid id or one that was called is no error.
  void cancel(TimerId id);

  /// Dispatches until stop(); may be called again.
  Result<void> run();
  void stop() { stopping_ = true; }

 private:
  struct Watch {
    int fd = -1;
    OnReady on_ready;
  };
  using Watches = std::map<WatchId, Watch>;

  EventLoop(const Clock& clock, UniqueFd epoll) : clock_(&clock), epoll_(std::move(epoll)) {}
  int wait_milliseconds() const;
  void call_due_timers();

  const Clock* clock_;
  UniqueFd epoll_;
  Watches watches_;
  std::vector<Watches::node_type> removed_;  ///< Keeps a callback alive that removes itself while it runs.
  std::map<std::pair<MonotonicPoint, TimerId>, OnDue> timers_;
  std::map<TimerId, MonotonicPoint> due_;
  std::uint64_t last_id_ = 0;
  bool stopping_ = false;
};

}  // namespace trainyard::warden
