#include "sched/testing/scenario.h"

#include <algorithm>

namespace trainyard::sched::testing {
namespace {

constexpr std::int64_t kGib = std::int64_t{1} << 30;

void set_extended(ClusterSnapshot& cluster, const std::map<std::string, std::int64_t>& extended, Amounts& amounts) {
  for (const auto& [name, amount] : extended) amounts[cluster.resource_kind(name).value()] = amount;
}

}  // namespace

Placement tasks_on(const std::vector<std::pair<NodeIndex, std::uint32_t>>& counts) {
  Placement placement;
  for (const auto& [node, tasks] : counts) placement.push_back({.node = node, .tasks = tasks, .devices = 0});
  return placement;
}

Scenario Scenario::of_hosts(std::size_t hosts, const std::string& backfill) {
  Scenario scenario;
  scenario.nodes(hosts);
  scenario.configure({.backfill = backfill});
  return scenario;
}

NodeIndex Scenario::node(const std::string& name, const NodeSpec& spec) {
  NodeInfo info;
  info.name = {name};
  info.capacity[kCpu] = spec.cores * 1000;
  info.capacity[kMemory] = spec.memory_gib * kGib;
  info.capacity[kGpu] = spec.gpus * 1000;
  set_extended(state.cluster, spec.extended, info.capacity);
  info.gpu_model = spec.gpu_model;
  info.pool = spec.pool;
  info.labels = spec.labels;
  info.taints = spec.taints;
  info.rack = spec.rack;
  info.switch_name = spec.switch_name;
  state.touch();
  return state.cluster.add_node(std::move(info)).value();
}

void Scenario::nodes(std::size_t count, const NodeSpec& spec) {
  for (std::size_t i = 0; i < count; ++i) node("n" + std::to_string(numbered_nodes_++), spec);
}

QueueIndex Scenario::queue(QueueSettings settings) {
  last_queue_ = settings.name;
  state.touch();
  return state.queue.add_queue(std::move(settings)).value();
}

void Scenario::configure(QueueSettings settings) {
  const std::optional<QueueIndex> named = state.queue.find_queue(settings.name);
  CHECK(named || state.queue.queues().size() == 1, "no queue of this name");
  const QueueIndex index = named.value_or(0);
  settings.name = state.queue.queue(index).settings.name;
  state.queue.configure(index, std::move(settings)).value();
  state.touch();
}

Demand Scenario::demand_of(const JobSpec& spec) {
  Demand demand;
  demand.amounts[kCpu] = spec.cores * 1000 + spec.milli_cores;
  demand.amounts[kMemory] = spec.memory_gib * kGib + spec.memory_bytes;
  set_extended(state.cluster, spec.extended, demand.amounts);
  demand.ask_gpus(spec.gpus, spec.gpu_milli);
  return demand;
}

JobSnapshot Scenario::job_of(const JobSpec& spec) {
  JobSnapshot job;
  job.id = spec.id.valid() ? spec.id : JobId(next_id_);
  next_id_ = std::max(next_id_, job.id.value + 1);
  const std::string queue_name = spec.queue.empty() ? last_queue_ : spec.queue;
  const std::optional<QueueIndex> index = queue_name.empty() ? 0 : state.queue.find_queue(queue_name);
  CHECK(index.has_value(), "no queue of this name");
  job.queue = *index;
  job.user = state.queue.user(spec.user);
  job.tier = spec.tier;
  job.priority = spec.priority;
  job.queued_at = spec.queued_at;
  job.eligible_at = std::max(spec.eligible_at, spec.queued_at);
  job.demand = demand_of(spec);
  if (!(spec.constraints == Constraints{})) {
    job.constraints = std::make_shared<const Constraints>(spec.constraints);  // shared: as JobSnapshot keeps it
  }
  job.tasks = spec.tasks;
  job.tasks_min = spec.tasks_min;
  job.walltime = spec.walltime;
  job.estimate = spec.estimate;
  job.deadline = spec.deadline;
  job.held = spec.held;
  job.waits_for = spec.waits_for;
  job.preemptible = spec.preemptible;
  job.checkpoint_cost = spec.checkpoint_cost;
  job.restart_cost = spec.restart_cost;
  return job;
}

JobId Scenario::submit(const JobSpec& spec) {
  JobSnapshot job = job_of(spec);
  const JobId id = job.id;
  state.submit(std::move(job));
  return id;
}

JobId Scenario::running_on(const JobSpec& spec, const Placement& nodes, TimePoint now) {
  const JobId id = submit(spec);
  state.start({.job = id, .nodes = nodes}, now);
  return id;
}

Decisions Scenario::run(TimePoint now) {
  Decisions decisions = planned(now);
  state.apply(decisions, now);
  state.cluster.check_invariants();
  return decisions;
}

std::vector<JobId> Scenario::running() const {
  std::vector<JobId> ids;
  state.cluster.each_by_end([&ids](const RunningJob& running) {
    ids.push_back(running.job.id);
    return true;
  });
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::vector<JobId> Scenario::pending() const {
  std::vector<JobId> ids;
  for (const QueueState& queue : state.queue.queues()) {
    for (const PendingEntry& entry : queue.pending) ids.push_back(state.queue.job(entry).id);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::vector<NodeIndex> Scenario::hosts(JobId job) const {
  const RunningJob* running = state.cluster.find(job);
  CHECK(running != nullptr, "the job does not run");
  return hosts_of(running->nodes);
}

const JobSnapshot& Scenario::waiting(JobId job) const {
  const JobSnapshot* waiting = state.queue.find(job);
  CHECK(waiting != nullptr, "the job does not wait");
  return *waiting;
}

std::vector<JobId> started(const Decisions& decisions) {
  std::vector<JobId> ids;
  for (const Start& start : decisions.starts) ids.push_back(start.job);
  return ids;
}

const Start* start_of(const Decisions& decisions, JobId job) {
  const auto found = std::find_if(decisions.starts.begin(), decisions.starts.end(), [job](const Start& start) { return start.job == job; });
  return found == decisions.starts.end() ? nullptr : &*found;
}

std::vector<NodeIndex> hosts_of(const Placement& nodes) {
  std::vector<NodeIndex> hosts;
  for (const TaskPlace& place : nodes) hosts.insert(hosts.end(), place.tasks, place.node);
  return hosts;
}

std::optional<Reservation> reservation_of(const Decisions& decisions, JobId job) {
  std::optional<Reservation> last;
  for (const ReservationChange& change : decisions.reservations) {
    if (change.job == job) last = change.reservation;
  }
  return last;
}

std::optional<Reason> reason_of(const Decisions& decisions, const QueueSnapshot& queue, JobId job) {
  for (const Wait& wait : decisions.waits) {
    if (wait.job == job) return wait.reason;
  }
  const JobSnapshot* waiting = queue.find(job);
  if (waiting == nullptr) return std::nullopt;
  for (const QueueWait& wait : decisions.queue_waits) {
    if (wait.queue == waiting->queue) return wait.reason;
  }
  return std::nullopt;
}

}  // namespace trainyard::sched::testing
