#include "jobs/what_if.h"

#include <algorithm>

#include "sched/plan.h"

namespace trainyard::jobs {
namespace {

std::vector<NodeName> nodes_by_rank(const sched::ClusterSnapshot& cluster, const sched::Placement& placement) {
  std::vector<NodeName> nodes;
  for (const sched::TaskPlace& place : placement) nodes.insert(nodes.end(), place.tasks, cluster.node(place.node).info->name);
  return nodes;
}

const sched::Start* start_of(const sched::Decisions& decisions, JobId id) {
  const auto found =
      std::find_if(decisions.starts.begin(), decisions.starts.end(), [id](const sched::Start& start) { return start.job == id; });
  return found == decisions.starts.end() ? nullptr : &*found;
}

/// The job as the plan `decisions` of `state`, which has it, leaves it.
TriedJob read_plan(sched::SchedulerState state, const sched::Decisions& decisions, JobId id, TimePoint now, bool with_fixes) {
  TriedJob job;
  if (const sched::Start* start = start_of(decisions, id)) {
    job.starts_now = true;
    job.placement = nodes_by_rank(state.cluster, start->nodes);
    return job;
  }
  if (!with_fixes) {
    job.fixes_unknown = "plans take too long to look for what would start the job: ask again when fewer jobs wait";
  } else if (Result<std::vector<sched::Fix>> fixes = sched::fixes_of(state, id, now); fixes.ok()) {
    job.fixes = std::move(fixes).value();
  }
  state.apply(decisions, now);
  if (Result<sched::Explanation> why = sched::explain(state, decisions, id, now); why.ok()) job.explanation = std::move(why).value();
  return job;
}

}  // namespace

TriedJob Trial::plan_job() const {
  if (settled) return *settled;
  sched::SchedulerState fork = state;
  fork.submit(*job);
  const sched::Decisions decisions = sched::plan(fork.cluster, fork.queue, now);
  return read_plan(std::move(fork), decisions, job->id, now, with_fixes);
}

Result<TrialAnswer> Trial::answer() const {
  TrialAnswer answer;
  if (settled) {
    answer.job = settled;
    return answer;
  }
  sched::SchedulerState changed = state;
  if (job) changed.submit(*job);
  for (const JobId id : cancelled) {
    if (changed.queue.find(id) != nullptr) changed.withdraw(id);
    if (changed.cluster.find(id) != nullptr) changed.end(id, now);
  }
  if (change) TRY(sched::apply_change(changed, *change));
  for (const JobId id : requeued) changed.requeue(changed.end(id, now), now);
  const sched::WhatIf compared = sched::compare_plans(state, std::move(changed), now);
  for (const sched::StartShift& shift : compared.shifts) {
    answer.starts.push_back({shift.job, shift.before, shift.after, {}});
    const sched::Start* start = start_of(compared.with_change, shift.job);
    if (start != nullptr) answer.starts.back().nodes = nodes_by_rank(compared.changed.cluster, start->nodes);
  }
  for (const JobId id : cancelled) {
    if (state.cluster.find(id) != nullptr) answer.stops.push_back(id);
  }
  answer.stops.insert(answer.stops.end(), requeued.begin(), requeued.end());
  for (const sched::Preemption& preemption : compared.with_change.preemptions) {
    answer.stops.insert(answer.stops.end(), preemption.claim.victims.begin(), preemption.claim.victims.end());
  }
  std::sort(answer.stops.begin(), answer.stops.end());
  answer.stops.erase(std::unique(answer.stops.begin(), answer.stops.end()), answer.stops.end());
  if (job) {
    answer.tried = job->id;
    answer.job = read_plan(compared.changed, compared.with_change, job->id, now, with_fixes);
  }
  return answer;
}

void conceal_jobs(sched::Explanation& explanation, const std::function<bool(JobId)>& is_seen) {
  for (const JobId id : explanation.blocking) {
    if (is_seen(id)) continue;
    const std::string named = "Job " + id.text() + " ";
    for (std::size_t at = explanation.message.find(named); at != std::string::npos; at = explanation.message.find(named, at)) {
      explanation.message.replace(at, named.size(), "Another job ");
    }
  }
  std::erase_if(explanation.blocking, [&is_seen](JobId id) { return !is_seen(id); });
}

}  // namespace trainyard::jobs
