#include "domain/job_state.h"

#include <algorithm>
#include <array>
#include <utility>

namespace trainyard {
namespace {

constexpr std::array<std::pair<JobState, std::string_view>, 8> kStates{{{JobState::kQueued, "QUEUED"},
                                                                        {JobState::kStarting, "STARTING"},
                                                                        {JobState::kRunning, "RUNNING"},
                                                                        {JobState::kStopping, "STOPPING"},
                                                                        {JobState::kSucceeded, "SUCCEEDED"},
                                                                        {JobState::kFailed, "FAILED"},
                                                                        {JobState::kCancelled, "CANCELLED"},
                                                                        {JobState::kTimedOut, "TIMED_OUT"}}};

constexpr std::array<std::pair<StopIntent, std::string_view>, 5> kIntents{{{StopIntent::kNone, ""},
                                                                           {StopIntent::kCancel, "cancel"},
                                                                           {StopIntent::kPreempt, "preempt"},
                                                                           {StopIntent::kLimit, "limit"},
                                                                           {StopIntent::kDrain, "drain"}}};

constexpr std::array<std::pair<ReasonCode, std::string_view>, 22> kReasons{{{ReasonCode::kNone, ""},
                                                                            {ReasonCode::kSucceeded, "succeeded"},
                                                                            {ReasonCode::kExitCode, "exit_code"},
                                                                            {ReasonCode::kSignal, "signal"},
                                                                            {ReasonCode::kBadConfiguration, "bad_configuration"},
                                                                            {ReasonCode::kBadData, "bad_data"},
                                                                            {ReasonCode::kBadCommand, "bad_command"},
                                                                            {ReasonCode::kCheckpointed, "checkpointed"},
                                                                            {ReasonCode::kOutOfMemory, "out_of_memory"},
                                                                            {ReasonCode::kNodeLost, "node_lost"},
                                                                            {ReasonCode::kLaunchFailed, "launch_failed"},
                                                                            {ReasonCode::kInfrastructure, "infrastructure"},
                                                                            {ReasonCode::kElementsFailed, "elements_failed"},
                                                                            {ReasonCode::kCancelled, "cancelled"},
                                                                            {ReasonCode::kDependencyFailed, "dependency_failed"},
                                                                            {ReasonCode::kQueueLimit, "queue_limit"},
                                                                            {ReasonCode::kTotalLimit, "total_limit"},
                                                                            {ReasonCode::kAttemptLimit, "attempt_limit"},
                                                                            {ReasonCode::kStepLimit, "step_limit"},
                                                                            {ReasonCode::kNoProgressLimit, "no_progress_limit"},
                                                                            {ReasonCode::kPreempted, "preempted"},
                                                                            {ReasonCode::kDrained, "drained"}}};

template <typename Table, typename Value>
std::string_view name_in(const Table& table, Value value) {
  return std::find_if(table.begin(), table.end(), [value](const auto& entry) { return entry.first == value; })->second;
}

template <typename Value, typename Table>
std::optional<Value> value_in(const Table& table, std::string_view name) {
  const auto found = std::find_if(table.begin(), table.end(), [name](const auto& entry) { return entry.second == name; });
  return found == table.end() ? std::nullopt : std::optional<Value>(found->first);
}

}  // namespace

std::string_view name_of(JobState state) { return name_in(kStates, state); }
std::optional<JobState> job_state_from(std::string_view name) { return value_in<JobState>(kStates, name); }
std::string_view name_of(StopIntent intent) { return name_in(kIntents, intent); }
std::optional<StopIntent> stop_intent_from(std::string_view name) { return value_in<StopIntent>(kIntents, name); }

std::string_view name_of(ReasonCode code) { return name_in(kReasons, code); }
std::optional<ReasonCode> reason_code_from(std::string_view name) { return value_in<ReasonCode>(kReasons, name); }

}  // namespace trainyard
