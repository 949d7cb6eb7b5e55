#pragma once
#include <optional>
#include <vector>

#include "sched/queue.h"
#include "sched/reason.h"

namespace trainyard::sched {

/// Use and quota of the queue tree during one pass: a copy of what the snapshot says, charged as the pass decides.
///
/// A queue may use its nominal quota, and beyond it what its cohort has to lend: a child lends what it does not use, up to its lend limit;
/// a parent passes on its own quota and what its children lend. The rule is tested at every ancestor. A queue without a quota, nor one
/// below it, borrows from the nearest ancestor that has a quota of its own; when there is none, nothing limits it.
class QuotaBook {
 public:
  explicit QuotaBook(const QueueSnapshot& queue);

  /// The amount of each kind that the queue could still use; kUnlimited where nothing limits it, negative where quota was cut.
  Amounts available(QueueIndex queue) const;
  /// Nominal quota with what may be borrowed at most, were all others idle.
  Amounts ceiling(QueueIndex queue) const;
  const Amounts& usage(QueueIndex queue) const { return usage_[queue]; }
  /// Charges (or, with negative amounts, gives back) use of a leaf and all above it.
  void charge(QueueIndex leaf, const Amounts& amounts, int jobs);
  std::int64_t running_jobs(QueueIndex queue) const { return jobs_[queue]; }
  /// True when some kind that has a quota is used beyond it, or would be with `more` used. A queue without a quota owns nothing: any use is
  /// beyond.
  bool over_nominal(QueueIndex queue, const Amounts& more = {}) const;
  /// True when the queue may call `more` its own: a kind of it has a quota, and none that has one is used beyond it with `more`.
  bool within_nominal(QueueIndex queue, const Amounts& more) const;

  struct Refusal {
    Reason reason;     ///< kExceedsMaxQuota, kBorrowingLimitReached or kWaitingForQuota.
    std::size_t kind;  ///< The first resource that is short.
    std::int64_t needed;
    std::int64_t available;
  };
  /// Why the queue may not take `amounts` more; none: it may.
  std::optional<Refusal> refusal(QueueIndex queue, const Amounts& amounts) const;

 private:
  /// A queue in the pools of one kind of resource.
  struct Member {
    std::int64_t nominal = 0;      ///< Own quota and that of all below.
    std::int64_t subtree = 0;      ///< Own quota and what children can lend.
    std::int64_t guaranteed = 0;   ///< Never lent.
    std::int64_t used = 0;         ///< Of subtree: by the queue itself, and by children beyond what they never lend.
    QueueIndex lender = kNoIndex;  ///< Who is asked for more; kNoIndex: nobody.
    bool has_quota = false;        ///< It, or a queue below it.
  };
  /// A kind in which some queue has a quota.
  struct Pool {
    std::size_t kind = 0;
    std::vector<Member> members;  ///< By queue.

    std::int64_t available(QueueIndex queue, const QueueSnapshot& tree, bool limits_count = true) const;
    std::int64_t ceiling(QueueIndex queue, const QueueSnapshot& tree) const;
    void charge(QueueIndex queue, std::int64_t amount);
  };
  Pool make_pool(std::size_t kind) const;

  const QueueSnapshot& queue_;
  std::vector<Pool> pools_;  ///< Ascending by kind.
  std::vector<Amounts> usage_;
  std::vector<std::int64_t> jobs_;
};

}  // namespace trainyard::sched
