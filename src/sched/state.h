#pragma once
#include "sched/cluster.h"
#include "sched/decisions.h"
#include "sched/queue.h"

namespace trainyard::sched {

/// A snapshot of everything and the one way to keep it up to date. The server and the simulator own one each, tell it what happened, and
/// plan from it. Copying it forks it. Not thread-safe.
class SchedulerState {
 public:
  ClusterSnapshot cluster;
  QueueSnapshot queue;

  /// A job that waits. `seq` 0: the next one. Outside event.
  void submit(JobSnapshot job);
  /// A waiting job that will not run any more. Outside event.
  void withdraw(JobId id);
  /// What was decided happens now: starts, reservations, claims, resizes.
  void apply(const Decisions& decisions, TimePoint now);
  /// One start of them. `now` is when it counts from.
  void start(const Start& start, TimePoint now);
  /// A running job has ended; returns what it was. Outside event, unless `evicted`.
  RunningJob end(JobId id, TimePoint now, bool evicted = false);
  /// An elastic gang has the size that was decided.
  void resize(JobId id, const Placement& nodes, TimePoint now);
  /// An evicted job waits again, with its place.
  void requeue(const RunningJob& job, TimePoint eligible_at);
  /// An outside event that this class did not see: nodes, quotas, settings. There may be more room now, so kept promises are tried again.
  void touch() {
    ++queue.epoch;
    queue.ended_since_plan = true;
  }

  std::uint64_t next_seq() const { return next_seq_; }

 private:
  void settle_service(RunningJob& job, TimePoint now);

  std::uint64_t next_seq_ = 1;
};

}  // namespace trainyard::sched
