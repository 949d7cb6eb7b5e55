#include "jobs/scheduler_book.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "jobs/transitions.h"
#include "sched/plan.h"

namespace trainyard::jobs {
namespace {

/// The time that an attempt from `now` on may take: its own limit, or what is left of the total.
Duration walltime_of(const Job& job, TimePoint now) {
  constexpr Duration kLeast = std::chrono::seconds(1);
  const JobLimits& limits = job.spec.limits;
  Duration walltime = limits.attempt > Duration(0) ? limits.attempt : sched::kForever;
  if (limits.total <= Duration(0)) return walltime;
  const Duration used = job.started_at ? now - *job.started_at : Duration(0);
  return std::min(walltime, std::max(limits.total - used, kLeast));
}

/// One place for each rank: a place of several tasks is split, its whole devices dealt out in order.
std::vector<sched::TaskPlace> by_rank(const sched::Placement& placement, const sched::Demand& demand) {
  std::vector<sched::TaskPlace> ranks;
  for (const sched::TaskPlace& place : placement) {
    sched::DeviceMask left = place.devices;
    const bool shared = demand.gpus == 1 && std::popcount(left) == 1;
    for (std::uint32_t task = 0; task < place.tasks; ++task) {
      sched::DeviceMask own = shared ? left : sched::DeviceMask{0};
      for (std::int32_t i = 0; i < demand.gpus && !shared; ++i) {
        own = static_cast<sched::DeviceMask>(own | (left & -left));
        left = static_cast<sched::DeviceMask>(left & (left - 1));
      }
      ranks.push_back({place.node, 1, own});
    }
  }
  return ranks;
}

sched::Placement placement_of(std::vector<sched::TaskPlace> ranks) { return sched::merged(ranks, {}); }

sched::Amounts amounts_of(const Resources& resources) {
  sched::Amounts amounts;
  amounts[sched::kCpu] = resources.milli_cpu;
  amounts[sched::kMemory] = resources.memory_bytes;
  amounts[sched::kGpu] = resources.milli_gpu / 1000 * 1000;
  return amounts;
}

}  // namespace

SchedulerBook::SchedulerBook(const sched::SchedulerSettings& settings) {
  CHECK(sched::apply_settings(state_.queue, settings).ok(), "settings of the scheduler were not checked");
  for (const sched::QueueState& queue : state_.queue.queues()) configured_[queue.settings.name] = queue.settings.state;
}

sched::NodeIndex SchedulerBook::node_of(const NodeName& name) {
  if (const std::optional<sched::NodeIndex> known = state_.cluster.find_node(name)) return *known;
  // A job of an earlier life of the server runs on a node that has not called in yet.
  sched::NodeInfo info;
  info.name = name;
  info.capacity_known = false;
  const Result<sched::NodeIndex> added = state_.cluster.add_node(std::move(info));
  CHECK(added.ok(), "a node without devices under a new name is accepted");
  state_.cluster.set_ready(*added, false);
  return *added;
}

void SchedulerBook::set_nodes(const std::vector<exec::NodeView>& nodes) {
  std::set<sched::NodeIndex> seen;
  for (const exec::NodeView& node : nodes) {
    const sched::NodeIndex index = node_of(node.name);
    seen.insert(index);
    const sched::NodeInfo& known = *state_.cluster.node(index).info;
    if (!known.capacity_known || known.capacity != amounts_of(node.capacity)) {
      sched::NodeInfo info = known;
      info.capacity_known = true;
      info.capacity = amounts_of(node.capacity);
      state_.cluster.replace_node(index, std::move(info));
      state_.touch();
    }
    if (state_.cluster.node(index).ready != node.ready) {
      state_.cluster.set_ready(index, node.ready);
      state_.touch();
    }
    if (state_.cluster.node(index).drained == node.schedulable) {
      state_.cluster.set_drained(index, !node.schedulable);
      state_.touch();
    }
  }
  for (sched::NodeIndex index = 0; index < state_.cluster.nodes().size(); ++index) {
    if (seen.contains(index) || !state_.cluster.node(index).ready) continue;
    state_.cluster.set_ready(index, false);
    state_.touch();
  }
}

Result<void> SchedulerBook::check_possible(const JobSpec& spec) const {
  const std::optional<sched::QueueIndex> queue = state_.queue.find_queue(spec.queue);
  if (!queue || !state_.queue.queue(*queue).leaf()) {
    std::vector<std::string> names;
    for (const sched::QueueState& each : state_.queue.queues()) {
      if (each.leaf()) names.push_back(each.settings.name);
    }
    const std::optional<std::string> near = nearest(spec.queue, names);
    return not_found("queue.unknown", fmt::format("a job waits in one of the queues ({}); there is no queue \"{}\"{}",
                                                  fmt::join(names, ", "), spec.queue, near ? "; did you mean \"" + *near + "\"?" : ""));
  }
  if (state_.queue.queue(*queue).settings.state == sched::QueueSettings::State::kDraining) {
    return failed_precondition("queue.closed", fmt::format("queue \"{}\" is being drained and takes no new jobs", spec.queue));
  }
  if (could_hold(spec.resources.resources(), spec.tasks)) return {};
  Resources all;
  std::size_t nodes = 0;
  for (const sched::NodeState& node : state_.cluster.nodes()) {
    const sched::Amounts& capacity = node.info->capacity;
    all += {capacity[sched::kCpu], capacity[sched::kMemory], capacity[sched::kGpu]};
    nodes += node.gone ? 0 : 1;
  }
  return failed_precondition("spec.impossible_resources",
                             fmt::format("no set of nodes can ever hold this job: ask for less per task or fewer tasks, or add a node; "
                                         "asked: {} x ({}), nodes: {} with ({}) in all",
                                         spec.tasks, spec.resources.resources().text(), nodes, all.text()));
}

Result<bool> SchedulerBook::is_stopped_by_settings(const std::string& queue) const {
  const auto found = configured_.find(queue);
  if (found != configured_.end()) return found->second == sched::QueueSettings::State::kStopped;
  return not_found("queue.unknown", fmt::format("there is no queue of this name; `trainyard queue ls` lists them: {}", queue));
}

Result<void> SchedulerBook::set_stop(const std::string& name, std::optional<QueueStop> stop) {
  using State = sched::QueueSettings::State;
  ASSIGN_OR_RETURN(const bool configured_stopped, is_stopped_by_settings(name));
  const sched::QueueIndex queue = *state_.queue.find_queue(name);
  sched::QueueSettings settings = state_.queue.queue(queue).settings;
  settings.state = stop ? State::kStopped : configured_stopped ? State::kOpen : configured_.at(name);
  TRY(state_.queue.configure(queue, std::move(settings)));
  stops_.erase(name);
  if (stop) stops_[name] = std::move(*stop);
  const auto is_below = [this, queue](sched::QueueIndex index) {
    while (index != queue && index != sched::kNoIndex) index = state_.queue.queue(index).parent;
    return index == queue;
  };
  if (stop) {
    for (const JobId id : std::vector<JobId>(state_.queue.promised())) {
      if (!is_below(state_.queue.find(id)->queue)) continue;
      state_.queue.set_claim(id, std::nullopt);
      state_.queue.set_reservation(id, std::nullopt);
    }
  }
  state_.touch();
  return {};
}

bool SchedulerBook::could_hold(const Resources& task, std::int64_t tasks) const {
  sched::JobSnapshot job;
  job.demand = sched::demand_of(task);
  job.tasks = static_cast<std::int32_t>(tasks);
  return sched::could_ever_fit(state_.cluster, job);
}

sched::JobSnapshot SchedulerBook::snapshot_in(sched::SchedulerState& state, const Job& job) const {
  sched::JobSnapshot snapshot;
  snapshot.id = job.id;
  snapshot.seq = job.id.value;
  // A queue that was taken out of the settings: its jobs wait in the first one.
  const std::optional<sched::QueueIndex> queue = state.queue.find_queue(job.spec.queue);
  const auto& queues = state.queue.queues();
  const auto first = std::find_if(queues.begin(), queues.end(), [](const sched::QueueState& each) { return each.leaf(); });
  snapshot.queue = queue && queues[*queue].leaf() ? *queue : static_cast<sched::QueueIndex>(first - queues.begin());
  snapshot.user = state.queue.user(job.owner);
  snapshot.priority = priority_of(job);
  snapshot.queued_at = job.queued_at;
  snapshot.eligible_at = job.eligible_at;
  snapshot.demand = sched::demand_of(task_resources(job));
  snapshot.tasks = static_cast<std::int32_t>(job.spec.tasks);
  snapshot.walltime = walltime_of(job, std::max(job.queued_at, job.attempt.launched_at));
  snapshot.estimate = predictor_.predict(snapshot.user, snapshot.walltime);
  snapshot.preemptible = job.spec.preemptible;
  return snapshot;
}

void SchedulerBook::queued(const Job& job) {
  if (state_.queue.find(job.id) == nullptr) state_.submit(snapshot_of(job));
}

void SchedulerBook::set_priority(JobId id, std::int64_t priority) {
  if (state_.queue.find(id) != nullptr) state_.queue.set_priority(id, priority);
  if (sched::RunningJob* running = state_.cluster.find_mutable(id)) running->job.priority = priority;
  state_.touch();
}

void SchedulerBook::withdrawn(JobId id) {
  if (state_.queue.find(id) != nullptr) state_.withdraw(id);
}

void SchedulerBook::adopted(const Job& job) {
  state_.submit(snapshot_of(job));
  std::vector<sched::TaskPlace> ranks;
  sched::Placement held;
  for (const RankStatus& rank : job.attempt.ranks) {
    ranks.push_back({node_of(rank.node), 1, 0});
    if (rank.phase != RankStatus::Phase::kExited) held.push_back(ranks.back());
  }
  state_.start({job.id, placement_of(std::move(held))}, job.attempt.launched_at);
  ranks_[job.id] = std::move(ranks);
  if (job.state == JobState::kStopping) stopping(job.id, job.attempt.launched_at);
}

void SchedulerBook::rank_exited(const Job& job) {
  const sched::RunningJob* running = state_.cluster.find(job.id);
  const auto ranks = ranks_.find(job.id);
  if (running == nullptr || ranks == ranks_.end()) return;
  std::vector<sched::TaskPlace> held;
  for (std::size_t i = 0; i < job.attempt.ranks.size(); ++i) {
    if (job.attempt.ranks[i].phase != RankStatus::Phase::kExited) held.push_back(ranks->second[i]);
  }
  const bool stopping = running->stopping;
  state_.resize(job.id, placement_of(std::move(held)), std::max(running->charged_until, running->started_at));
  state_.queue.ended_since_plan = true;
  if (!stopping) ++state_.queue.epoch;  // Ranks of a victim leave within the epoch of their eviction.
}

void SchedulerBook::ended(const Job& job, bool evicted, TimePoint now) {
  if (state_.cluster.find(job.id) == nullptr) return;
  ranks_.erase(job.id);
  sched::RunningJob ended = state_.end(job.id, now, evicted);
  if (job.state == JobState::kSucceeded) predictor_.record(ended.job.user, now - ended.started_at);
  if (!waits_for_room(job)) return;
  ended.job.walltime = walltime_of(job, now);
  ended.job.demand = sched::demand_of(task_resources(job));
  state_.requeue(ended, job.eligible_at);
}

void SchedulerBook::stopping(JobId id, TimePoint deadline) {
  sched::RunningJob* running = state_.cluster.find_mutable(id);
  if (running == nullptr) return;
  running->stopping = true;
  running->stop_deadline = deadline;
}

void SchedulerBook::checkpointed(JobId id, TimePoint at) {
  if (sched::RunningJob* running = state_.cluster.find_mutable(id)) running->last_checkpoint = at;
}

SchedulerBook::Orders SchedulerBook::plan(TimePoint now) {
  decisions_ = sched::plan(state_.cluster, state_.queue, now);
  Orders orders;
  orders.wake_at = decisions_.wake_at;
  for (const sched::Start& start : decisions_.starts) {
    std::vector<sched::TaskPlace> ranks = by_rank(start.nodes, state_.queue.find(start.job)->demand);
    Launch launch{start.job, {}};
    for (const sched::TaskPlace& rank : ranks) launch.nodes.push_back(state_.cluster.node(rank.node).info->name);
    orders.launches.push_back(std::move(launch));
    ranks_[start.job] = std::move(ranks);
  }
  for (const sched::Preemption& preemption : decisions_.preemptions) {
    for (const JobId victim : preemption.claim.victims) {
      orders.evictions.push_back({victim, preemption.preemptor, preemption.claim.grace_ends - now});
    }
  }
  state_.apply(decisions_, now);
  return orders;
}

std::optional<sched::Wait> SchedulerBook::wait_of(JobId id, TimePoint now) const {
  const sched::JobSnapshot* job = state_.queue.find(id);
  if (job == nullptr) return std::nullopt;
  return sched::reason_of(state_, decisions_, *job, now);
}

std::optional<TimePoint> SchedulerBook::planned_start(JobId id, TimePoint now) {
  constexpr Duration kKept = std::chrono::seconds(10);
  if (state_.queue.find(id) == nullptr || state_.queue.pending_count() > kPlannedJobsMax) return std::nullopt;
  if (!planned_ || planned_->epoch != state_.queue.epoch || now - planned_->at >= kKept) {
    planned_ = PlannedStarts{state_.queue.epoch, now, sched::planned_starts(state_, now)};
  }
  const auto found = std::lower_bound(planned_->starts.begin(), planned_->starts.end(), std::pair(id, TimePoint::min()));
  if (found == planned_->starts.end() || found->first != id) return std::nullopt;
  return found->second;
}

Result<sched::Explanation> SchedulerBook::explain(JobId id, TimePoint now) const { return sched::explain(state_, decisions_, id, now); }

}  // namespace trainyard::jobs
