#pragma once
#include <optional>
#include <string_view>

namespace trainyard {

/// Where a job is in its life (the machine is drawn in docs/ARCHITECTURE.md). The last four are terminal and immutable.
enum class JobState { kQueued, kStarting, kRunning, kStopping, kSucceeded, kFailed, kCancelled, kTimedOut };

/// Why a job was asked to stop; recorded durably before anybody is signalled, and it decides what comes next.
enum class StopIntent { kNone, kCancel, kPreempt, kLimit, kDrain };

/// What brought a job where it is, for programs; `kNone` while nothing did. The list is closed and names are stable.
enum class ReasonCode {
  kNone,
  // How an attempt or a job ended.
  kSucceeded,
  kExitCode,          ///< A rank exited with a code that says no more.
  kSignal,            ///< A rank ended by a signal of its own making, like SIGSEGV.
  kBadConfiguration,  ///< Exit code 64.
  kBadData,           ///< Exit code 65.
  kBadCommand,        ///< The program is not there or cannot be executed.
  kCheckpointed,      ///< Exit code 75 that nobody asked for.
  kOutOfMemory,
  kNodeLost,
  kLaunchFailed,    ///< The node could not set the process up.
  kInfrastructure,  ///< Killed from outside.
  kElementsFailed,  ///< Of an array: not all of its elements succeeded.
  // Why it was stopped or never started.
  kCancelled,
  kDependencyFailed,
  kQueueLimit,
  kTotalLimit,
  kAttemptLimit,
  kStepLimit,
  kNoProgressLimit,
  kPreempted,
  kDrained,
};

constexpr bool is_terminal(JobState state) { return state >= JobState::kSucceeded; }

/// "QUEUED", "RUNNING" ...
std::string_view name_of(JobState state);
std::optional<JobState> job_state_from(std::string_view name);

/// "cancel", "limit" ..., empty for kNone.
std::string_view name_of(StopIntent intent);
std::optional<StopIntent> stop_intent_from(std::string_view name);

/// "succeeded", "out_of_memory", "total_limit" ..., empty for kNone.
std::string_view name_of(ReasonCode code);
std::optional<ReasonCode> reason_code_from(std::string_view name);

}  // namespace trainyard
