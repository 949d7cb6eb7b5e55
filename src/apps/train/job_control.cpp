#include "apps/train/job_control.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace trainyard::apps {
namespace {

using namespace std::chrono_literals;

constexpr Duration kPause = 1s;
constexpr Duration kShortPause = 20ms;

/// The decision in an answer; none while it is pending. Errors: INVALID_ARGUMENT for an answer of another form.
Result<std::optional<train::RungDecision>> decision_in(const Document& answer) {
  ASSIGN_OR_RETURN(const std::string decision, answer.string_or("decision", "pending"));
  if (decision == "continue") return std::optional(train::RungDecision::kContinue);
  if (decision == "stop") return std::optional(train::RungDecision::kStop);
  return std::optional<train::RungDecision>();
}

}  // namespace

std::optional<train::RungDecision> JobControl::await_rung(std::int64_t step, Duration wait) {
  const MonotonicPoint deadline = clock_.monotonic_now() + wait;
  while (!stop_.stop_requested()) {
    const Duration left = deadline - clock_.monotonic_now();
    if (left <= Duration(0)) break;
    // A stop must not wait for the end of a long poll, so each lasts a second at most.
    const std::string target = fmt::format("/api/v1/trials/{}/rungs/{}?wait=1", job_.value, step);
    const Result<Document> answer = server_->api().get(target);
    const Result<std::optional<train::RungDecision>> decision = answer.ok() ? decision_in(answer.value()) : answer.error();
    if (decision.ok() && decision.value()) return *decision;
    if (!decision.ok() && decision.error().describe() != last_complaint_) {
      last_complaint_ = decision.error().describe();
      std::fputs(fmt::format("trainyard-train: waiting at the rung of step {}: {}\n", step, last_complaint_).c_str(), stderr);
    }
    // A server that has nothing to say should hold the question; one that answers at once is not asked at once again.
    stop_.wait_for_stop(std::min(left, decision.ok() ? kShortPause : kPause));
  }
  return std::nullopt;
}

void EventListener::on_warning(const Error& error) {
  std::fputs(fmt::format("trainyard-train: warning: {}\n", error.describe()).c_str(), stderr);
}

}  // namespace trainyard::apps
