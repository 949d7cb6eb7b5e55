#include "sched/quota.h"

#include <algorithm>
#include <bit>

namespace trainyard::sched {
namespace {

/// The queue's own quota of a kind; none: it has none there.
std::optional<std::int64_t> own_quota(const QueueSettings& settings, std::size_t kind) {
  if (!settings.nominal || (*settings.nominal)[kind] >= kUnlimited) return std::nullopt;
  return std::max<std::int64_t>(0, (*settings.nominal)[kind]);
}

/// Sums of quotas stay within kUnlimited, so that no sum of two can overflow.
std::int64_t bounded_sum(std::int64_t a, std::int64_t b) { return std::min(kUnlimited, a + b); }

/// What passes from a queue to those above it when it uses so much and keeps so much for itself.
std::int64_t beyond(std::int64_t used, std::int64_t guaranteed) { return std::max<std::int64_t>(0, used - guaranteed); }

}  // namespace

QuotaBook::QuotaBook(const QueueSnapshot& queue) : queue_(queue) {
  const std::vector<QueueState>& queues = queue.queues();
  usage_.reserve(queues.size());
  jobs_.reserve(queues.size());
  std::uint32_t kinds = 0;
  for (const QueueState& state : queues) {
    usage_.push_back(state.usage);
    jobs_.push_back(state.running_jobs);
    if (!state.settings.nominal) continue;
    for (std::size_t kind = 0; kind < kAmountKinds; ++kind) {
      if ((*state.settings.nominal)[kind] < kUnlimited) kinds |= 1U << kind;
    }
  }
  for (; kinds != 0; kinds &= kinds - 1) pools_.push_back(make_pool(static_cast<std::size_t>(std::countr_zero(kinds))));
}

/// A parent has a lower index than its children.
QuotaBook::Pool QuotaBook::make_pool(std::size_t kind) const {
  const std::vector<QueueState>& queues = queue_.queues();
  Pool pool;
  pool.kind = kind;
  pool.members.resize(queues.size());
  for (std::size_t i = queues.size(); i-- > 0;) {
    const QueueState& state = queues[i];
    Member& member = pool.members[i];
    if (const std::optional<std::int64_t> quota = own_quota(state.settings, kind)) {
      member.has_quota = true;
      member.nominal = bounded_sum(member.nominal, *quota);
      member.subtree = bounded_sum(member.subtree, *quota);
    }
    member.lender = state.parent;
    if (!member.has_quota) {
      while (member.lender != kNoIndex && !own_quota(queues[member.lender].settings, kind)) member.lender = queues[member.lender].parent;
    } else if (state.parent != kNoIndex) {
      member.guaranteed = beyond(member.subtree, std::max<std::int64_t>(0, state.settings.lend_limit[kind]));
      Member& above = pool.members[state.parent];
      above.has_quota = true;
      above.nominal = bounded_sum(above.nominal, member.nominal);
      above.subtree = bounded_sum(above.subtree, member.subtree - member.guaranteed);
    }
  }
  for (std::size_t i = 0; i < queues.size(); ++i) {
    if (queues[i].leaf()) pool.charge(static_cast<QueueIndex>(i), queues[i].usage[kind]);
  }
  return pool;
}

/// Books use in the queue's pool, and what goes beyond its guarantee in those of its lenders.
void QuotaBook::Pool::charge(QueueIndex queue, std::int64_t amount) {
  while (queue != kNoIndex && amount != 0) {
    Member& member = members[queue];
    const std::int64_t before = beyond(member.used, member.guaranteed);
    member.used += amount;
    amount = beyond(member.used, member.guaranteed) - before;
    queue = member.lender;
  }
}

void QuotaBook::charge(QueueIndex leaf, const Amounts& amounts, int jobs) {
  for (QueueIndex queue = leaf; queue != kNoIndex; queue = queue_.queue(queue).parent) {
    usage_[queue] += amounts;
    jobs_[queue] += jobs;
  }
  for (Pool& pool : pools_) pool.charge(leaf, amounts[pool.kind]);
}

std::int64_t QuotaBook::Pool::available(QueueIndex queue, const QueueSnapshot& tree, bool limits_count) const {
  const Member& member = members[queue];
  if (member.lender == kNoIndex) return member.has_quota ? member.subtree - member.used : kUnlimited;
  const std::int64_t local = beyond(member.guaranteed, member.used);
  std::int64_t borrowed = available(member.lender, tree, limits_count);
  const std::int64_t limit = tree.queue(queue).settings.borrow_limit[kind];
  if (limits_count && limit < kUnlimited) {
    const std::int64_t lent = member.subtree - member.guaranteed;
    borrowed = std::min(borrowed, lent - beyond(member.used, member.guaranteed) + std::max<std::int64_t>(0, limit));
  }
  // Where more is used above than there is (a quota was cut), that is missing here too, be it guaranteed or not.
  return bounded_sum(local, borrowed);
}

Amounts QuotaBook::available(QueueIndex queue) const {
  Amounts amounts = Amounts::unlimited();
  for (const Pool& pool : pools_) amounts[pool.kind] = pool.available(queue, queue_);
  return amounts;
}

std::int64_t QuotaBook::Pool::ceiling(QueueIndex queue, const QueueSnapshot& tree) const {
  const Member& member = members[queue];
  if (member.lender == kNoIndex) return member.has_quota ? member.subtree : kUnlimited;
  const std::int64_t limit = std::max<std::int64_t>(0, tree.queue(queue).settings.borrow_limit[kind]);
  return std::min(bounded_sum(member.guaranteed, ceiling(member.lender, tree)), bounded_sum(member.subtree, limit));
}

Amounts QuotaBook::ceiling(QueueIndex queue) const {
  Amounts amounts = Amounts::unlimited();
  for (const Pool& pool : pools_) amounts[pool.kind] = pool.ceiling(queue, queue_);
  return amounts;
}

bool QuotaBook::over_nominal(QueueIndex queue, const Amounts& more) const {
  const Amounts used = usage_[queue] + more;
  bool has_quota = false;
  for (const Pool& pool : pools_) {
    const Member& member = pool.members[queue];
    if (member.has_quota && used[pool.kind] > member.nominal) return true;
    has_quota = has_quota || member.has_quota;
  }
  return !has_quota && std::any_of(used.of.begin(), used.of.end(), [](std::int64_t amount) { return amount > 0; });
}

bool QuotaBook::within_nominal(QueueIndex queue, const Amounts& more) const {
  bool owns = false;
  for (const Pool& pool : pools_) {
    const Member& member = pool.members[queue];
    if (more[pool.kind] <= 0 || !member.has_quota) continue;
    if (usage_[queue][pool.kind] + more[pool.kind] > member.nominal) return false;
    owns = true;
  }
  return owns;
}

std::optional<QuotaBook::Refusal> QuotaBook::refusal(QueueIndex queue, const Amounts& amounts) const {
  std::optional<Refusal> binding;
  for (const Pool& pool : pools_) {
    const std::int64_t needed = amounts[pool.kind];
    if (needed <= 0) continue;
    const std::int64_t there = pool.available(queue, queue_);
    if (needed <= there) continue;
    Refusal refusal{Reason::kWaitingForQuota, pool.kind, needed, there};
    if (needed > pool.ceiling(queue, queue_)) {
      refusal.reason = Reason::kExceedsMaxQuota;
    } else if (needed <= pool.available(queue, queue_, false)) {
      refusal.reason = Reason::kBorrowingLimitReached;
    }
    if (!binding || refusal.reason < binding->reason) binding = refusal;
  }
  return binding;
}

}  // namespace trainyard::sched
