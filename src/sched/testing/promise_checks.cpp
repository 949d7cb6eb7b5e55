#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "sched/plan.h"
#include "sched/testing/checks.h"
#include "sched/testing/holdings.h"

namespace trainyard::sched::testing {
namespace {

/// Use and running jobs of every queue after the starts of a pass.
struct QueueUse {
  std::vector<Amounts> amounts;
  std::vector<Amounts> added;
  std::vector<std::int64_t> jobs;
  std::vector<std::int64_t> jobs_added;
  std::map<std::pair<QueueIndex, UserIndex>, std::int64_t> jobs_of_user;
};

QueueUse use_before(const QueueSnapshot& queue) {
  QueueUse use;
  for (const QueueState& state : queue.queues()) {
    use.amounts.push_back(state.usage);
    use.jobs.push_back(state.running_jobs);
  }
  use.added.resize(use.amounts.size());
  use.jobs_added.resize(use.jobs.size());
  return use;
}

void add_start(const QueueSnapshot& queue, const JobSnapshot& job, std::int64_t tasks, QueueUse& use) {
  const Amounts amounts = job.demand.amounts * tasks;
  for (QueueIndex index = job.queue; index != kNoIndex; index = queue.queue(index).parent) {
    use.amounts[index] += amounts;
    use.added[index] += amounts;
    ++use.jobs[index];
    ++use.jobs_added[index];
  }
  ++use.jobs_of_user[{job.queue, job.user}];
}

QueueUse use_after(const PlannedPass& pass) {
  QueueUse use = use_before(pass.before.queue);
  for (const Start& start : pass.decisions.starts) {
    if (const JobSnapshot* job = pass.before.queue.find(start.job)) add_start(pass.before.queue, *job, task_count(start.nodes), use);
  }
  return use;
}

/// Jobs with a claim will run: limits are kept for them too.
QueueUse use_with_claims(const PlannedPass& pass) {
  QueueUse use = use_after(pass);
  for (const auto& [id, claim] : standing_claims(pass)) {
    add_start(pass.before.queue, *pass.before.queue.find(id), task_count(claim.nodes), use);
  }
  return use;
}

bool has_quota(const QueueState& queue, std::size_t kind) { return queue.settings.nominal && (*queue.settings.nominal)[kind] < kUnlimited; }

/// Quotas of a queue and all below it.
std::int64_t nominal_of_subtree(const QueueSnapshot& queue, QueueIndex root, std::size_t kind) {
  std::int64_t sum = has_quota(queue.queue(root), kind) ? (*queue.queue(root).settings.nominal)[kind] : 0;
  for (const QueueIndex child : queue.queue(root).children) sum += nominal_of_subtree(queue, child, kind);
  return sum;
}

/// A queue on its own: never beyond its quota, that of those below it, and what it may borrow.
Violation own_limits(const QueueSnapshot& queue, const QueueUse& use) {
  for (QueueIndex index = 0; index < queue.queues().size(); ++index) {
    const QueueSettings& settings = queue.queue(index).settings;
    if (use.jobs_added[index] > 0 && use.jobs[index] > settings.running_jobs_max) {
      return fmt::format("queue {} runs {} jobs", settings.name, use.jobs[index]);
    }
    for (std::size_t kind = 0; kind < kAmountKinds; ++kind) {
      if (!has_quota(queue.queue(index), kind) || use.added[index][kind] <= 0) continue;
      const std::int64_t borrow = settings.borrow_limit[kind];
      if (borrow < kUnlimited && use.amounts[index][kind] > nominal_of_subtree(queue, index, kind) + borrow) {
        return fmt::format("queue {} uses {} of kind {}", settings.name, use.amounts[index][kind], kind);
      }
    }
  }
  for (const auto& [key, added] : use.jobs_of_user) {
    const std::int64_t most = queue.queue(key.first).settings.running_jobs_per_user_max;
    if (queue.running_of(key.first, key.second) + added > most) return fmt::format("user {} runs too many jobs", key.second);
  }
  return std::nullopt;
}

bool limited_at(const QueueSnapshot& queue, QueueIndex leaf, std::size_t kind) {
  for (QueueIndex index = leaf; index != kNoIndex; index = queue.queue(index).parent) {
    if (has_quota(queue.queue(index), kind)) return true;
  }
  return false;
}

/// What limited leaves use together; for leaves right below the root at least what they need not lend.
std::int64_t taken(const QueueSnapshot& queue, const std::vector<Amounts>& use, std::size_t kind) {
  std::int64_t total = 0;
  for (QueueIndex index = 0; index < queue.queues().size(); ++index) {
    const QueueState& state = queue.queue(index);
    if (!state.leaf() || !limited_at(queue, index, kind)) continue;
    std::int64_t kept = 0;
    if (state.parent == 0 && has_quota(state, kind))
      kept = std::max<std::int64_t>(0, (*state.settings.nominal)[kind] - state.settings.lend_limit[kind]);
    total += std::max(use[index][kind], kept);
  }
  return total;
}

/// Nobody makes quota: all limited queues together stay within the sum of all quotas, unless they were beyond it before.
Violation together(const QueueSnapshot& queue, const QueueUse& use) {
  const QueueUse before = use_before(queue);
  for (std::size_t kind = 0; kind < kAmountKinds; ++kind) {
    std::int64_t quota = 0;
    for (const QueueState& state : queue.queues()) quota += has_quota(state, kind) ? (*state.settings.nominal)[kind] : 0;
    const std::int64_t was = taken(queue, before.amounts, kind);
    const std::int64_t is = taken(queue, use.amounts, kind);
    if (was <= quota && is > quota) return fmt::format("{} of kind {} are used out of {} in all quotas", is, kind, quota);
  }
  return std::nullopt;
}

bool conserves(const PlannedPass& pass, const QueueState& queue) {
  return queue.order->info().promise.work_conserving && queue.backfill->info().promise.work_conserving &&
         find_share_policy(pass.before.queue.sharing.policy).value()->info().promise.work_conserving;
}

/// Whether the limits of running jobs let one more start beside the starts of the pass.
bool within_job_limits(const QueueSnapshot& queue, const JobSnapshot& job, const QueueUse& use) {
  for (QueueIndex index = job.queue; index != kNoIndex; index = queue.queue(index).parent) {
    if (use.jobs[index] >= queue.queue(index).settings.running_jobs_max) return false;
  }
  const auto started = use.jobs_of_user.find({job.queue, job.user});
  const std::int64_t jobs = queue.running_of(job.queue, job.user) + (started == use.jobs_of_user.end() ? 0 : started->second);
  return jobs < queue.queue(job.queue).settings.running_jobs_per_user_max;
}

bool any_quota(const QueueSnapshot& queue) {
  return std::any_of(queue.queues().begin(), queue.queues().end(),
                     [](const QueueState& state) { return state.settings.nominal.has_value(); });
}

/// A job that was passed over so often that its queue may wait for it, as long as the nodes that are up could run it at all.
bool is_protected(const SchedulerState& state, const JobSnapshot& job, TimePoint now) {
  const QueueState& queue = state.queue.queue(job.queue);
  const PolicyInfo& info = queue.backfill->info();
  const bool guards = std::any_of(info.parameters.begin(), info.parameters.end(),
                                  [](const ParameterInfo& parameter) { return parameter.name == "protect_after"; });
  if (!guards) return false;
  const double after = parameter(info, queue.settings.parameters, "protect_after");
  return after > 0 && job.skips >= after && Holdings(state.cluster).has_room(job, now);
}

}  // namespace

Violation quota_never_exceeded(const PlannedPass& pass) {
  const QueueUse use = use_after(pass);
  if (Violation own = own_limits(pass.before.queue, use)) return own;
  return together(pass.before.queue, use);
}

Violation work_conserving(const PlannedPass& pass) {
  if (any_quota(pass.before.queue)) return std::nullopt;
  if (pass.decisions.wake_at && *pass.decisions.wake_at <= pass.now + Duration(1)) return std::nullopt;
  const QueueUse use = use_with_claims(pass);
  const Holdings holdings = holdings_with_promises(pass, Leaving::kStillThere);
  const std::map<JobId, Reservation> reserved = standing_reservations(pass);
  const std::map<JobId, Claim> claimed = standing_claims(pass);
  for (const QueueState& queue : pass.before.queue.queues()) {
    if (!queue.leaf() || !conserves(pass, queue)) continue;
    std::vector<const JobSnapshot*> waiting;
    for (const PendingEntry& entry : queue.pending) {
      const JobSnapshot& job = pass.before.queue.job(entry);
      if (!starts(pass, job.id) && ungated(pass.before, job, pass.now)) waiting.push_back(&job);
    }
    if (queue.backfill->counts_only() && waiting.size() > 1) continue;
    const auto protects = [&pass](const JobSnapshot* job) { return is_protected(pass.before, *job, pass.now); };
    if (std::any_of(waiting.begin(), waiting.end(), protects)) continue;
    for (const JobSnapshot* job : waiting) {
      if (reserved.contains(job->id) || claimed.contains(job->id) || !within_job_limits(pass.before.queue, *job, use)) continue;
      if (holdings.has_room(*job, pass.now)) return fmt::format("job {} waits, though there is room for it", job->id.value);
    }
  }
  return std::nullopt;
}

Violation OvertakesAtMost::after(const PlannedPass& pass) {
  const QueueUse use = use_with_claims(pass);
  const std::map<JobId, Claim> claims = standing_claims(pass);
  std::map<JobId, std::int64_t> started;
  for (const Start& start : pass.decisions.starts) started[start.job] = task_count(start.nodes);
  for (QueueIndex index = 0; index < pass.before.queue.queues().size(); ++index) {
    const QueueState& queue = pass.before.queue.queue(index);
    if (!queue.leaf() || queue.pending.empty()) continue;
    const std::optional<std::int64_t> by_order = queue.order->info().promise.overtakes_max;
    const std::optional<std::int64_t> by_backfill = queue.backfill->info().promise.overtakes_max;
    if (!by_backfill) continue;

    std::map<JobId, std::int64_t> overtaken;
    const std::unique_ptr<OrderPass> order = queue.order->begin({pass.before.cluster, pass.before.queue, index, pass.now});
    while (const JobSnapshot* job = order->next()) {
      if (const auto start = started.find(job->id); start != started.end()) {
        if (!job->claim) {
          for (auto& [id, count] : overtaken) ++count;
        }
        order->started(start->second);
      } else if (ungated(pass.before, *job, pass.now) && within_job_limits(pass.before.queue, *job, use) &&
                 could_ever_fit(pass.before.cluster, *job) && !claims.contains(job->id)) {
        overtaken.emplace(job->id, 0);
        order->refused();
      }
    }
    for (const auto& [job, now] : overtaken) {
      const std::int64_t so_far = overtaken_by_[job] += now;
      if (now > *by_backfill || (by_order && so_far > *by_order + *by_backfill)) {
        return fmt::format("overtakes_at_most: {} later jobs started before job {}, {} of them now", so_far, job.value, now);
      }
    }
  }
  return std::nullopt;
}

}  // namespace trainyard::sched::testing
