#pragma once
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sched/policy.h"
#include "sched/state.h"

namespace trainyard::sched::testing {

/// One plan and all that it was made from.
struct PlannedPass {
  const SchedulerState& before;
  const Decisions& decisions;
  TimePoint now;
};

/// What a plan broke, in words; none: nothing.
using Violation = std::optional<std::string>;

/// Running jobs, starts and growth fit on every node and device now; and once those that were asked to leave are gone, the claims fit too.
/// Everything placed by the plan is on usable nodes that its constraints allow. Counted from placements, not from the books of the state.
Violation never_oversubscribes(const PlannedPass& pass);
/// Every start places all tasks of a waiting, eligible job once, on devices as it asked; resizes stay between smallest and largest size.
Violation gangs_whole(const PlannedPass& pass);
/// Planning again, from the same state and from a copy, decides the same.
Violation deterministic(const PlannedPass& pass);
/// Every waiting job that does not start has one reason, jobs that start have none; gates (held, dependency, backoff, stopped queue) are
/// told when and only when they are there.
Violation every_pending_job_has_one_reason(const PlannedPass& pass);
/// Starts keep the quotas, borrowing and lending limits, and the limits of running jobs.
Violation quota_never_exceeded(const PlannedPass& pass);
/// Over all times to come: running jobs until their limits, starts, reservations and claims have room beside each other. Not for states in
/// which a queue counts nodes instead of keeping them.
Violation promises_are_feasible(const PlannedPass& pass);
/// No job without a promise waits in a queue whose policies promise to be work-conserving while it would have room for its whole walltime
/// beside everything that runs, starts or is promised. Where nodes are counted and not kept, room beside a blocked job is not room, so only
/// a queue's single waiting job is looked at. A queue may wait for a job that it protects after many skips. Not for states with quotas, nor
/// for a pass that gave a promise up when others had had their turn: it asks for another pass at once.
Violation work_conserving(const PlannedPass& pass);
/// In queues whose policy keeps reservations no waiting job loses its own, gets a later one or misses its start. Not for states with
/// quotas, limits of running jobs, preemption or a queue that counts nodes: these may take back what was promised.
Violation reservations_never_move_later(const PlannedPass& pass);
/// The next wake-up lies ahead, and is there when a job waits for the end of its backoff or for the start of a reservation that is kept.
/// Other reservations start at a job's limit, which is an event;
/// so is the end of a job past its limit, for which a second is soon enough.
Violation wakes_up_in_time(const PlannedPass& pass);

struct NamedCheck {
  const char* name;
  Violation (*check)(const PlannedPass&);
};
/// Those above, which hold for every policy.
std::span<const NamedCheck> checks_of_every_pass();
/// Name and text of the first one that fails.
Violation check_pass(const PlannedPass& pass);

/// Counts how many jobs that its queue's order puts later start before a waiting job. In one pass no more than the backfill policy
/// promises; over all passes no more than it and the order promise together. Jobs that may not start yet (held, backoff, limits of running
/// jobs), that can never fit, or whose room is held by a claim do not count: they hold up nobody. Nor do starts in claimed room, which was
/// decided before.
class OvertakesAtMost {
 public:
  Violation after(const PlannedPass& pass);

 private:
  std::map<JobId, std::int64_t> overtaken_by_;
};

/// True when the job may start as far as itself, its queue's state and the limits of running jobs are concerned.
bool ungated(const SchedulerState& state, const JobSnapshot& job, TimePoint now);

}  // namespace trainyard::sched::testing
