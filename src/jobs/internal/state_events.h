#pragma once
#include <string_view>

#include "domain/job_state.h"
#include "exec/execution_backend.h"

namespace trainyard::jobs::internal {

/// The type of the event that says a job has come into this state.
constexpr std::string_view event_of(JobState state) {
  switch (state) {
    case JobState::kQueued:
      return "requeued";
    case JobState::kStarting:
      return "launching";
    case JobState::kRunning:
      return "running";
    case JobState::kStopping:
      return "stopping";
    case JobState::kSucceeded:
      return "succeeded";
    case JobState::kFailed:
      return "failed";
    case JobState::kCancelled:
      return "cancelled";
    case JobState::kTimedOut:
      return "timed_out";
  }
  return "changed";
}

/// What the backend is told of an intent.
constexpr exec::StopReason stop_reason_of(StopIntent intent) {
  switch (intent) {
    case StopIntent::kPreempt:
      return exec::StopReason::kPreempt;
    case StopIntent::kLimit:
      return exec::StopReason::kLimit;
    case StopIntent::kDrain:
      return exec::StopReason::kDrain;
    case StopIntent::kCancel:
    case StopIntent::kNone:
      break;
  }
  return exec::StopReason::kCancel;
}

}  // namespace trainyard::jobs::internal
