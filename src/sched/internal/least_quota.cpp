#include "sched/internal/least_quota.h"

#include <algorithm>

#include "sched/internal/fix_search.h"

namespace trainyard::sched {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;

std::int64_t unit_of(std::size_t kind) { return kind == kMemory ? kMiB : 1; }

std::int64_t in_units(std::size_t kind, std::int64_t amount) { return (amount + unit_of(kind) - 1) / unit_of(kind) * unit_of(kind); }

bool limits(const QueueSettings& settings, std::size_t kind) { return settings.nominal && (*settings.nominal)[kind] < kUnlimited; }

class QuotaSearch {
 public:
  QuotaSearch(const SchedulerState& state, const JobSnapshot& job, TimePoint now, std::size_t tries)
      : fork_(state), job_(job), now_(now), tries_(tries) {
    fork_.touch();
  }

  std::optional<SetQuota> find() {
    std::optional<Wait> shortage = shortage_of(decide());
    if (!shortage) return std::nullopt;
    queue_ = quota_holder(shortage->kind);
    if (queue_ == kNoIndex) return std::nullopt;
    const Amounts before = *fork_.queue.queue(queue_).settings.nominal;
    std::optional<Amounts> enough = raise_step_by_step(before, *shortage);
    if (!enough) enough = raise_at_once(before);
    if (!enough) return std::nullopt;
    return SetQuota{fork_.queue.queue(queue_).settings.name, least(before, *enough)};
  }

 private:
  Decisions decide() { return Pass(fork_.cluster, fork_.queue, now_, {.probe = nullptr, .stop_after = job_.id}).run(); }

  Decisions decide_with(const Amounts& nominal) {
    QueueSettings settings = fork_.queue.queue(queue_).settings;
    settings.nominal = nominal;
    CHECK(fork_.queue.configure(queue_, std::move(settings)).ok(), "the policies stay as they were");
    fork_.touch();
    return decide();
  }

  bool started(const Decisions& decisions) const {
    return std::any_of(decisions.starts.begin(), decisions.starts.end(), [this](const Start& start) { return start.job == job_.id; });
  }

  bool works(const Amounts& nominal) { return started(decide_with(nominal)); }

  /// The quota that the job lacks or, when its turn does not come or others that lack it stand in its way, that the first of them lacks.
  std::optional<Wait> shortage_of(const Decisions& decisions) const {
    const auto lacks_quota = [](const Wait& wait) {
      return wait.reason >= Reason::kExceedsMaxQuota && wait.reason <= Reason::kWaitingForQuota && wait.kind < kAmountKinds &&
             wait.needed > wait.available;
    };
    std::optional<Wait> first;
    for (const Wait& wait : decisions.waits) {
      if (!lacks_quota(wait) || fork_.queue.find(wait.job)->queue != job_.queue) continue;
      if (wait.job == job_.id) return wait;
      if (!first) first = wait;
    }
    return first;
  }

  /// The job's queue or the nearest above with a quota of this kind.
  QueueIndex quota_holder(std::size_t kind) const {
    QueueIndex queue = job_.queue;
    while (queue != kNoIndex && !limits(fork_.queue.queue(queue).settings, kind)) queue = fork_.queue.queue(queue).parent;
    return queue;
  }

  /// What is short is raised by what lacks. Each raise can let jobs before it in, so that something is short again.
  std::optional<Amounts> raise_step_by_step(Amounts nominal, std::optional<Wait> shortage) {
    for (std::size_t i = 0; i < tries_ && shortage; ++i) {
      const std::size_t kind = shortage->kind;
      if (quota_holder(kind) != queue_) return std::nullopt;
      nominal[kind] = std::max<std::int64_t>(nominal[kind], 0) + in_units(kind, shortage->needed - shortage->available);
      const Decisions decisions = decide_with(nominal);
      if (started(decisions)) return nominal;
      shortage = shortage_of(decisions);
    }
    return std::nullopt;
  }

  /// All kinds by as much as all waiting jobs together ask for, then by halves of it.
  std::optional<Amounts> raise_at_once(const Amounts& before) {
    Amounts most;
    for (const QueueState& queue : fork_.queue.queues()) {
      for (std::size_t kind = 0; kind < kAmountKinds; ++kind) {
        const std::int64_t over = limits(queue.settings, kind) ? queue.usage[kind] - (*queue.settings.nominal)[kind] : 0;
        most[kind] = std::min(kUnlimited / 4, most[kind] + std::max<std::int64_t>(0, over));
      }
      for (const PendingEntry& entry : queue.pending) most += fork_.queue.job(entry).total();
    }
    for (std::size_t i = 0; i <= tries_ / 8; ++i) {
      Amounts nominal = before;
      for (std::size_t kind = 0; kind < kAmountKinds; ++kind) {
        if (before[kind] < kUnlimited) nominal[kind] = std::min(kUnlimited - 1, before[kind] + in_units(kind, most[kind] >> i));
      }
      if (works(nominal)) return nominal;
    }
    return std::nullopt;
  }

  /// Lowers one kind after the other as far as the job still starts, until none can be lowered by a unit.
  Amounts least(const Amounts& before, Amounts nominal) {
    constexpr int kRoundsMax = 8;
    bool lowered = true;
    for (int round = 0; lowered && round < kRoundsMax; ++round) {
      lowered = false;
      for (std::size_t kind = 0; kind < kAmountKinds; ++kind) {
        if (nominal[kind] != before[kind]) lowered |= lower(before, nominal, kind);
      }
    }
    return nominal;
  }

  bool lower(const Amounts& before, Amounts& nominal, std::size_t kind) {
    const std::int64_t unit = unit_of(kind);
    Amounts tried = nominal;
    const auto works_with = [&](std::int64_t units) {
      tried[kind] = before[kind] + units * unit;
      return works(tried);
    };
    std::int64_t enough = (nominal[kind] - before[kind]) / unit;
    if (!works_with(enough - 1)) return false;
    enough -= 1;
    if (enough > 0 && works_with(0)) enough = 0;
    std::int64_t fails = enough == 0 ? -1 : 0;
    while (enough - fails > 1) {
      const std::int64_t middle = fails + (enough - fails) / 2;
      (works_with(middle) ? enough : fails) = middle;
    }
    nominal[kind] = before[kind] + enough * unit;
    return true;
  }

  SchedulerState fork_;
  const JobSnapshot& job_;
  TimePoint now_;
  std::size_t tries_;
  QueueIndex queue_ = kNoIndex;
};

}  // namespace

std::optional<SetQuota> least_quota(const SchedulerState& state, const JobSnapshot& job, TimePoint now, std::size_t tries) {
  return QuotaSearch(state, job, now, tries).find();
}

}  // namespace trainyard::sched
