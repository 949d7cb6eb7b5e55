#pragma once
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "domain/resources.h"
#include "sched/change.h"
#include "sched/explain.h"
#include "sched/fix.h"

namespace trainyard::jobs {

// Questions about what is not so. JobService makes a Trial out of one, on its strand: that costs a copy of what the planner sees and
// changes nothing. Answering it takes plans, on any thread.

struct NodesToAdd {
  std::int32_t count = 1;
  Resources each;
  std::string pool = "default";
};
struct JobToCancel {
  JobId job;
};
struct NodeToDrain {
  NodeName node;
};
using TriedChange = std::variant<NodesToAdd, JobToCancel, NodeToDrain>;

/// A job that would start at another time. kNever: no start is known.
struct TriedStart {
  JobId job;
  TimePoint before = sched::kNever;
  TimePoint after = sched::kNever;
  std::vector<NodeName> nodes;  ///< By rank, when it would start now.
};

/// What would become of one job that is tried.
struct TriedJob {
  bool starts_now = false;
  std::vector<NodeName> placement;                ///< By rank, when it starts now.
  std::optional<sched::Explanation> explanation;  ///< Why it waits.
  std::vector<sched::Fix> fixes;                  ///< What alone would start it now.
  std::string fixes_unknown;                      ///< Why they are not known, if so.
  std::string ends;                               ///< Why it would be cancelled at once; empty: it would not.
};

struct TrialAnswer {
  std::optional<TriedJob> job;     ///< Of a submit.
  std::vector<TriedStart> starts;  ///< Ascending by job.
  std::vector<JobId> stops;        ///< Running jobs that would leave their nodes, ascending; some may be in `starts` too.
  JobId tried;                     ///< How the job of a submit is called in here; no job has that number.
};

/// A question and a copy of all that its answer takes.
struct Trial {
  sched::SchedulerState state;
  TimePoint now;

  // A submit: what is known before the planner is asked, or what it is asked.
  std::optional<TriedJob> settled;
  std::optional<sched::JobSnapshot> job;
  bool with_fixes = false;

  // Another change.
  std::optional<sched::Change> change;
  std::vector<JobId> cancelled;  ///< End now, or do not wait any more.
  std::vector<JobId> requeued;   ///< Leave their nodes and wait again.

  /// What becomes of the job that is tried; costs one plan, about thirty with fixes.
  TriedJob plan_job() const;
  /// The same, and what changes for others; costs two plans more. Errors: those of sched::apply_change.
  Result<TrialAnswer> answer() const;
};

/// Takes the numbers of jobs out of an explanation that its reader must not see.
void conceal_jobs(sched::Explanation& explanation, const std::function<bool(JobId)>& is_seen);

}  // namespace trainyard::jobs
