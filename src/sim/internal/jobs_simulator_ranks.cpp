#include <algorithm>
#include <csignal>

#include "sim/internal/jobs_simulator.h"

// The simulated nodes: ranks that start, run and exit.

namespace trainyard::sim {
namespace {

constexpr int kExitCheckpointed = 75;

exec::RankExit exit_of(const std::optional<exec::StopReason>& stopped, bool saved, TimePoint now) {
  exec::RankExit exit;
  exit.ended_at = now;
  if (!stopped) return exit;
  exit.stop_requested = true;
  exit.signal = saved ? 0 : SIGTERM;
  exit.code = saved ? kExitCheckpointed : 128 + SIGTERM;
  return exit;
}

bool gives_way(const std::optional<exec::StopReason>& stopped) {
  return stopped == exec::StopReason::kPreempt || stopped == exec::StopReason::kDrain;
}

}  // namespace

void JobsSimulator::launch(const exec::GangLaunch& launch) {
  const std::uint32_t number = number_of_[launch.attempt.job.value - 1];
  const TraceJob& job = trace_.jobs[number];
  Run& run = runs_[number];
  if (run.attempt == launch.attempt) return;
  run.attempt = launch.attempt;
  run.stopped.reset();
  JobRun& work = run.work;
  JobOutcome& outcome = result_.outcomes[number];
  ++result_.events;
  work.attempt = launch.attempt.attempt.value;
  if (outcome.attempts++ == 0) outcome.first_start = now_;
  work.tasks = static_cast<std::int32_t>(launch.ranks.size());
  work.started = now_;
  work.since = now_ + (work.attempt > 1 ? job.restart_cost : Duration(0));
  work.done = work.saved = Duration(0);
  work.leaving = work.saving = false;
  fairness_->change(group_of(number), amount_of(number) * work.tasks, -1, now_);
  open_segment(number, launch.nodes);
  ++work.generation;
  if (work.finish() <= limit_end(number)) {
    events_.push({work.finish(), EventKind::kEnd, number, work.generation});
  } else {
    events_.push({limit_end(number), EventKind::kOverrun, number, work.generation});
  }
  // Nothing is reported from inside a call.
  strand_.post([this, attempt = launch.attempt, ranks = static_cast<std::uint32_t>(launch.ranks.size())] {
    for (std::uint32_t rank = 0; rank < ranks; ++rank) observer_->on_rank_running({attempt, rank}, clock_.now());
  });
}

/// A job that gives way checkpoints when that fits the grace; one that cannot, or is stopped for good, has nothing to wait for.
void JobsSimulator::stop(const AttemptKey& attempt, exec::StopReason reason, Duration grace_max) {
  const std::uint32_t number = running_job(attempt);
  if (number == kNoJob || runs_[number].stopped) return;
  const TraceJob& job = trace_.jobs[number];
  Run& run = runs_[number];
  run.stopped = reason;
  JobRun& work = run.work;
  const Duration cost = job.checkpoint_cost;
  work.saved = work.saved_by(now_, job.checkpoint_interval);
  work.settle(now_);
  work.saving = gives_way(run.stopped) && cost > Duration(0) && cost <= grace_max;
  work.leaving = true;
  ++work.generation;
  events_.push({work.saving ? now_ + cost : now_, EventKind::kLeave, number, work.generation});
  if (work.saving) charge_loss(number, cost);
}

void JobsSimulator::request_checkpoint(const AttemptKey& attempt) {
  const std::uint32_t number = running_job(attempt);
  if (number == kNoJob || trace_.jobs[number].checkpoint_cost == Duration(0)) return;
  runs_[number].work.saved = runs_[number].work.progress(now_);
}

/// The ranks of a running job exit: done, or as they were asked to.
void JobsSimulator::exit_ranks(std::uint32_t number) {
  Run& run = runs_[number];
  JobRun& work = run.work;
  const auto ranks = static_cast<std::uint32_t>(work.tasks);
  const exec::RankExit exit = exit_of(run.stopped, work.saving, clock_.now());
  close_segment(number, !run.stopped                               ? SegmentState::kSucceeded
                        : gives_way(run.stopped)                   ? SegmentState::kPreempted
                        : *run.stopped == exec::StopReason::kLimit ? SegmentState::kTimedOut
                                                                   : SegmentState::kFailed);
  fairness_->change(group_of(number), -amount_of(number) * work.tasks, 0, now_);
  ++result_.events;
  if (gives_way(run.stopped)) leave(number);
  ++work.generation;
  work.tasks = 0;
  for (std::uint32_t rank = 0; rank < ranks; ++rank) observer_->on_rank_exited({run.attempt, rank}, exit);
}

/// The job waits again for what its checkpoints do not hold.
void JobsSimulator::leave(std::uint32_t number) {
  JobRun& work = runs_[number].work;
  const TraceJob& job = trace_.jobs[number];
  work.saved = work.saving ? work.done : work.saved_by(now_, job.checkpoint_interval);
  charge_loss(number, work.progress(now_) - work.saved);
  charge_loss(number, job.restart_cost);
  work.left -= work.saved;
  ++result_.preemptions;
  fairness_->change(group_of(number), 0, 1, now_);
}

void JobsSimulator::open_segment(std::uint32_t number, const std::vector<NodeName>& nodes) {
  std::vector<HostRange>& hosts = result_.hosts;
  Segment segment{.job = number, .attempt = runs_[number].work.attempt, .start = now_};
  segment.hosts_begin = static_cast<std::uint32_t>(hosts.size());
  segment.tasks = static_cast<std::uint32_t>(nodes.size());
  std::vector<std::uint32_t> positions;
  for (const NodeName& node : nodes) positions.push_back(node_positions_.at(node.text));
  std::sort(positions.begin(), positions.end());
  for (std::size_t i = 0; i < positions.size();) {
    const std::uint32_t position = positions[i];
    std::uint32_t tasks = 0;
    for (; i < positions.size() && positions[i] == position; ++i) ++tasks;
    const bool first = hosts.size() == segment.hosts_begin;
    if (!first && hosts.back().last + 1 == position && hosts.back().tasks == tasks) {
      hosts.back().last = position;
    } else {
      hosts.push_back({position, position, tasks});
    }
  }
  segment.hosts_count = static_cast<std::uint32_t>(hosts.size()) - segment.hosts_begin;
  runs_[number].work.segment = static_cast<std::uint32_t>(result_.segments.size());
  result_.segments.push_back(segment);
}

void JobsSimulator::close_segment(std::uint32_t number, SegmentState state) {
  Segment& segment = result_.segments[runs_[number].work.segment];
  segment.end = now_;
  segment.state = state;
  result_.outcomes[number].ran += segment.end - segment.start;
}

void JobsSimulator::charge_loss(std::uint32_t number, Duration work) {
  const sched::Demand& demand = runs_[number].made.demand;
  const bool gpus = demand.amounts[sched::kGpu] > 0;
  const double milli = static_cast<double>(demand.amounts[gpus ? sched::kGpu : sched::kCpu]) * runs_[number].work.nominal;
  (gpus ? result_.lost_gpu_seconds : result_.lost_cpu_seconds) += milli / 1000 * static_cast<double>(work.count()) / 1e6;
}

/// When the service will ask a running job to stop because of its limit.
Duration JobsSimulator::limit_end(std::uint32_t number) const {
  const JobRun& work = runs_[number].work;
  return work.limit == kUnbounded ? kUnbounded : work.started + work.limit;
}

/// The job whose current attempt this is, while it runs.
std::uint32_t JobsSimulator::running_job(const AttemptKey& attempt) const {
  const std::uint32_t number = number_of_[attempt.job.value - 1];
  return runs_[number].work.tasks > 0 && runs_[number].attempt == attempt ? number : kNoJob;
}

std::int64_t JobsSimulator::amount_of(std::uint32_t number) const {
  return runs_[number].made.demand.amounts[measure_gpus_ ? sched::kGpu : sched::kCpu];
}

std::uint32_t JobsSimulator::group_of(std::uint32_t number) const {
  return group_by_queue_ ? trace_.jobs[number].queue : trace_.jobs[number].user;
}

}  // namespace trainyard::sim
