#pragma once
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "sched/preemption.h"
#include "sched/testing/checks.h"

namespace trainyard::sched::testing {

/// Something that holds in every pass between two outside events, whoever evicts whom.
class EvictionInvariant {
 public:
  virtual ~EvictionInvariant() = default;
  virtual const char* name() const = 0;
  /// A plan was made and is not applied yet.
  virtual Violation planned(const PlannedPass& pass) = 0;
  /// It was applied.
  virtual Violation applied(const SchedulerState& after, const Decisions& decisions);
  /// Nothing is left to do.
  virtual Violation rested(const SchedulerState& state);
};

/// No job leaves twice in an epoch.
class NoJobIsEvictedTwiceInAnEpoch final : public EvictionInvariant {
 public:
  const char* name() const override { return "no_job_is_evicted_twice_in_an_epoch"; }
  Violation planned(const PlannedPass& pass) override;

 private:
  std::uint64_t epoch_ = 0;
  std::set<JobId> evicted_;
};

/// An epoch has no more evictions than live jobs.
class EvictionsStayBelowLiveJobs final : public EvictionInvariant {
 public:
  const char* name() const override { return "evictions_stay_below_live_jobs"; }
  Violation planned(const PlannedPass& pass) override;

 private:
  std::uint64_t epoch_ = 0;
  std::size_t evictions_ = 0;
};

/// Within an epoch a victim does not evict the job that it left for.
class VictimSparesItsEvictor final : public EvictionInvariant {
 public:
  const char* name() const override { return "victim_spares_its_evictor"; }
  Violation planned(const PlannedPass& pass) override;

 private:
  std::uint64_t epoch_ = 0;
  std::map<JobId, JobId> evictor_of_;
};

/// In a flat tree without quotas no pass lowers the potential, and one that evicts raises it.
class PotentialRises final : public EvictionInvariant {
 public:
  const char* name() const override { return "potential_rises"; }
  Violation planned(const PlannedPass& pass) override;
  Violation applied(const SchedulerState& after, const Decisions& decisions) override;

 private:
  bool applies_ = false;
  Potential before_;
};

/// Room and quota that victims free are there for their claimant until it starts.
class FreedRoomGoesToTheClaimant final : public EvictionInvariant {
 public:
  const char* name() const override { return "freed_room_goes_to_the_claimant"; }
  Violation planned(const PlannedPass& pass) override;
  Violation rested(const SchedulerState& state) override;
};

/// Budgets of jobs and of the minute hold, and nobody leaves in its minimum run time or though it may not be evicted.
class BudgetsHold final : public EvictionInvariant {
 public:
  const char* name() const override { return "budgets_hold"; }
  Violation planned(const PlannedPass& pass) override;

 private:
  std::deque<TimePoint> recent_;
};

/// A victim of another queue leaves only while its queue uses more than its own, be it the last of the victims.
class QueueWithinItsQuotaIsNoVictim final : public EvictionInvariant {
 public:
  const char* name() const override { return "queue_within_its_quota_is_no_victim"; }
  Violation planned(const PlannedPass& pass) override;
};

/// The preemptor's side of the tree has no larger share than a victim's side of its tier keeps, unless it takes back what it owns. Looked
/// at where one plan is all that a pass decides, so that its outcome is known.
class SharesStayInOrder final : public EvictionInvariant {
 public:
  const char* name() const override { return "shares_stay_in_order"; }
  Violation planned(const PlannedPass& pass) override;
  Violation applied(const SchedulerState& after, const Decisions& decisions) override;

 private:
  std::vector<QueueIndex> victims_;  ///< Their queues.
};

/// Victims are of lower tiers, or of the same tier and another queue.
class VictimsAreNotAbove final : public EvictionInvariant {
 public:
  const char* name() const override { return "victims_are_not_above"; }
  Violation planned(const PlannedPass& pass) override;
};

/// One of each.
std::vector<std::unique_ptr<EvictionInvariant>> eviction_invariants();

}  // namespace trainyard::sched::testing
