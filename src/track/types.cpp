#include <array>
#include <utility>

#include "track/types.h"

namespace trainyard::track {
namespace {

constexpr std::array<std::pair<RunStatus, std::string_view>, 5> kStatuses{{{RunStatus::kRunning, "RUNNING"},
                                                                           {RunStatus::kScheduled, "SCHEDULED"},
                                                                           {RunStatus::kFinished, "FINISHED"},
                                                                           {RunStatus::kFailed, "FAILED"},
                                                                           {RunStatus::kKilled, "KILLED"}}};

}  // namespace

std::string_view name_of(Lifecycle lifecycle) { return lifecycle == Lifecycle::kActive ? "active" : "deleted"; }

std::string_view name_of(RunStatus status) { return kStatuses[static_cast<std::size_t>(status)].second; }

std::optional<RunStatus> run_status_from(std::string_view name) {
  for (const auto& [status, text] : kStatuses) {
    if (text == name) return status;
  }
  return std::nullopt;
}

}  // namespace trainyard::track
