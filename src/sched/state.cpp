#include "sched/state.h"

#include <algorithm>

namespace trainyard::sched {
namespace {

/// Room of a job as a share of the cluster: the largest over the kinds of resources.
double dominant_share(const Amounts& held, const Amounts& capacity) {
  double share = 0;
  for (std::size_t kind = 0; kind < kAmountKinds; ++kind) {
    if (capacity[kind] > 0) share = std::max(share, static_cast<double>(held[kind]) / static_cast<double>(capacity[kind]));
  }
  return share;
}

/// Milli-GPU seconds, or milli-CPU seconds of a job without GPUs, of `tasks` tasks over `span`.
std::int64_t service(const Demand& demand, std::int64_t tasks, Duration span) {
  const std::int64_t milli = demand.amounts[kGpu] > 0 ? demand.amounts[kGpu] : demand.amounts[kCpu];
  return static_cast<std::int64_t>(static_cast<double>(milli * tasks) * static_cast<double>(span.count()) / 1e6);
}

}  // namespace

void SchedulerState::submit(JobSnapshot job) {
  if (job.seq == 0) job.seq = next_seq_;
  next_seq_ = std::max(next_seq_, job.seq) + 1;
  job.shape = cluster.intern(job.demand, job.constraints);
  queue.workload.add(job);
  queue.add(std::move(job));
  ++queue.epoch;
}

void SchedulerState::withdraw(JobId id) {
  const JobSnapshot job = queue.remove(id);
  cluster.release_shape(job.shape);
  queue.ended_since_plan = true;
  ++queue.epoch;
}

void SchedulerState::start(const Start& start, TimePoint now) {
  RunningJob running;
  running.job = queue.remove(start.job);
  running.nodes = start.nodes;
  running.started_at = running.last_checkpoint = running.charged_until = now;
  running.limit_end = end_after(now, running.job.walltime);
  running.planned_end = running.job.estimate > Duration(0) ? end_after(now, running.job.estimate) : running.limit_end;
  queue.charge(running.job, running.held(), 1);
  cluster.start(std::move(running));
}

void SchedulerState::apply(const Decisions& decisions, TimePoint now) {
  queue.ended_since_plan = false;
  for (const JobId id : decisions.dropped_claims) queue.set_claim(id, std::nullopt);
  for (const ReservationChange& change : decisions.reservations) {
    queue.set_reservation(change.job, change.reservation);
    if (!change.reservation) queue.ended_since_plan = true;  // Room was given back: others may move earlier.
  }
  for (const Wait& wait : decisions.waits) {
    if (wait.overtaken_by > 0) queue.find_mutable(wait.job)->skips += wait.overtaken_by;
  }
  for (const Resize& shrink : decisions.shrinks) {
    cluster.find_mutable(shrink.job)->shrink_to = shrink.nodes;
  }
  for (const Preemption& preemption : decisions.preemptions) {
    for (const JobId victim : preemption.claim.victims) {
      RunningJob* job = cluster.find_mutable(victim);
      job->stopping = true;
      job->stop_deadline = preemption.claim.grace_ends;
      job->job.evicted_for = preemption.preemptor;
      job->job.evicted_in_epoch = queue.epoch;
      ++job->job.evictions;
      queue.recent_evictions.push_back(now);
    }
    queue.set_claim(preemption.preemptor, preemption.claim);
  }
  while (!queue.recent_evictions.empty() && queue.recent_evictions.front() + std::chrono::minutes(1) <= now) {
    queue.recent_evictions.erase(queue.recent_evictions.begin());
  }
  for (const Start& started : decisions.starts) start(started, now);
  for (const Resize& grow : decisions.grows) resize(grow.job, grow.nodes, now);
}

void SchedulerState::resize(JobId id, const Placement& nodes, TimePoint now) {
  const RunningJob before = *cluster.find(id);
  settle_service(*cluster.find_mutable(id), now);
  cluster.resize(id, nodes);
  queue.charge(before.job, cluster.find(id)->held() - before.held(), 0);
}

/// Books the service since it was last booked.
void SchedulerState::settle_service(RunningJob& job, TimePoint now) {
  const Duration ran = now - job.charged_until;
  queue.add_usage(job.job, dominant_share(job.held(), cluster.capacity()) * static_cast<double>(ran.count()) / 1e6, now);
  job.job.attained_milli_seconds += service(job.job.demand, task_count(job.nodes), ran);
  job.charged_until = now;
}

RunningJob SchedulerState::end(JobId id, TimePoint now, bool evicted) {
  RunningJob job = cluster.end(id);
  cluster.release_shape(job.job.shape);
  queue.charge(job.job, job.held() * -1, -1);
  settle_service(job, now);
  queue.ended_since_plan = true;
  if (!evicted) ++queue.epoch;
  return job;
}

void SchedulerState::requeue(const RunningJob& job, TimePoint eligible_at) {
  JobSnapshot waiting = job.job;
  waiting.eligible_at = eligible_at;
  waiting.reservation.reset();
  waiting.claim.reset();
  waiting.shape = cluster.intern(waiting.demand, waiting.constraints);
  queue.add(std::move(waiting));
}

}  // namespace trainyard::sched
