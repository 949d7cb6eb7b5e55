#include "sched/change.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "sched/plan.h"

namespace trainyard::sched {
namespace {

Error unknown_job(JobId id) { return not_found("job.unknown", fmt::format("no such job waits or runs: {}", id.text())); }

/// Requests that no job could have been submitted with.
Result<void> check_request(std::int32_t tasks, Duration walltime, const Demand& demand) {
  const bool negative = std::any_of(demand.amounts.of.begin(), demand.amounts.of.end(), [](std::int64_t amount) { return amount < 0; });
  if (tasks >= 1 && walltime > Duration(0) && !negative) return {};
  return invalid_argument("job.bad_request",
                          fmt::format("a job has at least one task, a limit above 0 and no negative amounts: {} tasks, {}", tasks,
                                      walltime > Duration(0) ? format_duration(walltime) : "no time"));
}

struct Apply {
  SchedulerState& state;

  Result<void> operator()(const SubmitJob& change) const {
    const JobSnapshot& job = change.job;
    if (state.queue.find(job.id) != nullptr || state.cluster.find(job.id) != nullptr) {
      return failed_precondition("job.exists", fmt::format("a job with this id is live already: {}", job.id.text()));
    }
    if (job.queue >= state.queue.queues().size() || !state.queue.queue(job.queue).leaf()) {
      return not_found("queue.unknown", fmt::format("a job needs a queue that takes jobs: index {}", job.queue));
    }
    TRY(check_request(job.tasks, job.walltime, job.demand));
    state.submit(job);
    return {};
  }

  Result<void> operator()(const CancelJob& change) const {
    TRY(check_waiting(change.job));
    state.withdraw(change.job);
    return {};
  }

  Result<void> operator()(const AlterJob& change) const {
    TRY(check_waiting(change.job));
    const JobSnapshot& before = *state.queue.find(change.job);
    JobSnapshot job = altered(before, change);
    TRY(check_request(job.tasks, job.walltime, job.demand));
    if (before.reservation || before.claim) state.queue.ended_since_plan = true;  // Room was given back: others may move earlier.
    replace_waiting(state, std::move(job));
    state.touch();
    return {};
  }

  Result<void> operator()(const AddNodes& change) const {
    if (change.count < 1) return invalid_argument("cluster.bad_count", fmt::format("how many nodes are added: {}", change.count));
    std::vector<NodeInfo> added(static_cast<std::size_t>(change.count), change.node);
    for (std::size_t i = 1; i < added.size(); ++i) added[i].name.text += "-" + std::to_string(i + 1);
    if (added.size() > 1) {
      ClusterSnapshot trial = state.cluster;
      for (const NodeInfo& info : added) TRY(trial.add_node(info));
      state.cluster = std::move(trial);
    } else {
      TRY(state.cluster.add_node(added[0]));
    }
    state.touch();
    return {};
  }

  Result<void> operator()(const DrainNode& change) const {
    const std::optional<NodeIndex> node = state.cluster.find_node(change.node);
    if (!node) return not_found("cluster.node_unknown", fmt::format("no node has this name: \"{}\"", change.node.text));
    state.cluster.set_drained(*node, change.drained);
    state.touch();
    return {};
  }

  Result<void> operator()(const SetQuota& change) const {
    const std::optional<QueueIndex> queue = state.queue.find_queue(change.queue);
    if (!queue) return not_found("queue.unknown", fmt::format("no queue has this name: \"{}\"", change.queue));
    QueueSettings settings = state.queue.queue(*queue).settings;
    settings.nominal = change.nominal;
    TRY(state.queue.configure(*queue, std::move(settings)));
    state.touch();
    return {};
  }

  Result<void> check_waiting(JobId id) const {
    if (state.queue.find(id) != nullptr) return {};
    if (state.cluster.find(id) == nullptr) return unknown_job(id);
    return failed_precondition("job.running", fmt::format("only a waiting job can be altered or taken out: {} runs", id.text()));
  }
};

/// When each waiting job starts as far as a plan says.
std::map<JobId, TimePoint> known_starts(const SchedulerState& state, const Decisions& decisions, TimePoint now) {
  std::map<JobId, TimePoint> starts;
  for (const JobId id : state.queue.promised()) {
    const JobSnapshot& job = *state.queue.find(id);
    if (job.reservation) starts[id] = job.reservation->start;
  }
  for (const ReservationChange& change : decisions.reservations) {
    if (change.reservation) {
      starts[change.job] = change.reservation->start;
    } else {
      starts.erase(change.job);
    }
  }
  for (const Start& start : decisions.starts) starts[start.job] = now;
  return starts;
}

}  // namespace

JobSnapshot altered(const JobSnapshot& job, const AlterJob& change) {
  JobSnapshot altered = job;
  altered.reservation.reset();
  altered.claim.reset();
  if (change.demand) altered.demand = *change.demand;
  if (change.tasks) {
    altered.tasks = *change.tasks;
    altered.tasks_min = std::min(altered.tasks_min, *change.tasks);
  }
  if (change.walltime) altered.walltime = *change.walltime;
  if (change.priority) altered.priority = *change.priority;
  return altered;
}

void replace_waiting(SchedulerState& state, JobSnapshot job) {
  const JobSnapshot before = state.queue.remove(job.id);
  job.shape = state.cluster.intern(job.demand, job.constraints);
  state.cluster.release_shape(before.shape);
  state.queue.add(std::move(job));
}

Result<void> apply_change(SchedulerState& state, const Change& change) { return std::visit(Apply{state}, change); }

WhatIf compare_plans(const SchedulerState& state, SchedulerState changed, TimePoint now) {
  WhatIf answer;
  answer.changed = std::move(changed);
  answer.with_change = plan(answer.changed.cluster, answer.changed.queue, now);
  const std::map<JobId, TimePoint> before = known_starts(state, plan(state.cluster, state.queue, now), now);
  const std::map<JobId, TimePoint> after = known_starts(answer.changed, answer.with_change, now);
  std::map<JobId, StartShift> shifts;
  for (const auto& [id, time] : before) shifts[id].before = time;
  for (const auto& [id, time] : after) shifts[id].after = time;
  for (auto& [id, shift] : shifts) {
    shift.job = id;
    if (shift.before != shift.after) answer.shifts.push_back(shift);
  }
  return answer;
}

Result<WhatIf> what_if(const SchedulerState& state, const Change& change, TimePoint now) {
  SchedulerState fork = state;
  TRY(apply_change(fork, change));
  return compare_plans(state, std::move(fork), now);
}

}  // namespace trainyard::sched
