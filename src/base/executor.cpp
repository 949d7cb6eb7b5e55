#include "base/executor.h"

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

namespace trainyard {

struct ThreadExecutor::State {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Task> ready;                      // guarded by mutex
  std::multimap<MonotonicPoint, Task> timers;  // guarded by mutex
  bool stopping = false;                       // guarded by mutex
  std::thread thread;

  void run();
  void move_due_timers(MonotonicPoint now);
};

void ThreadExecutor::State::move_due_timers(MonotonicPoint now) {
  while (!timers.empty() && timers.begin()->first <= now) {
    ready.push_back(std::move(timers.begin()->second));
    timers.erase(timers.begin());
  }
}

void ThreadExecutor::State::run() {
  const SystemClock clock;
  std::unique_lock lock(mutex);
  while (!stopping) {
    if (!timers.empty()) move_due_timers(clock.monotonic_now());
    if (!ready.empty()) {
      Task task = std::move(ready.front());
      ready.pop_front();
      lock.unlock();
      task();
      task = nullptr;
      lock.lock();
    } else if (timers.empty()) {
      changed.wait(lock);
    } else {
      changed.wait_until(lock, timers.begin()->first);
    }
  }
}

ThreadExecutor::ThreadExecutor(std::string name) : state_(std::make_unique<State>()) {
  state_->thread = std::thread([state = state_.get()] { state->run(); });
  pthread_setname_np(state_->thread.native_handle(), name.substr(0, 15).c_str());
}

ThreadExecutor::~ThreadExecutor() { stop(); }

void ThreadExecutor::post(Task task) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->ready.push_back(std::move(task));
  }
  state_->changed.notify_one();
}

void ThreadExecutor::post_at(MonotonicPoint due, Task task) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->timers.emplace(due, std::move(task));
  }
  state_->changed.notify_one();
}

void ThreadExecutor::stop() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->changed.notify_one();
  if (state_->thread.joinable()) state_->thread.join();
}

}  // namespace trainyard
