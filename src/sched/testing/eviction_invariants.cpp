#include "sched/testing/eviction_invariants.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "sched/share.h"

namespace trainyard::sched::testing {
namespace {

/// Calls `visit(preemption, victim)` for every eviction of a plan until it finds something wrong.
template <typename Visit>
Violation each_eviction(const PlannedPass& pass, Visit visit) {
  for (const Preemption& preemption : pass.decisions.preemptions) {
    for (const JobId id : preemption.claim.victims) {
      const RunningJob* victim = pass.before.cluster.find(id);
      if (victim == nullptr || victim->stopping) return fmt::format("job {} is asked to leave, but does not run", id.value);
      if (Violation wrong = visit(preemption, *victim)) return wrong;
    }
  }
  return std::nullopt;
}

bool is_flat(const QueueSnapshot& queue) {
  return std::all_of(queue.queues().begin(), queue.queues().end(),
                     [](const QueueState& state) { return state.parent == kNoIndex || state.parent == 0; });
}

bool has_quotas(const QueueSnapshot& queue) {
  return std::any_of(queue.queues().begin(), queue.queues().end(),
                     [](const QueueState& state) { return state.settings.nominal.has_value(); });
}

const PreemptionSettings& settings_of(const PlannedPass& pass, JobId preemptor) {
  return pass.before.queue.queue(pass.before.queue.find(preemptor)->queue).settings.preemption;
}

/// What the jobs of a leaf hold when this plan has been carried out and all victims have gone.
Amounts use_after(const PlannedPass& pass, QueueIndex leaf) {
  std::set<JobId> gone;
  std::map<JobId, Placement> placed;
  for (const JobId id : pass.before.queue.promised()) {
    if (pass.before.queue.find(id)->claim) placed[id] = pass.before.queue.find(id)->claim->nodes;
  }
  for (const JobId id : pass.decisions.dropped_claims) placed.erase(id);
  for (const Start& start : pass.decisions.starts) placed[start.job] = start.nodes;
  for (const Preemption& preemption : pass.decisions.preemptions) {
    placed[preemption.preemptor] = preemption.claim.nodes;
    gone.insert(preemption.claim.victims.begin(), preemption.claim.victims.end());
  }
  std::map<JobId, std::int64_t> resized;
  for (const auto* resizes : {&pass.decisions.shrinks, &pass.decisions.grows}) {
    for (const Resize& resize : *resizes) resized[resize.job] = task_count(resize.nodes);
  }
  Amounts use;
  pass.before.cluster.each_by_end([&](const RunningJob& running) {
    if (running.job.queue != leaf || running.stopping || gone.contains(running.job.id)) return true;
    std::int64_t tasks = task_count(running.shrink_to.empty() ? running.nodes : running.shrink_to);
    if (const auto found = resized.find(running.job.id); found != resized.end()) tasks = found->second;
    use += running.job.demand.amounts * tasks;
    return true;
  });
  for (const auto& [id, nodes] : placed) {
    const JobSnapshot& job = *pass.before.queue.find(id);
    if (job.queue == leaf) use += job.demand.amounts * task_count(nodes);
  }
  return use;
}

constexpr std::int32_t kLowestTier = std::numeric_limits<std::int32_t>::min();

bool is_below(const QueueSnapshot& queue, QueueIndex leaf, QueueIndex root) {
  for (QueueIndex index = leaf; index != kNoIndex; index = queue.queue(index).parent) {
    if (index == root) return true;
  }
  return false;
}

/// What jobs of a subtree and of at least that tier hold once victims are gone and claims have started.
Amounts use_below(const SchedulerState& state, QueueIndex root, std::int32_t tier) {
  Amounts use;
  state.cluster.each_by_end([&](const RunningJob& running) {
    if (running.stopping || running.job.tier < tier || !is_below(state.queue, running.job.queue, root)) return true;
    use += running.job.demand.amounts * task_count(running.shrink_to.empty() ? running.nodes : running.shrink_to);
    return true;
  });
  for (const JobId id : state.queue.promised()) {
    const JobSnapshot& job = *state.queue.find(id);
    if (job.claim && job.tier >= tier && is_below(state.queue, job.queue, root)) use += job.demand.amounts * task_count(job.claim->nodes);
  }
  return use;
}

/// True when what a subtree uses is within the quotas of its queues, in the kinds that are asked for and have one.
bool owns_all(const QueueSnapshot& queue, QueueIndex root, const Amounts& use, const Amounts& asked) {
  Amounts quota;
  std::array<bool, kAmountKinds> has_quota{};
  for (QueueIndex index = 0; index < queue.queues().size(); ++index) {
    const std::optional<Amounts>& nominal = queue.queue(index).settings.nominal;
    if (!nominal || !is_below(queue, index, root)) continue;
    for (std::size_t kind = 0; kind < kAmountKinds; ++kind) {
      if ((*nominal)[kind] >= kUnlimited) continue;
      has_quota[kind] = true;
      quota[kind] += (*nominal)[kind];
    }
  }
  bool owns = false;
  for (std::size_t kind = 0; kind < kAmountKinds; ++kind) {
    if (asked[kind] <= 0 || !has_quota[kind]) continue;
    if (use[kind] > quota[kind]) return false;
    owns = true;
  }
  return owns;
}

bool beyond_quota(const QueueSettings& settings, const Amounts& use) {
  if (!settings.nominal) return true;
  bool any = false;
  for (std::size_t kind = 0; kind < kAmountKinds; ++kind) {
    if ((*settings.nominal)[kind] >= kUnlimited) continue;
    any = true;
    if (use[kind] > (*settings.nominal)[kind]) return true;
  }
  return !any;
}

}  // namespace

Violation EvictionInvariant::applied(const SchedulerState&, const Decisions&) { return std::nullopt; }

Violation EvictionInvariant::rested(const SchedulerState&) { return std::nullopt; }

Violation NoJobIsEvictedTwiceInAnEpoch::planned(const PlannedPass& pass) {
  if (pass.before.queue.epoch != epoch_) evicted_.clear();
  epoch_ = pass.before.queue.epoch;
  return each_eviction(pass, [this](const Preemption&, const RunningJob& victim) -> Violation {
    if (evicted_.insert(victim.job.id).second) return std::nullopt;
    return fmt::format("job {} is evicted twice in epoch {}", victim.job.id.value, epoch_);
  });
}

Violation EvictionsStayBelowLiveJobs::planned(const PlannedPass& pass) {
  if (pass.before.queue.epoch != epoch_) evictions_ = 0;
  epoch_ = pass.before.queue.epoch;
  for (const Preemption& preemption : pass.decisions.preemptions) evictions_ += preemption.claim.victims.size();
  const std::size_t live = pass.before.cluster.running_count() + pass.before.queue.pending_count();
  if (evictions_ <= live) return std::nullopt;
  return fmt::format("{} evictions of {} live jobs in epoch {}", evictions_, live, epoch_);
}

Violation VictimSparesItsEvictor::planned(const PlannedPass& pass) {
  if (pass.before.queue.epoch != epoch_) evictor_of_.clear();
  epoch_ = pass.before.queue.epoch;
  return each_eviction(pass, [this](const Preemption& preemption, const RunningJob& victim) -> Violation {
    evictor_of_[victim.job.id] = preemption.preemptor;
    const auto found = evictor_of_.find(preemption.preemptor);
    if (found == evictor_of_.end() || found->second != victim.job.id) return std::nullopt;
    return fmt::format("job {} evicts job {}, for which it left", preemption.preemptor.value, victim.job.id.value);
  });
}

Violation PotentialRises::planned(const PlannedPass& pass) {
  applies_ = is_flat(pass.before.queue) && !has_quotas(pass.before.queue);
  if (applies_) before_ = potential_of(pass.before.cluster, pass.before.queue);
  return std::nullopt;
}

Violation PotentialRises::applied(const SchedulerState& after, const Decisions& decisions) {
  if (!applies_) return std::nullopt;
  const Potential now = potential_of(after.cluster, after.queue);
  if (now < before_) return "the potential falls";
  if (!decisions.preemptions.empty() && now == before_) return "an eviction leaves the potential as it was";
  return std::nullopt;
}

Violation FreedRoomGoesToTheClaimant::planned(const PlannedPass& pass) {
  for (const JobId id : pass.decisions.dropped_claims)
    return fmt::format("the claim of job {} is dropped, though nothing happened to it", id.value);
  if (Violation taken = never_oversubscribes(pass)) return taken;
  return quota_never_exceeded(pass);
}

Violation FreedRoomGoesToTheClaimant::rested(const SchedulerState& state) {
  for (const JobId id : state.queue.promised()) {
    if (state.queue.find(id)->claim) return fmt::format("job {} still waits for its victims' room", id.value);
  }
  return std::nullopt;
}

Violation BudgetsHold::planned(const PlannedPass& pass) {
  while (!recent_.empty() && recent_.front() + std::chrono::minutes(1) <= pass.now) recent_.pop_front();
  return each_eviction(pass, [&](const Preemption& preemption, const RunningJob& victim) -> Violation {
    const PreemptionSettings& settings = settings_of(pass, preemption.preemptor);
    const std::uint64_t id = victim.job.id.value;
    recent_.push_back(pass.now);
    if (!settings.enabled) return fmt::format("job {} evicts, though its queue does not", preemption.preemptor.value);
    if (!victim.job.preemptible) return fmt::format("job {} may not be evicted", id);
    if (victim.job.evictions >= settings.evictions_per_job_max) return fmt::format("job {} is evicted too often", id);
    if (pass.now - victim.started_at < settings.minimum_run_time) return fmt::format("job {} is evicted too early", id);
    if (static_cast<std::int64_t>(recent_.size()) > settings.evictions_per_minute_max) return "too many evictions in a minute";
    if (preemption.claim.grace_ends != end_after(pass.now, settings.grace)) return fmt::format("job {} gets another grace", id);
    return std::nullopt;
  });
}

Violation QueueWithinItsQuotaIsNoVictim::planned(const PlannedPass& pass) {
  // From the last plan back: each was made when the victims of those after it were still there.
  std::map<QueueIndex, Amounts> given_later;
  for (auto preemption = pass.decisions.preemptions.rbegin(); preemption != pass.decisions.preemptions.rend(); ++preemption) {
    const QueueIndex own = pass.before.queue.find(preemption->preemptor)->queue;
    for (const JobId id : preemption->claim.victims) {
      const RunningJob& victim = *pass.before.cluster.find(id);
      const QueueIndex queue = victim.job.queue;
      if (queue == own) continue;
      const Amounts use = use_after(pass, queue) + given_later[queue] + victim.held();
      if (beyond_quota(pass.before.queue.queue(queue).settings, use)) continue;
      return fmt::format("job {} leaves for job {}, but its queue uses no more than its own", id.value, preemption->preemptor.value);
    }
    for (const JobId id : preemption->claim.victims) {
      const RunningJob& victim = *pass.before.cluster.find(id);
      given_later[victim.job.queue] += victim.held();
    }
    for (const Resize& shrink : pass.decisions.shrinks) {
      if (shrink.on_behalf_of != preemption->preemptor) continue;
      const RunningJob& gang = *pass.before.cluster.find(shrink.job);
      given_later[gang.job.queue] += gang.job.demand.amounts * (task_count(gang.nodes) - task_count(shrink.nodes));
    }
  }
  return std::nullopt;
}

Violation SharesStayInOrder::planned(const PlannedPass& pass) {
  victims_.clear();
  const Decisions& decisions = pass.decisions;
  if (decisions.preemptions.size() != 1 || !decisions.starts.empty() || !decisions.grows.empty()) return std::nullopt;
  return each_eviction(pass, [&](const Preemption& preemption, const RunningJob& victim) -> Violation {
    const JobSnapshot& job = *pass.before.queue.find(preemption.preemptor);
    if (victim.job.tier == job.tier) victims_.push_back(victim.job.queue);
    return std::nullopt;
  });
}

Violation SharesStayInOrder::applied(const SchedulerState& after, const Decisions& decisions) {
  const QueueSnapshot& queue = after.queue;
  for (const QueueIndex of_victim : victims_) {
    const JobSnapshot& job = *queue.find(decisions.preemptions[0].preemptor);
    std::vector<QueueIndex> above;
    for (QueueIndex index = job.queue; index != kNoIndex; index = queue.queue(index).parent) above.push_back(index);
    QueueIndex theirs = of_victim;
    const auto parent = [&queue](QueueIndex index) { return queue.queue(index).parent; };
    while (std::count(above.begin(), above.end(), parent(theirs)) == 0) theirs = parent(theirs);
    QueueIndex mine = job.queue;
    bool owns = true;
    while (true) {
      owns = owns && owns_all(queue, mine, use_below(after, mine, kLowestTier), job.demand.amounts);
      if (parent(mine) == parent(theirs)) break;
      mine = parent(mine);
    }
    if (owns) continue;
    const Amounts& capacity = after.cluster.capacity();
    const Share of_mine = share_of(use_below(after, mine, job.tier), capacity, queue.queue(mine).settings.weight_milli);
    const Share of_theirs = share_of(use_below(after, theirs, job.tier), capacity, queue.queue(theirs).settings.weight_milli);
    if (of_mine <= of_theirs) continue;
    return fmt::format("job {} takes from a queue until its own side has the larger share, {} against {}", job.id.value, of_mine.value(),
                       of_theirs.value());
  }
  return std::nullopt;
}

Violation VictimsAreNotAbove::planned(const PlannedPass& pass) {
  return each_eviction(pass, [&pass](const Preemption& preemption, const RunningJob& victim) -> Violation {
    const JobSnapshot& job = *pass.before.queue.find(preemption.preemptor);
    if (victim.job.tier < job.tier || (victim.job.tier == job.tier && victim.job.queue != job.queue)) return std::nullopt;
    return fmt::format("job {} of tier {} leaves for job {} of tier {}", victim.job.id.value, victim.job.tier, job.id.value, job.tier);
  });
}

std::vector<std::unique_ptr<EvictionInvariant>> eviction_invariants() {
  std::vector<std::unique_ptr<EvictionInvariant>> all;
  all.push_back(std::make_unique<NoJobIsEvictedTwiceInAnEpoch>());
  all.push_back(std::make_unique<EvictionsStayBelowLiveJobs>());
  all.push_back(std::make_unique<VictimSparesItsEvictor>());
  all.push_back(std::make_unique<PotentialRises>());
  all.push_back(std::make_unique<FreedRoomGoesToTheClaimant>());
  all.push_back(std::make_unique<BudgetsHold>());
  all.push_back(std::make_unique<QueueWithinItsQuotaIsNoVictim>());
  all.push_back(std::make_unique<SharesStayInOrder>());
  all.push_back(std::make_unique<VictimsAreNotAbove>());
  return all;
}

}  // namespace trainyard::sched::testing
