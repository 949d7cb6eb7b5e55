#include <algorithm>

#include "sim/internal/simulator.h"

// Evictions, gangs that change their size, nodes that come and go.

namespace trainyard::sim {

/// The planner weighs victims by the age of their last checkpoint.
void Simulator::update_checkpoints() {
  for (const std::uint32_t number : checkpointing_) {
    const JobRun& run = runs_[number];
    if (run.tasks == 0) continue;
    const Duration unsaved = run.progress(now_) - run.saved_by(now_, trace_.jobs[number].checkpoint_interval);
    sched::RunningJob* running = state_.cluster.find_mutable(id_of(number));
    running->last_checkpoint = std::max(running->started_at, at(now_ - unsaved));
  }
}

/// The job leaves or shrinks at `time`, unless its limit comes first: that kills it while it saves, too.
void Simulator::plan_departure(std::uint32_t number, Duration time, EventKind kind) {
  const JobRun& run = runs_[number];
  tell_departure(number, time);
  const bool killed = settings_.kill && run.limit != kUnbounded && run.started + run.limit <= time;
  events_.push({killed ? run.started + run.limit : time, killed ? EventKind::kEnd : kind, number, run.generation});
}

/// The job checkpoints when that fits the grace, and is gone afterwards; a job that cannot has nothing to wait for.
void Simulator::ask_to_leave(std::uint32_t number, Duration grace) {
  const TraceJob& job = trace_.jobs[number];
  JobRun& run = runs_[number];
  const bool saves = job.checkpoint_cost > Duration(0) && job.checkpoint_cost <= grace;
  run.saved = run.saved_by(now_, job.checkpoint_interval);
  run.settle(now_);
  run.saving = saves;
  run.leaving = true;
  ++run.generation;
  plan_departure(number, saves ? now_ + job.checkpoint_cost : now_, EventKind::kLeave);
  if (saves) charge_loss(number, job.checkpoint_cost);
}

void Simulator::charge_loss(std::uint32_t number, Duration work) {
  const sched::Demand& demand = made_[number].demand;
  const bool gpus = demand.amounts[sched::kGpu] > 0;
  const double milli = static_cast<double>(demand.amounts[gpus ? sched::kGpu : sched::kCpu]) * runs_[number].nominal;
  (gpus ? result_.lost_gpu_seconds : result_.lost_cpu_seconds) += milli / 1000 * static_cast<double>(work.count()) / 1e6;
}

/// A running job is off its nodes and waits again, with its place, for what its checkpoints do not hold.
void Simulator::depart(std::uint32_t number, Departure departure) {
  const TraceJob& job = trace_.jobs[number];
  JobRun& run = runs_[number];
  const bool evicted = departure == Departure::kEvicted || run.leaving;
  run.saved = departure == Departure::kEvicted && run.saving ? run.done : run.saved_by(now_, job.checkpoint_interval);
  charge_loss(number, run.progress(now_) - run.saved);
  close_segment(number, evicted ? SegmentState::kPreempted : SegmentState::kFailed);
  fairness_->change(group_of(number), -amount_of(number) * run.tasks, 0, now_);
  std::erase(checkpointing_, number);
  ++run.generation;
  run.left -= run.saved;
  run.tasks = 0;
  ++result_.events;
  ++(evicted ? result_.preemptions : result_.interrupted);
  if (!evicted && ++run.losses > settings_.faults.losses_max) {
    state_.end(id_of(number), at(now_));
    return conclude(number, Fate::kFailed);
  }
  charge_loss(number, job.restart_cost);
  sched::RunningJob running = state_.end(id_of(number), at(now_), true);
  running.job.walltime = believed(number);
  state_.requeue(running, at(now_));
  fairness_->change(group_of(number), 0, 1, now_);
}

/// The gang saves what it has done before it goes on with fewer tasks.
void Simulator::ask_to_shrink(std::uint32_t number) {
  JobRun& run = runs_[number];
  run.settle(now_);
  run.leaving = true;
  ++run.generation;
  const Duration cost = trace_.jobs[number].checkpoint_cost;
  if (cost > Duration(0)) charge_loss(number, cost);
  plan_departure(number, now_ + cost, EventKind::kShrunk);
}

void Simulator::shrunk(std::uint32_t number) {
  const sched::Placement nodes = state_.cluster.find(id_of(number))->shrink_to;
  state_.resize(id_of(number), nodes, at(now_));
  state_.queue.ended_since_plan = true;
  JobRun& run = runs_[number];
  run.saved = run.done;
  run.leaving = false;
  run.since = now_;
  resized(number, nodes);
}

/// The gang goes on with the tasks that it has now.
void Simulator::resized(std::uint32_t number, const sched::Placement& nodes) {
  JobRun& run = runs_[number];
  run.settle(now_);
  close_segment(number, SegmentState::kResized);
  const auto tasks = static_cast<std::int32_t>(sched::task_count(nodes));
  fairness_->change(group_of(number), amount_of(number) * (tasks - run.tasks), 0, now_);
  run.tasks = tasks;
  open_segment(number, nodes);
  if (settings_.estimate == Estimate::kExact) tell_end(number);
  plan_end(number);
}

/// A gang that may be smaller goes on without the node, from its last checkpoint. False: it cannot.
bool Simulator::shrink_away(std::uint32_t number, sched::NodeIndex node) {
  const TraceJob& job = trace_.jobs[number];
  JobRun& run = runs_[number];
  sched::Placement nodes = state_.cluster.find(id_of(number))->nodes;
  std::erase_if(nodes, [node](const sched::TaskPlace& place) { return place.node == node; });
  const std::int32_t least = made_[number].tasks_min;
  if (run.leaving || least == 0 || sched::task_count(nodes) < least) return false;
  run.saved = run.saved_by(now_, job.checkpoint_interval);
  charge_loss(number, run.progress(now_) - run.saved + job.restart_cost);
  run.done = run.saved;
  run.since = now_ + job.restart_cost;
  state_.resize(id_of(number), nodes, at(now_));
  resized(number, nodes);
  return true;
}

std::vector<std::uint32_t> Simulator::jobs_on(sched::NodeIndex node) const {
  std::vector<std::uint32_t> jobs;
  state_.cluster.each_by_end([&jobs, node](const sched::RunningJob& running) {
    const auto here = [node](const sched::TaskPlace& place) { return place.node == node; };
    if (std::any_of(running.nodes.begin(), running.nodes.end(), here)) jobs.push_back(number_of(running.job.id));
    return true;
  });
  std::sort(jobs.begin(), jobs.end());
  return jobs;
}

void Simulator::lose_node(std::uint32_t number) {
  const Fault fault = faults_[number];
  if (by_chance_[number] != 0 && fault.notice == Duration(0)) throw_dice(fault);
  ++result_.node_losses;
  // Nothing new may be placed there while its jobs leave.
  if (absences_[fault.node]++ == 0) {
    state_.cluster.set_ready(fault.node, false);
    result_.outages.push_back({.node = fault.node, .from = now_, .to = kHorizon});
  }
  for (const std::uint32_t job : jobs_on(fault.node)) {
    if (!shrink_away(job, fault.node)) depart(job, Departure::kNodeLost);
  }
  state_.cluster.set_drained(fault.node, false);
  state_.queue.ended_since_plan = true;
  state_.touch();
  if (fault.down > Duration(0)) events_.push({now_ + fault.down, EventKind::kNodeBack, number, 0});
}

void Simulator::give_notice(std::uint32_t number) {
  const Fault fault = faults_[number];
  if (by_chance_[number] != 0) throw_dice(fault);
  events_.push({now_ + fault.notice, EventKind::kLoss, number, 0});
  state_.cluster.set_drained(fault.node, true);
  state_.touch();
  for (const std::uint32_t job : jobs_on(fault.node)) {
    sched::RunningJob* running = state_.cluster.find_mutable(id_of(job));
    if (running->stopping || runs_[job].leaving) continue;
    running->stopping = true;
    running->stop_deadline = at(now_ + fault.notice);
    ask_to_leave(job, fault.notice);
  }
}

void Simulator::node_back(std::uint32_t number) {
  const sched::NodeIndex node = faults_[number].node;
  if (--absences_[node] > 0) return;
  state_.cluster.set_ready(node, true);
  const auto here = [node](const Outage& outage) { return outage.node == node; };
  std::find_if(result_.outages.rbegin(), result_.outages.rend(), here)->to = now_;
  state_.queue.ended_since_plan = true;
  state_.touch();
}

void Simulator::plan_faults() {
  for (const Fault& fault : settings_.faults.planned) add_fault(fault, false);
  dice_.emplace(settings_.faults, static_cast<std::uint32_t>(machine_.nodes.size()));
  if (const std::optional<Fault> loss = dice_->next_loss(Duration(0))) add_fault(*loss, true);
  if (const std::optional<Fault> spot = dice_->next_spot(Duration(0))) add_fault(*spot, true);
}

void Simulator::add_fault(const Fault& fault, bool by_chance) {
  const auto number = static_cast<std::uint32_t>(faults_.size());
  faults_.push_back(fault);
  by_chance_.push_back(by_chance ? 1 : 0);
  if (by_chance) ++chance_events_;
  events_.push({fault.at, fault.notice > Duration(0) ? EventKind::kNotice : EventKind::kLoss, number, 0});
}

/// A fault by chance has come: the next one of its kind.
void Simulator::throw_dice(const Fault& last) {
  --chance_events_;
  const std::optional<Fault> next = last.notice > Duration(0) ? dice_->next_spot(now_) : dice_->next_loss(now_);
  if (next) add_fault(*next, true);
}

}  // namespace trainyard::sim
