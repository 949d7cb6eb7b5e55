#pragma once
#include <set>
#include <vector>

#include "sched/cluster.h"
#include "sched/decisions.h"
#include "sched/queue.h"

namespace trainyard::sched {

/// A job that will hold resources, and how many tasks of it.
struct SettledJob {
  const JobSnapshot* job = nullptr;
  std::int64_t tasks = 0;
};

/// What is known of a pass that has not ended: nothing, for a snapshot between passes.
struct PassSoFar {
  const std::set<JobId>* leaving = nullptr;  ///< Victims of this pass.
  const Decisions* decided = nullptr;
};

/// The jobs that hold resources once all that was decided has happened: victims are gone, claims have started, gangs have the size that
/// they were asked to keep. This state, not the one in between, is what shares are judged by: it does not change when victims leave one
/// after the other.
std::vector<SettledJob> settled_jobs(const ClusterSnapshot& cluster, const QueueSnapshot& queue, const PassSoFar& pass = {});

/// What a job of `tasks` tasks counts for in the potential: a gang no more than its least size, since what it holds beyond that is lent.
Amounts firm_use(const JobSnapshot& job, std::int64_t tasks);

}  // namespace trainyard::sched
