#pragma once
#include <optional>
#include <vector>

#include "sched/job.h"
#include "sched/reason.h"

namespace trainyard::sched {

/// The job starts now, each rank where `nodes` says; ranks are numbered in the order of the placement.
struct Start {
  JobId job;
  Placement nodes;

  bool operator==(const Start&) const = default;
};

/// The job is promised room; empty: the promise it had is dropped.
struct ReservationChange {
  JobId job;
  std::optional<Reservation> reservation;

  bool operator==(const ReservationChange&) const = default;
};

/// The victims are asked to leave, and what they free belongs to the preemptor. One record: all of it happens or nothing.
struct Preemption {
  JobId preemptor;
  Claim claim;

  bool operator==(const Preemption&) const = default;
};

/// An elastic gang gives up tasks (or, in `grows`, gets some): its placement afterwards.
struct Resize {
  JobId job;
  Placement nodes;
  JobId on_behalf_of;  ///< Whose claim gets the room; invalid for growth.

  bool operator==(const Resize&) const = default;
};

/// What one pass decided. Order within each list is the order of decision.
struct Decisions {
  std::vector<Start> starts;
  std::vector<ReservationChange> reservations;
  std::vector<Preemption> preemptions;
  std::vector<Resize> shrinks;
  std::vector<Resize> grows;
  std::vector<JobId> dropped_claims;
  std::vector<Wait> waits;             ///< Of jobs that were looked at and did not start.
  std::vector<QueueWait> queue_waits;  ///< For jobs without an entry of their own in `waits`: what holds their queue.
  std::optional<TimePoint> wake_at;    ///< When a plan could change without an event: backoff, reservation, a promise given up.

  bool operator==(const Decisions&) const = default;
};

}  // namespace trainyard::sched
