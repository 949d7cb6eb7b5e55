#pragma once
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/history.h"

namespace trainyard::sim_test {

/// Promises about what people ask of jobs and nodes, and about who leads; one of each.
std::vector<std::unique_ptr<Invariant>> control_invariants(const Clock& clock);

/// Nothing is launched between a hold and its release: neither the job nor, of a held array, any element. A hold that was answered is
/// durable.
class HeldJobsStay final : public Invariant {
 public:
  std::string_view name() const override { return "HeldJobsStay"; }
  void see(const Happening& happening) override;

 private:
  void see_batch();
  void see_event(const store::EventRecord& event);
  std::vector<store::EventRecord> events_;  ///< Of the batch that is being told.
  std::map<JobId, jobs::Job> jobs_;
  std::set<JobId> held_;
  std::set<JobId> ever_held_;
};

/// A job is launched only once each job that it waits for has ended as asked, in the same commit at the latest; and it is cancelled for the
/// sake of a dependency only when that can not be met any more.
class DependenciesHold final : public Invariant {
 public:
  std::string_view name() const override { return "DependenciesHold"; }
  void see(const Happening& happening) override;

 private:
  void see_batch();
  std::vector<JobId> launched_;  ///< In the batch that is being told.
  std::vector<JobId> changed_;
  std::map<JobId, jobs::Job> jobs_;
};

/// Each element of an array is made once, no more live at a time than asked for; the array ends once all have, and as they did.
class ArrayElementsOnce final : public Invariant {
 public:
  std::string_view name() const override { return "ArrayElementsOnce"; }
  void see(const Happening& happening) override;

 private:
  void see_element(const jobs::Job& element);
  void see_batch();
  void check(const jobs::Job& array);
  std::map<JobId, jobs::Job> arrays_;
  std::map<JobId, std::map<std::int64_t, JobId>> made_;
  std::map<JobId, std::map<JobId, JobState>> states_;
  std::set<JobId> changed_;
};

/// A priority that was answered is that of the job from then on.
class PriorityHolds final : public Invariant {
 public:
  std::string_view name() const override { return "PriorityHolds"; }
  void see(const Happening& happening) override;

 private:
  std::map<JobId, std::int64_t> durable_;
  std::map<JobId, std::int64_t> asked_;
};

/// A node that operators do not want to be used gets nothing new, but for what was decided before.
class OrderedNodesGetNothing final : public Invariant {
 public:
  explicit OrderedNodesGetNothing(const Clock& clock) : clock_(clock) {}
  std::string_view name() const override { return "OrderedNodesGetNothing"; }
  void see(const Happening& happening) override;

 private:
  const Clock& clock_;
  std::map<NodeName, MonotonicPoint> since_;
  std::map<JobId, AttemptNumber> seen_;
};

/// Once faults stop, everything leaves a node that is drained.
class DrainedNodesEmpty final : public Invariant {
 public:
  explicit DrainedNodesEmpty(const Clock& clock) : clock_(clock) {}
  std::string_view name() const override { return "DrainedNodesEmpty"; }
  void see(const Happening& happening) override;

 private:
  const Clock& clock_;
  bool healed_ = false;
  std::map<NodeName, MonotonicPoint> since_;
  std::map<NodeName, std::set<RankKey>> running_;
};

/// After a server has taken the ledger over, none before it writes anything.
class OnlyTheLeaderWrites final : public Invariant {
 public:
  std::string_view name() const override { return "OnlyTheLeaderWrites"; }
  void see(const Happening& happening) override;

 private:
  std::uint64_t newest_ = 0;
};

/// A rank of a gang on several nodes starts only when each rank of it has been made ready.
class GangMeetsBeforeItStarts final : public Invariant {
 public:
  std::string_view name() const override { return "GangMeetsBeforeItStarts"; }
  void see(const Happening& happening) override;

 private:
  std::map<AttemptKey, std::uint32_t> size_;  ///< Of gangs on several nodes.
  std::map<AttemptKey, std::set<std::uint32_t>> ready_;
};

/// Who is preempted or drained is charged no restart for it.
class PreemptionIsFree final : public Invariant {
 public:
  std::string_view name() const override { return "PreemptionIsFree"; }
  void see(const Happening& happening) override;

 private:
  std::map<JobId, jobs::Job> leaving_;
};

}  // namespace trainyard::sim_test
