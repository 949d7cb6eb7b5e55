#pragma once
#include <optional>
#include <vector>

#include "sched/testing/checks.h"

namespace trainyard::sched::testing {

/// Room taken on some nodes during [from, to).
struct Holding {
  JobId job;
  Demand demand;
  Placement nodes;
  TimePoint from;
  TimePoint to;
};

/// A list of holdings, asked the slow way: every question walks all of it. What the planner's profile is compared with.
class Holdings {
 public:
  explicit Holdings(const ClusterSnapshot& cluster) : cluster_(cluster) {}

  void add(Holding holding) { holdings_.push_back(std::move(holding)); }
  const std::vector<Holding>& all() const { return holdings_; }
  /// Capacity less what is held at one moment.
  NodeFree free_at(NodeIndex node, TimePoint time) const;
  /// The least of every resource and device during [from, to).
  NodeFree free_over(NodeIndex node, TimePoint from, TimePoint to) const;
  /// Tasks of the job for which the node has room during [from, to), as constrained; 0 where it may not run.
  std::uint32_t slots(NodeIndex node, const JobSnapshot& job, TimePoint from, TimePoint to) const;
  /// Whether the smallest gang of the job has room at `from` for its whole walltime, within one part of the topology where it must be.
  bool has_room(const JobSnapshot& job, TimePoint from) const;
  /// The first node and time with less than nothing free.
  std::optional<std::string> overcommitted() const;

 private:
  const ClusterSnapshot& cluster_;
  std::vector<Holding> holdings_;
};

/// Whether what the pass asked to leave is still counted.
enum class Leaving { kStillThere, kGone };

/// Running jobs and growth until their limits, and the starts of the pass.
Holdings holdings_of_running(const PlannedPass& pass, Leaving leaving);
/// With claims as if their jobs ran, and every reservation that stands after the pass.
Holdings holdings_with_promises(const PlannedPass& pass, Leaving leaving);

/// Whether the pass starts the job.
bool starts(const PlannedPass& pass, JobId job);

/// Visits every waiting job, queue by queue.
template <typename Visit>
void each_pending(const QueueSnapshot& queue, Visit visit) {
  for (const QueueState& state : queue.queues()) {
    for (const PendingEntry& entry : state.pending) visit(queue.job(entry));
  }
}

/// Reservations and claims as they stand after the pass, of jobs that still wait.
std::map<JobId, Reservation> standing_reservations(const PlannedPass& pass);
std::map<JobId, Claim> standing_claims(const PlannedPass& pass);

}  // namespace trainyard::sched::testing
