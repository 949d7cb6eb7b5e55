#pragma once
#include <optional>
#include <string>
#include <vector>

#include "sched/decisions.h"
#include "sched/state.h"

namespace trainyard::sched {

/// What one node lacks for one task of the job.
struct NodeShortfall {
  NodeName node;
  std::uint32_t slots = 0;     ///< Tasks that fit now.
  std::string lacks;           ///< "cpu", "memory", "gpu", a named resource, "excluded", "down", "drained"; empty: nothing.
  std::int64_t shortfall = 0;  ///< Milli-cores, bytes or milli-GPU that one more task lacks.
};

/// How many nodes lack what.
struct ShortfallCount {
  std::string lacks;
  std::int64_t nodes = 0;
};

/// Why one job waits: the binding reason of the plan that passed it over, with its numbers.
struct Explanation {
  JobId job;
  Reason reason = Reason::kPendingEvaluation;
  std::string message;  ///< One or two sentences with numbers.
  std::uint64_t epoch = 0;
  std::uint32_t position = 0;               ///< In its queue, from 0.
  std::optional<TimePoint> promised_start;  ///< From limits: an upper bound while no node fails and nobody is preempted.
  std::vector<JobId> blocking;
  std::vector<ShortfallCount> histogram;  ///< Descending by nodes.
  std::vector<NodeShortfall> nodes;       ///< At most kNodesShown, the least short first.
  std::vector<Reason> also;               ///< Other reasons that hold, best rank first.
};
constexpr std::size_t kNodesShown = 20;

/// Reads the reason out of what the newest plan recorded. O(nodes + jobs that wait before it). Errors: NOT_FOUND "job.not_waiting".
Result<Explanation> explain(const SchedulerState& state, const Decisions& decisions, JobId job, TimePoint now);

/// The binding reason alone, without the nodes: for metric labels and lists. `decisions` must be of the newest plan.
Wait reason_of(const SchedulerState& state, const Decisions& decisions, const JobSnapshot& job, TimePoint now);

/// When each waiting job would start if run times were as predicted and nothing else came: by the same planner, with a promise for every
/// job, on a copy. For people, never for decisions. Jobs whose start cannot be known are missing.
std::vector<std::pair<JobId, TimePoint>> planned_starts(const SchedulerState& state, TimePoint now);

}  // namespace trainyard::sched
