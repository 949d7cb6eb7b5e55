#pragma once
#include <optional>
#include <string_view>

namespace trainyard {

/// Where a job is in its life (the machine is drawn in docs/ARCHITECTURE.md). The last four are terminal and immutable.
enum class JobState { kQueued, kStarting, kRunning, kStopping, kSucceeded, kFailed, kCancelled, kTimedOut };

/// Why a job was asked to stop; recorded durably before anybody is signalled, and it decides what comes next.
enum class StopIntent { kNone, kCancel, kPreempt, kLimit, kDrain };

constexpr bool is_terminal(JobState state) { return state >= JobState::kSucceeded; }

/// "QUEUED", "RUNNING" ...
std::string_view name_of(JobState state);
std::optional<JobState> job_state_from(std::string_view name);

/// "cancel", "limit" ..., empty for kNone.
std::string_view name_of(StopIntent intent);
std::optional<StopIntent> stop_intent_from(std::string_view name);

}  // namespace trainyard
