#include "jobs/waiting.h"

#include <fmt/format.h>

namespace trainyard::jobs {
namespace {

JobId awaited(const JobDependency& dependency) { return JobId(static_cast<std::uint64_t>(dependency.job)); }

std::string_view verb_of(const JobDependency& dependency) {
  return dependency.when == "ok" ? "succeed" : dependency.when == "failed" ? "fail" : "end";
}

std::string hold_text(const Job& job, const Hold* array_hold) {
  const Hold& hold = job.hold ? *job.hold : *array_hold;
  const JobId held = job.hold ? job.id : job.array_parent;
  return fmt::format(" {} is held{} since {}: `trainyard job release {}` lets it go.", job.hold ? "It" : "Its array",
                     hold.by.empty() ? "" : " by " + hold.by, to_rfc3339(hold.since), held.text());
}

std::string dependency_text(const Job& job) {
  constexpr std::size_t kShown = 5;
  std::string text = " It waits for";
  for (std::size_t i = 0; i < std::min(kShown, job.waits_for.size()); ++i) {
    text += fmt::format("{} job {} to {}", i == 0 ? "" : ",", job.waits_for[i].job, verb_of(job.waits_for[i]));
  }
  if (job.waits_for.size() > kShown) text += fmt::format(" and {} more", job.waits_for.size() - kShown);
  return text + ".";
}

}  // namespace

std::optional<sched::Wait> gate_of(const Job& job, const Hold* array_hold) {
  sched::Wait wait{.job = job.id};
  if (job.hold || array_hold != nullptr) {
    wait.reason = sched::Reason::kSuspended;
    return wait;
  }
  if (job.waits_for.empty()) return std::nullopt;
  wait.reason = sched::Reason::kDependencyNotMet;
  wait.blocker = awaited(job.waits_for.front());
  wait.needed = static_cast<std::int64_t>(job.waits_for.size());
  return wait;
}

std::optional<sched::Explanation> explain_gate(const Job& job, const Hold* array_hold, TimePoint now) {
  const std::optional<sched::Wait> wait = gate_of(job, array_hold);
  if (!wait) return std::nullopt;
  sched::Explanation explanation;
  explanation.job = job.id;
  explanation.reason = wait->reason;
  explanation.message = std::string(sched::meaning_of(wait->reason));
  if (wait->reason == sched::Reason::kSuspended) {
    explanation.message += hold_text(job, array_hold);
    if (!job.waits_for.empty()) explanation.also.push_back(sched::Reason::kDependencyNotMet);
  } else {
    explanation.message += dependency_text(job);
  }
  for (const JobDependency& dependency : job.waits_for) explanation.blocking.push_back(awaited(dependency));
  if (job.eligible_at > now) explanation.also.push_back(sched::Reason::kBackoff);
  return explanation;
}

std::vector<sched::Fix> gate_fixes(const Job& job, const Hold* array_hold) {
  std::vector<sched::Fix> fixes;
  if (job.hold || array_hold != nullptr) fixes.push_back({.dimension = "hold", .text = "held -> released"});
  if (!job.waits_for.empty()) {
    fixes.push_back({.dimension = "after", .text = fmt::format("{} dependencies -> 0", job.waits_for.size())});
  }
  return fixes;
}

}  // namespace trainyard::jobs
