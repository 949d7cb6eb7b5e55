#pragma once
#include <csignal>

#include <atomic>
#include <functional>
#include <thread>

#include "base/file.h"

namespace trainyard::apps {

/// Turns SIGINT, SIGTERM and SIGHUP into a call, so that a command can end in order. The first signal is remembered and told; a second one
/// ends the process at once, for people who do not want to wait.
class SignalWatch {
 public:
  /// Blocks the signals; they wait until `start`. To be made while the process has one thread: later ones inherit the mask.
  SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;
  ~SignalWatch();

  /// `on_signal` is called from a thread of this object, at most once.
  Result<void> start(std::function<void(int signal)> on_signal);
  /// The signal that came first; 0: none.
  int taken() const { return taken_; }

 private:
  void watch(const std::function<void(int)>& on_signal);

  sigset_t mask_{};
  UniqueFd signals_;
  UniqueFd stop_;
  std::atomic<int> taken_{0};
  std::thread thread_;
};

}  // namespace trainyard::apps
