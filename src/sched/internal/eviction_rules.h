#pragma once
#include <vector>

#include "sched/preemption.h"
#include "sched/share.h"

namespace trainyard::sched {

/// How a running job stands to a preemptor.
struct Standing {
  QueueIndex mine = kNoIndex;    ///< The child of their lowest common ancestor on the preemptor's side; kNoIndex: they share a queue.
  QueueIndex theirs = kNoIndex;  ///< The child on the other side.
  bool same_tier = false;        ///< Of equal tier: shares decide, or what the preemptor's queue owns. Else the tier does.
};

/// Something that a running job gives up.
struct Loss {
  const RunningJob* running = nullptr;
  Standing standing;
  std::int64_t tasks = 0;  ///< So many; all of them: it leaves.
  std::int64_t tasks_left = 0;
};

/// Who may give way to one preemptor, on a copy of the books that follows what is taken.
///
/// Rules. Of another queue than its own the preemptor takes from jobs of lower tiers, and from those of its tier if share(X with the
/// preemptor) <= share(Y without the victims), where X and Y are the two sides below the lowest common ancestor and shares count jobs of
/// the preemptor's tier and above; or if the preemptor stays within the quota that its queues own (it takes back what was borrowed). Either
/// way each queue from Y down to the victim's uses more than its quota, be the victim the last one to leave. In its own queue it takes from
/// lower tiers, and what gangs of its tier hold beyond their least size.
class EvictionRules {
 public:
  /// The preemptor would start with `tasks` tasks.
  EvictionRules(const PreemptionView& view, const JobSnapshot& job, std::int64_t tasks);

  Standing standing(const RunningJob& running) const;
  void take(const RunningJob& running, std::int64_t tasks);
  void give_back(const RunningJob& running, std::int64_t tasks);

  /// Whether what was taken (and is part of the books) may be taken, with all else that was.
  bool permits(const Loss& loss) const;
  /// The part of it that the victim's queues decide: false stays false as more is taken.
  bool beyond_nominal(const Loss& loss) const;
  /// True when taking more never makes a loss permitted: all queues are children of the root.
  bool flat() const { return flat_; }
  /// Why quota still keeps the preemptor out.
  std::optional<QuotaBook::Refusal> quota_refusal() const { return book_.refusal(job_.queue, asked_); }
  /// For flat queues: the potential of the state without the losses and with the preemptor is higher. Plans that only take from lower
  /// tiers, or take back what the preemptor's queue owns, are bounded by tiers, quotas and the epoch instead.
  bool raises_potential(const std::vector<Loss>& losses) const;

 private:
  void charge(const RunningJob& running, std::int64_t tasks);
  bool takes_back(QueueIndex mine) const;
  Share share(QueueIndex queue) const;

  const PreemptionView& view_;
  const JobSnapshot& job_;
  const Amounts asked_;
  QuotaBook book_;                      ///< As it will be: victims gone, claims started; without the preemptor.
  std::vector<Amounts> tiered_;         ///< The same use, by jobs of the preemptor's tier and above; with the preemptor.
  std::vector<Amounts> firm_;           ///< By queue, what counts for the potential; without the preemptor.
  std::vector<QueueIndex> toward_job_;  ///< By queue: the child on the way to the preemptor's queue; kNoIndex: not above it.
  bool flat_ = true;
};

}  // namespace trainyard::sched
