#pragma once
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "sched/state.h"

namespace trainyard::sched {

/// A change of the state that can be made, or only tried on a fork.
struct SubmitJob {
  JobSnapshot job;
};
struct CancelJob {
  JobId job;
};
/// New values for a waiting job; what is not set stays. Its promise and claim are given up.
struct AlterJob {
  JobId job;
  std::optional<Demand> demand;
  std::optional<std::int32_t> tasks;
  std::optional<Duration> walltime;
  std::optional<std::int64_t> priority;
};
struct AddNodes {
  NodeInfo node;  ///< Further ones are called NAME-2, NAME-3 and so on.
  std::int32_t count = 1;
};
struct DrainNode {
  NodeName node;
  bool drained = true;
};
struct SetQuota {
  std::string queue;
  std::optional<Amounts> nominal;
};
using Change = std::variant<SubmitJob, CancelJob, AlterJob, AddNodes, DrainNode, SetQuota>;

/// The job as `change` asks for it, its promise and claim given up. A gang with fewer tasks than its least size has that as its least size.
JobSnapshot altered(const JobSnapshot& job, const AlterJob& change);
/// Puts `job` in the place of the waiting job of the same id, which keeps its place of arrival. What is usually submitted
/// (QueueSnapshot::workload) stays as it was. The job must wait (CHECK).
void replace_waiting(SchedulerState& state, JobSnapshot job);

/// Makes the change, all of it or nothing. Errors: INVALID_ARGUMENT "cluster.bad_count", "job.bad_request"; NOT_FOUND "job.unknown",
/// "queue.unknown", "cluster.node_unknown"; FAILED_PRECONDITION "job.exists", "job.running" (only a waiting job can be altered or taken
/// out); those of ClusterSnapshot::add_node.
Result<void> apply_change(SchedulerState& state, const Change& change);

/// A job whose fate differs: when it starts, by promise or by starting now. kNever: no start is known.
struct StartShift {
  JobId job;
  TimePoint before = kNever;
  TimePoint after = kNever;

  bool operator==(const StartShift&) const = default;
};

/// What a plan decides with a change, and for whom that differs from the plan without it.
struct WhatIf {
  Decisions with_change;
  std::vector<StartShift> shifts;  ///< Ascending by job; running and ended jobs never shift.
  SchedulerState changed;          ///< With the change, before its plan.
};

/// Tries the change on a copy of the state with the planner itself: carried out at the same epoch, the plan is equal bit for bit.
/// Errors as apply_change.
Result<WhatIf> what_if(const SchedulerState& state, const Change& change, TimePoint now);
/// The same for a copy that was changed by its own methods.
WhatIf compare_plans(const SchedulerState& state, SchedulerState changed, TimePoint now);

}  // namespace trainyard::sched
