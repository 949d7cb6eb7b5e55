#pragma once
#include "base/result.h"
#include "base/time.h"

namespace trainyard::runner {

/// The wishes of the node, told by signals: SIGTERM (and SIGINT, for people) asks to checkpoint and leave within the grace, SIGUSR1 to
/// checkpoint and go on. Signals are a property of the process, so every object sees the same ones; the handlers stay for its whole life.
/// Thread-safe.
class StopSignal {
 public:
  /// Installs the handlers, ignores SIGPIPE and SIGHUP. Errors: those of sigaction(2) and eventfd(2).
  static Result<StopSignal> install();

  bool stop_requested() const;
  /// True once per SIGUSR1 that came since the last call.
  bool take_checkpoint_request();
  /// Waits until a stop is asked for, at most `span`. Returns whether one is.
  bool wait_for_stop(Duration span) const;

 private:
  StopSignal() = default;
};

}  // namespace trainyard::runner
