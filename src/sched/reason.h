#pragma once
#include <cstdint>
#include <string_view>

#include "sched/job.h"

namespace trainyard::sched {

/// Why a job waits, best rank first: of all that are true the first is the binding one. Numbers are stable; names are shown to people and
/// used as a metric label.
enum class Reason : std::uint8_t {
  kUnsatisfiable = 1,
  kDeactivated,
  kMisconfigured,
  kNoMatchingNodeClass,
  kSuspended,
  kNoWorkerForQueue,
  kAdmissionGated,
  kDependencyNotMet,
  kBackoff,
  kLeaseRecovery,
  kGangIncomplete,
  kStartBarrier,
  kExceedsMaxQuota,
  kBorrowingLimitReached,
  kExceedsFairShare,
  kWaitingForQuota,
  kTopologyPlacementFailed,
  kWaitingForPreempted,
  kWaitingForReservation,
  kWaitingForResources,
  kPendingEvaluation,
};
constexpr std::size_t kReasons = 21;

/// "WaitingForResources" ...
std::string_view name_of(Reason reason);
/// What it means, in one sentence.
std::string_view meaning_of(Reason reason);

/// Why one job did not start, with the numbers that the pass had at its turn. Small: a pass writes thousands.
struct Wait {
  JobId job;
  Reason reason = Reason::kPendingEvaluation;
  std::uint8_t kind = 0;          ///< The resource it is short of (kCpu ..), where one is.
  std::uint32_t position = 0;     ///< In its queue, from 0.
  JobId blocker{};                ///< The job that is before it, that a reservation protects, or that took the share.
  std::int64_t needed = 0;        ///< Tasks, or an amount of `kind`.
  std::int64_t available = 0;     ///< The same, at its turn.
  TimePoint at = kNever;          ///< Predicted or promised start, end of backoff.
  std::int32_t overtaken_by = 0;  ///< Later jobs of its queue that started in this pass.

  bool operator==(const Wait&) const = default;
};

/// What holds all jobs of `queue` that neither start nor have a Wait of their own: `blocker` came before them.
struct QueueWait {
  QueueIndex queue = 0;
  std::uint32_t looked_at = 0;  ///< Jobs of the queue that had their turn.
  Reason reason = Reason::kWaitingForResources;
  JobId blocker;

  bool operator==(const QueueWait&) const = default;
};

}  // namespace trainyard::sched
