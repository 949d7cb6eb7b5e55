#pragma once
#include "sched/cluster.h"
#include "sched/decisions.h"
#include "sched/queue.h"

namespace trainyard::sched {

/// Decides what starts, what is promised room, who gives way and why the rest waits. Policies and seed are part of `queue`. Pure: equal
/// arguments give equal decisions. SchedulerState keeps the arguments and applies the answer.
///
/// One pass: claims first, then kept reservations, then the jobs one by one in the order of the sharing policy among queues and of each
/// queue's own order. A job starts when its quota and all of its tasks have room for its whole walltime beside what is held; else its
/// queue's backfill policy says how the queue goes on.
Decisions plan(const ClusterSnapshot& cluster, const QueueSnapshot& queue, TimePoint now);

/// True when the job could run on the configured nodes with nothing else on them, up or not. A cluster without nodes accepts everything.
bool could_ever_fit(const ClusterSnapshot& cluster, const JobSnapshot& job);

}  // namespace trainyard::sched
