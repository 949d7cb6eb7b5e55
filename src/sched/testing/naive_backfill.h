#pragma once
#include <map>
#include <vector>

#include "sched/job.h"

namespace trainyard::sched::testing {

/// A job on a cluster of equal hosts, each of which runs one task.
struct HostJob {
  JobId id;
  TimePoint submit;
  std::size_t hosts = 1;
  Duration walltime{0};
  Duration runtime{0};  ///< The job is killed at its walltime when this is longer.
};

enum class BackfillRule { kStrictFifo, kEasy, kEasyCount, kConservative };

struct HostRun {
  JobId job;
  TimePoint start;
  TimePoint end;
  std::vector<NodeIndex> hosts;  ///< Ascending.
};

struct HostReservation {
  TimePoint start;
  std::vector<NodeIndex> hosts;

  bool operator==(const HostReservation&) const = default;
};

struct HostSchedule {
  std::vector<HostRun> runs;  ///< By start, then in the order of decision.
  /// What waiting jobs are promised after the last decision at each time.
  std::map<TimePoint, std::map<JobId, HostReservation>> promises;
};

/// The backfill rules on whole hosts, written down as they read and as slow as that is: a list of intervals, first fit by trying every time
/// at which one ends. `jobs` ascend by submit time; each asks for at most `hosts` hosts.
HostSchedule naive_schedule(BackfillRule rule, std::size_t hosts, const std::vector<HostJob>& jobs);

}  // namespace trainyard::sched::testing
