#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "sched/plan.h"
#include "sched/state.h"

namespace trainyard::sched::testing {

/// A point in time so long after the start of the scenario.
constexpr TimePoint at(Duration since_start) { return TimePoint(since_start); }

/// A node in the units in which people think. Racks and switches as in NodeInfo.
struct NodeSpec {
  std::int64_t cores = 1;
  std::int64_t memory_gib = 0;
  std::int64_t gpus = 0;
  std::string gpu_model;
  std::string pool = "default";
  std::map<std::string, std::string> labels;
  std::set<std::string> taints;
  std::string rack;
  std::string switch_name;
  std::map<std::string, std::int64_t> extended;  ///< Named resources and how much there is of each.
};

/// A job of `tasks` equal tasks, the amounts of one in the same units. `milli_cores` and `memory_bytes` are added to the whole cores and
/// GiB.
struct JobSpec {
  std::int64_t cores = 1;
  std::int64_t milli_cores = 0;
  std::int64_t memory_gib = 0;
  std::int64_t memory_bytes = 0;
  std::int32_t gpus = 0;
  std::int32_t gpu_milli = 1000;  ///< Of each device; counts when gpus > 0.
  std::map<std::string, std::int64_t> extended;
  std::int32_t tasks = 1;
  std::int32_t tasks_min = 0;
  Duration walltime = kForever;
  Duration estimate{0};
  TimePoint deadline = kNever;
  std::string queue;  ///< Empty: the queue added last, or the root when none was.
  std::string user = "user";
  std::int32_t tier = 0;
  std::int64_t priority = 0;
  TimePoint queued_at{};
  TimePoint eligible_at{};
  bool held = false;
  std::vector<JobId> waits_for;
  bool preemptible = true;
  Duration checkpoint_cost{0};
  Duration restart_cost{0};
  Constraints constraints;
  JobId id;  ///< Invalid: the next one from 1.
};

/// Tasks on nodes without GPU devices, in a short form: {{node, tasks}...}.
Placement tasks_on(const std::vector<std::pair<NodeIndex, std::uint32_t>>& counts);

/// A scheduler state built line by line, and the loop around plan() in small steps. Names must be right and room must be there (CHECK):
/// a test that builds nonsense stops.
class Scenario {
 public:
  /// A cluster without nodes, and the root as the only queue.
  Scenario() = default;
  /// Whole hosts of one core, and a root queue with this backfill policy: the world of the published schedules.
  static Scenario of_hosts(std::size_t hosts, const std::string& backfill);

  NodeIndex node(const std::string& name, const NodeSpec& spec = {});
  /// `count` equal nodes "n0", "n1", ...; numbering goes on where nodes() left off.
  void nodes(std::size_t count, const NodeSpec& spec = {});
  QueueIndex queue(QueueSettings settings);
  /// Replaces the settings of the root while it is the only queue, or of the queue named in them.
  void configure(QueueSettings settings);
  JobId submit(const JobSpec& spec);
  /// A job that has been running there since `now`. Devices are those that `nodes` names.
  JobId running_on(const JobSpec& spec, const Placement& nodes, TimePoint now);

  /// What the planner says; nothing changes.
  Decisions planned(TimePoint now) const { return plan(state.cluster, state.queue, now); }
  /// Plans, applies, and checks the books of the cluster.
  Decisions run(TimePoint now);
  RunningJob end(JobId job, TimePoint now, bool evicted = false) { return state.end(job, now, evicted); }

  bool is_running(JobId job) const { return state.cluster.find(job) != nullptr; }
  bool is_pending(JobId job) const { return state.queue.find(job) != nullptr; }
  /// Ids of running jobs, ascending.
  std::vector<JobId> running() const;
  /// Ids of waiting jobs, ascending.
  std::vector<JobId> pending() const;
  /// Nodes of a running job, one per task, ascending.
  std::vector<NodeIndex> hosts(JobId job) const;
  const JobSnapshot& waiting(JobId job) const;

  /// The demand of a specification, its named resources known to the cluster from now on.
  Demand demand_of(const JobSpec& spec);
  JobSnapshot job_of(const JobSpec& spec);

  SchedulerState state;

 private:
  std::string last_queue_;
  std::uint64_t next_id_ = 1;
  std::size_t numbered_nodes_ = 0;
};

/// Ids in the order of decision.
std::vector<JobId> started(const Decisions& decisions);
/// The start of a job, or null.
const Start* start_of(const Decisions& decisions, JobId job);
/// Nodes of a start, one per task, in the order of the placement.
std::vector<NodeIndex> hosts_of(const Placement& nodes);
/// The reservation that this plan gave or moved; none when it said nothing or took it away.
std::optional<Reservation> reservation_of(const Decisions& decisions, JobId job);
/// Why the job waits: its own entry, else the one of its queue. None when the plan says nothing of it.
std::optional<Reason> reason_of(const Decisions& decisions, const QueueSnapshot& queue, JobId job);

}  // namespace trainyard::sched::testing
