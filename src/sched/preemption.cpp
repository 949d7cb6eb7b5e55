#include "sched/preemption.h"

#include <algorithm>
#include <tuple>

#include "sched/internal/victim_search.h"

namespace trainyard::sched {
namespace {

constexpr std::int64_t kLeastLossSeconds = 60;  ///< Of a victim's size: checkpointing often makes nobody a victim for ever.
constexpr std::int64_t kCostMax = std::int64_t{1} << 56;

std::int64_t size_milli(const RunningJob& running) {
  const Amounts held = running.held();
  return held[kGpu] > 0 ? held[kGpu] : held[kCpu];
}

/// In the order in which they should give way: lower tiers, lower priorities, younger jobs first.
bool gives_way_before(const RunningJob& a, const RunningJob& b) {
  return std::tie(a.job.tier, a.job.priority, b.job.queued_at, b.job.id) < std::tie(b.job.tier, b.job.priority, a.job.queued_at, a.job.id);
}

std::int64_t spare_tasks(const RunningJob& running) {
  return running.job.tasks_min > 0 ? std::max<std::int64_t>(0, task_count(running.nodes) - running.job.tasks_min) : 0;
}

/// True when the job must be left to run for now, whoever asks.
bool is_protected(const PreemptionView& view, const RunningJob& running, const JobSnapshot& job) {
  const PreemptionSettings& settings = view.queue.queue(job.queue).settings.preemption;
  const std::uint64_t epoch = view.queue.epoch;
  return !running.job.preemptible || view.now - running.started_at < settings.minimum_run_time ||
         running.job.evictions >= settings.evictions_per_job_max || running.job.evicted_in_epoch == epoch ||
         (job.evicted_in_epoch == epoch && job.evicted_for == running.job.id);
}

/// Running jobs whose tier lets them give way, and the first of those that are protected.
struct Candidates {
  std::vector<Victim> victims;
  JobId protected_job;
};

Candidates candidates_for(const PreemptionView& view, const JobSnapshot& job) {
  const PreemptionSettings& settings = view.queue.queue(job.queue).settings.preemption;
  std::set<JobId> shrinking;
  if (view.decided != nullptr) {
    for (const Resize& shrink : view.decided->shrinks) shrinking.insert(shrink.job);
  }
  Candidates candidates;
  view.cluster.each_by_end([&](const RunningJob& running) {
    if (running.job.tier > job.tier || running.stopping || !running.shrink_to.empty()) return true;
    if (view.leaving.contains(running.job.id) || shrinking.contains(running.job.id)) return true;
    Victim victim;
    victim.running = &running;
    victim.spare = spare_tasks(running);
    const bool by_rank = running.job.tier < job.tier || running.job.queue != job.queue;
    const bool is_safe = is_protected(view, running, job);
    victim.may_leave = by_rank && !is_safe;
    if (by_rank && is_safe && !candidates.protected_job.valid()) candidates.protected_job = running.job.id;
    if (!victim.may_leave && victim.spare == 0) return true;
    victim.cost = eviction_cost(running, settings.grace, view.now);
    candidates.victims.push_back(std::move(victim));
    return true;
  });
  std::sort(candidates.victims.begin(), candidates.victims.end(),
            [](const Victim& a, const Victim& b) { return gives_way_before(*a.running, *b.running); });
  return candidates;
}

EvictionPlan plan_of(const PreemptionView& view, const JobSnapshot& job, EvictionDraft& draft, Placement nodes) {
  EvictionPlan plan;
  plan.claim.nodes = std::move(nodes);
  plan.claim.since = view.now;
  plan.claim.grace_ends = end_after(view.now, view.queue.queue(job.queue).settings.preemption.grace);
  for (const Victim& victim : draft.victims()) {
    if (victim.leaves) {
      plan.claim.victims.push_back(victim.running->job.id);
    } else if (victim.dropped > 0) {
      plan.claim.shrinking.push_back(victim.running->job.id);
      plan.shrinks.push_back({victim.running->job.id, EvictionDraft::kept(victim), job.id});
    }
  }
  std::sort(plan.claim.victims.begin(), plan.claim.victims.end());
  std::sort(plan.claim.shrinking.begin(), plan.claim.shrinking.end());
  std::sort(plan.shrinks.begin(), plan.shrinks.end(), [](const Resize& a, const Resize& b) { return a.job < b.job; });
  return plan;
}

/// Says what kept the job from taking room: the shares, when it would be enough if everybody gave way, else quota or room.
EvictionAnswer refused(EvictionDraft& draft, VictimSearch& search, JobId protected_job) {
  EvictionAnswer answer;
  answer.protected_job = protected_job;
  if (draft.quota_refusal()) answer.refusal = Reason::kWaitingForQuota;
  if (!search.enough_without_rules()) return answer;
  const Victim* cheapest = &draft.victims().front();
  for (const Victim& victim : draft.victims()) {
    const bool by_share = victim.standing.same_tier && victim.standing.theirs != kNoIndex;
    if (by_share && (answer.refusal != Reason::kExceedsFairShare || victim.cost < cheapest->cost)) {
      answer.refusal = Reason::kExceedsFairShare;
      cheapest = &victim;
    }
  }
  answer.protected_job = cheapest->running->job.id;
  return answer;
}

}  // namespace

std::int64_t eviction_cost(const RunningJob& victim, Duration grace, TimePoint now) {
  const bool checkpoints_in_time = victim.job.checkpoint_cost > Duration(0) && victim.job.checkpoint_cost <= grace;
  const Duration lost = checkpoints_in_time ? victim.job.checkpoint_cost : now - std::max(victim.last_checkpoint, victim.started_at);
  const auto lost_micros = static_cast<__int128>(std::max<std::int64_t>(0, lost.count())) + victim.job.restart_cost.count();
  const __int128 micros = std::max<__int128>(lost_micros, kLeastLossSeconds * 1'000'000);
  const __int128 cost = micros * std::max<std::int64_t>(1, size_milli(victim)) / 1'000'000;
  return static_cast<std::int64_t>(std::min<__int128>(cost, kCostMax));
}

EvictionAnswer plan_eviction(const PreemptionView& view, const JobSnapshot& job) {
  const PreemptionSettings& settings = view.queue.queue(job.queue).settings.preemption;
  if (!settings.enabled) return {};
  Candidates candidates = candidates_for(view, job);
  EvictionAnswer answer;
  answer.protected_job = candidates.protected_job;
  if (candidates.victims.empty()) return answer;

  const std::int64_t tasks = job.tasks_min > 0 ? job.tasks_min : job.tasks;
  const TimePoint to = end_after(end_after(view.now, settings.grace), job.walltime);
  EvictionDraft draft(view, {job, tasks, to}, std::move(candidates.victims));
  if (draft.victims().empty()) return answer;
  VictimSearch search(draft, std::max<std::int64_t>(0, view.evictions_left));
  const std::optional<EvictionChoice> choice = search.run();
  if (!choice) return refused(draft, search, candidates.protected_job);
  draft.load(*choice);
  if (!draft.raises_potential()) {
    draft.clear();
    return refused(draft, search, candidates.protected_job);
  }
  std::optional<Placement> nodes = place(view.cluster, draft.room(), {job, tasks, view.now, to}, view.scorer);
  if (nodes) answer.plan = plan_of(view, job, draft, std::move(*nodes));
  return answer;
}

}  // namespace trainyard::sched
