#pragma once
#include <chrono>

#include "base/error.h"
#include "base/time.h"

namespace trainyard::apps {

/// True for failures that may pass: nobody listens, the connection broke, the server is overloaded.
bool is_transient(const Error& error);

/// Blocks for `span`.
void pause_for(std::chrono::milliseconds span);

/// Patience with a server that is away while something is followed: tells of it once, pauses longer and longer, gives up in time.
class Outage {
 public:
  explicit Outage(Duration patience) : patience_(patience), last_heard_(clock_.monotonic_now()) {}

  /// After a failure: pauses and returns true when another try is worth it.
  bool wait_after(const Error& error);
  /// After an answer.
  void heard();

 private:
  SystemClock clock_;
  Duration patience_;
  MonotonicPoint last_heard_;
  std::chrono::milliseconds next_pause_{100};
  bool away_ = false;
};

}  // namespace trainyard::apps
