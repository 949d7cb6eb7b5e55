#pragma once
#include <functional>
#include <memory>
#include <string>

#include "base/time.h"

namespace trainyard {

/// Runs tasks one after the other, in the order they were posted: the owner of a service's state.
/// `post` and `post_at` may be called from any thread; tasks run on the executor's own thread and must not block.
class Executor {
 public:
  using Task = std::function<void()>;

  virtual ~Executor() = default;
  virtual void post(Task task) = 0;
  /// Runs `task` once `due` has passed on the monotonic clock.
  virtual void post_at(MonotonicPoint due, Task task) = 0;
};

/// A thread of its own. Tasks that are still waiting when it is destroyed are dropped.
class ThreadExecutor final : public Executor {
 public:
  explicit ThreadExecutor(std::string name);
  ~ThreadExecutor() override;
  ThreadExecutor(const ThreadExecutor&) = delete;
  ThreadExecutor& operator=(const ThreadExecutor&) = delete;

  void post(Task task) override;
  void post_at(MonotonicPoint due, Task task) override;

  /// Lets the running task finish, drops the rest and joins the thread. Called by the destructor too.
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace trainyard
