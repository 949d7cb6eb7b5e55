#include "apps/warden/event_loop.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace trainyard::warden {

Result<EventLoop> EventLoop::make(const Clock& clock) {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return system_error(errno, "epoll_create1", "");
  return EventLoop(clock, std::move(epoll));
}

Result<WatchId> EventLoop::watch(int fd, std::uint32_t events, OnReady on_ready) {
  const WatchId id(++last_id_);
  epoll_event event{};
  event.events = events;
  event.data.u64 = id.value;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return system_error(errno, "epoll_ctl", "");
  watches_.emplace(id, Watch{fd, std::move(on_ready)});
  return id;
}

void EventLoop::change(WatchId id, std::uint32_t events) {
  const auto found = watches_.find(id);
  if (found == watches_.end()) return;
  epoll_event event{};
  event.events = events;
  event.data.u64 = id.value;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, found->second.fd, &event);
}

void EventLoop::unwatch(WatchId id) {
  const auto found = watches_.find(id);
  if (found == watches_.end()) return;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, found->second.fd, nullptr);
  removed_.push_back(watches_.extract(found));
}

TimerId EventLoop::call_after(Duration delay, OnDue on_due) {
  const TimerId id(++last_id_);
  const MonotonicPoint due = clock_->monotonic_now() + delay;
  timers_.emplace(std::pair(due, id), std::move(on_due));
  due_.emplace(id, due);
  return id;
}

void EventLoop::cancel(TimerId id) {
  const auto found = due_.find(id);
  if (found == due_.end()) return;
  timers_.erase({found->second, id});
  due_.erase(found);
}

int EventLoop::wait_milliseconds() const {
  if (timers_.empty()) return -1;
  const Duration left = timers_.begin()->first.first - clock_->monotonic_now();
  return static_cast<int>(std::clamp<std::int64_t>(std::chrono::ceil<std::chrono::milliseconds>(left).count(), 0, 60'000));
}

void EventLoop::call_due_timers() {
  const MonotonicPoint now = clock_->monotonic_now();
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    const auto timer = timers_.extract(timers_.begin());
    due_.erase(timer.key().second);
    timer.mapped()();
  }
}

Result<void> EventLoop::run() {
  std::array<epoll_event, 64> events{};
  while (!stopping_) {
    const int ready = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), wait_milliseconds());
    if (ready < 0 && errno != EINTR) return system_error(errno, "epoll_wait", "");
    for (int index = 0; index < ready; ++index) {
      const epoll_event& event = events[static_cast<std::size_t>(index)];
      // An earlier callback of this round may have removed the watch.
      const auto watch = watches_.find(WatchId(event.data.u64));
      if (watch != watches_.end()) watch->second.on_ready(event.events);
    }
    call_due_timers();
    removed_.clear();
  }
  stopping_ = false;
  return {};
}

}  // namespace trainyard::warden
