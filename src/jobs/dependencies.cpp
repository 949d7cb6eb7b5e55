#include "jobs/dependencies.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace trainyard::jobs {

DependencyOutcome judge(const JobDependency& dependency, JobState state) {
  if (!is_terminal(state)) return DependencyOutcome::kWaiting;
  if (dependency.when == "any") return DependencyOutcome::kMet;
  const bool wants_success = dependency.when == "ok";
  return wants_success == (state == JobState::kSucceeded) ? DependencyOutcome::kMet : DependencyOutcome::kImpossible;
}

DependencyOutcome settle_dependency(Job& waiting, JobId ended, JobState state, TimePoint now) {
  const auto on_it = [ended](const JobDependency& dependency) { return static_cast<std::uint64_t>(dependency.job) == ended.value; };
  const auto found = std::find_if(waiting.waits_for.begin(), waiting.waits_for.end(), on_it);
  if (found == waiting.waits_for.end()) return DependencyOutcome::kWaiting;
  const DependencyOutcome outcome = judge(*found, state);
  if (outcome != DependencyOutcome::kMet) return outcome;
  waiting.waits_for.erase(found);
  if (!waiting.waits_for.empty()) return DependencyOutcome::kWaiting;
  waiting.waits_since = now;
  return DependencyOutcome::kMet;
}

std::string impossible_dependency_text(const Job& waiting, JobId ended, JobState state) {
  const auto on_it = [ended](const JobDependency& dependency) { return static_cast<std::uint64_t>(dependency.job) == ended.value; };
  const auto found = std::find_if(waiting.spec.after.begin(), waiting.spec.after.end(), on_it);
  const bool wanted_failure = found != waiting.spec.after.end() && found->when == "failed";
  return fmt::format("it can never start: it waits for job {} to {}, and that is {}", ended.value, wanted_failure ? "fail" : "succeed",
                     name_of(state));
}

std::vector<JobId> DependencyIndex::take(JobId ended) {
  const auto found = waiting_.find(ended);
  if (found == waiting_.end()) return {};
  std::vector<JobId> jobs = std::move(found->second);
  waiting_.erase(found);
  return jobs;
}

void RecentEnds::add(JobId job, JobState state) {
  if (!states_.emplace(job, state).second) return;
  order_.push_back(job);
  if (order_.size() <= kKept) return;
  states_.erase(order_.front());
  order_.pop_front();
}

std::optional<JobState> RecentEnds::find(JobId job) const {
  const auto found = states_.find(job);
  return found == states_.end() ? std::nullopt : std::optional(found->second);
}

Result<std::map<JobId, JobState>> ended_states(store::JobLedger& ledger, const std::vector<JobId>& jobs) {
  std::map<JobId, JobState> states;
  for (const JobId id : jobs) {
    const Result<store::JobRecord> record = ledger.get(id);
    if (!record.ok() && record.error().category == Category::kNotFound) continue;
    if (!record.ok()) return record.error();
    if (record->live) continue;
    ASSIGN_OR_RETURN(const Job job, decode_job(record->body));
    states.emplace(id, job.state);
  }
  return states;
}

}  // namespace trainyard::jobs
