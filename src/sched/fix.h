#pragma once
#include <optional>
#include <string>
#include <vector>

#include "sched/change.h"

namespace trainyard::sched {

/// The least change of one dimension that alone starts the job now: applied to a fork it starts the job, and one unit less does not.
///
/// cpu, memory, gpu, tasks and walltime get smaller, of one task or the whole job as they were submitted; cpu and memory stay above 0, a
/// job with GPUs keeps a share of one. priority gets larger. quota is the nominal quota of one queue: the job's own, or the nearest above
/// it that has a quota of what is short; where several kinds are short it raises each, and one unit less of any does not start the job;
/// `from`, `to` and `unit` are those of the first kind. node is one more node like one of those that are there: yes or no.
///
/// Where less never does worse (fewer tasks, a shorter limit, an earlier place), this is the least change there is. An order or a sharing
/// policy that looks at what jobs ask for can put a job that asks for less further back; there many values are tried, in large states not
/// all, and the answer is the least change among those that were tried.
struct Fix {
  std::string dimension;         ///< "cpu", "memory", "gpu", "tasks", "walltime", "quota", "priority", "node".
  std::optional<Change> change;  ///< None: no change of this dimension alone starts it.
  std::int64_t from = 0;         ///< In `unit`; kUnlimited: no limit.
  std::int64_t to = 0;
  std::string unit;  ///< "milli-cpu", "MiB", "gpus", "milli-gpu", "tasks", "s", "priority", "nodes", or that of the quota.
  std::string text;  ///< For people, in their units: "8 -> 4 gpus", "64 -> 2 cpu", "2h -> 30m"; "none" when there is no change.
};

/// Dimensions in the order in which fixes_of answers.
const std::vector<std::string>& fix_dimensions();

/// One fix for each dimension, found with the planner itself, with everything else as it is. A job that the next plan starts anyway needs
/// none. Kinds of nodes that no waiting job can tell apart count as one; of the others at most 12 are tried, those of most use to the job
/// first. Errors: NOT_FOUND "job.not_waiting".
Result<std::vector<Fix>> fixes_of(const SchedulerState& state, JobId job, TimePoint now);

}  // namespace trainyard::sched
