#include <algorithm>

#include "sched/internal/pass.h"
#include "sched/placement.h"

// What outlives a pass: claims of preemptors and reservations that queues keep.

namespace trainyard::sched {

/// Claims come before everything else: room that victims free belongs to those they left for. A claim ends when its job starts, when the
/// job may not run, or when its room cannot come any more (a node was lost, the victims have gone and it is still short).
///
/// Several claims may wait for room of one node. Those whose victims have gone come first and have that room; another one may start before
/// its victims have gone only where room is left beside all claims. None starts on quota that jobs which are leaving still use.
void Pass::hold_claims() {
  std::vector<const JobSnapshot*> ready;
  std::vector<const JobSnapshot*> draining;
  for (const JobId id : queue_.promised()) {
    const JobSnapshot& job = *queue_.find(id);
    if (!job.claim) continue;
    const auto usable = [this](const TaskPlace& place) { return cluster_.node(place.node).usable(); };
    if (gate(job) || line_is_stopped(job.queue) || !std::all_of(job.claim->nodes.begin(), job.claim->nodes.end(), usable)) {
      decisions_.dropped_claims.push_back(id);
      continue;
    }
    (is_draining(*job.claim) ? draining : ready).push_back(&job);
  }
  for (const JobSnapshot* job : ready) hold_claim(*job);
  const bool somebody_leaves = !draining.empty() || (!ready.empty() && anybody_leaves());
  for (const JobSnapshot* job : ready) settle_claim(*job, somebody_leaves);
  for (const JobSnapshot* job : draining) hold_claim(*job);
  for (const JobSnapshot* job : draining) settle_claim(*job, true);
}

/// True when something that the claim waits for is still there: a victim, or tasks of a gang that gives them up.
bool Pass::is_draining(const Claim& claim) const {
  const auto gives_room = [this](JobId id) {
    const RunningJob* running = cluster_.find(id);
    return running != nullptr && (running->stopping || !running->shrink_to.empty());
  };
  return std::any_of(claim.victims.begin(), claim.victims.end(), gives_room) ||
         std::any_of(claim.shrinking.begin(), claim.shrinking.end(), gives_room);
}

bool Pass::anybody_leaves() const {
  bool leaves = false;
  cluster_.each_by_end([&leaves](const RunningJob& running) {
    leaves = running.stopping || !running.shrink_to.empty();
    return !leaves;
  });
  return leaves;
}

void Pass::hold_claim(const JobSnapshot& job) {
  availability().hold(job.demand, job.claim->nodes, now_, kNever);
  quota_.charge(job.queue, job.demand.amounts * task_count(job.claim->nodes), 1);
  claimed_.insert(job.id);
  join(job, 1);
  ++version_;
}

/// Starts the job of a held claim, or holds on to the claim while what it lacks `may_come`, or drops it.
void Pass::settle_claim(const JobSnapshot& job, bool may_come) {
  const Placement& nodes = job.claim->nodes;
  const Amounts claimed = job.demand.amounts * task_count(nodes);
  availability().drop(job.demand, nodes, now_, kNever);
  quota_.charge(job.queue, claimed * -1, -1);
  if (has_room(job, nodes, now_ + kMoment) && !(may_come && quota_.refusal(job.queue, claimed))) {
    join(job, -1);
    start(job, nodes);
  } else if (may_come) {
    availability().hold(job.demand, nodes, now_, kNever);
    quota_.charge(job.queue, claimed, 1);
  } else {
    claimed_.erase(job.id);
    join(job, -1);
    decisions_.dropped_claims.push_back(job.id);
  }
}

/// Whether all of `nodes` are free for the job from now to `until`.
bool Pass::has_room(const JobSnapshot& job, const Placement& nodes, TimePoint until) {
  NodeFree free;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const TaskPlace& place = nodes[i];
    if (!cluster_.node(place.node).usable()) return false;
    // Places of one node are taken one after the other, so that they are tested together.
    if (i == 0 || nodes[i - 1].node != place.node) free = availability().free_over(place.node, now_, until);
    free.take(job.demand, place.tasks, place.devices);
    for (std::size_t kind = 0; kind < kAmountKinds; ++kind) {
      if (kind != kGpu && job.demand.amounts[kind] > 0 && free.amounts[kind] < 0) return false;
    }
    for (std::size_t device = 0; device < free.devices; ++device) {
      if ((place.devices >> device & 1) != 0 && free.device_milli[device] < 0) return false;
    }
  }
  return true;
}

/// Promises that queues keep from pass to pass stand in the way of everybody from the beginning. One that its nodes cannot keep is given
/// up here and made anew at the job's turn.
void Pass::hold_reservations() {
  for (const JobId id : queue_.promised()) {
    const JobSnapshot& job = *queue_.find(id);
    if (!job.reservation || job.claim || !queue_.queue(job.queue).backfill->keeps_reservations()) continue;
    if (gate(job) || count_limit(job) || line_is_stopped(job.queue)) continue;
    const auto usable = [this](const TaskPlace& place) { return cluster_.node(place.node).usable(); };
    if (!std::all_of(job.reservation->nodes.begin(), job.reservation->nodes.end(), usable)) continue;
    const TimePoint start = std::max(job.reservation->start, now_);
    availability().hold(job.demand, job.reservation->nodes, start, end_after(start, job.walltime));
    settle(id);
    protected_.emplace_back(start, id);
  }
}

/// Whether a promise of earlier passes stands in this one.
bool Pass::kept_promise(const JobSnapshot& job) const {
  return job.reservation && !job.claim && queue_.queue(job.queue).backfill->keeps_reservations() &&
         std::binary_search(settled_.begin(), settled_.end(), job.id);
}

/// Others may have been refused for the sake of the promise: they get another pass at once.
void Pass::give_up_promise(const JobSnapshot& job) {
  const TimePoint begins = std::max(job.reservation->start, now_);
  availability().drop(job.demand, job.reservation->nodes, begins, end_after(begins, job.walltime));
  promise(job, std::nullopt);
  wake(now_ + kMoment);
  ++version_;
}

/// A queue that keeps its promises: a kept reservation is left alone until its time, and moved only when room was given back, and then only
/// earlier, with all others in place.
bool Pass::keep_promise(Line& line, const JobSnapshot& job) {
  if (!kept_promise(job)) return false;
  const Reservation& kept = *job.reservation;
  const TimePoint begins = std::max(kept.start, now_);
  if (!queue_.ended_since_plan && kept.start > now_) {
    wake_for_promise(kept.start);
    wait(line, job, {.reason = Reason::kWaitingForReservation, .needed = job.tasks, .blocker = job.id, .at = kept.start});
    return true;
  }
  const TimePoint ends = end_after(begins, job.walltime);
  availability().drop(job.demand, kept.nodes, begins, ends);
  ++version_;
  Obstacle obstacle;
  if (!queue_.ended_since_plan && has_room(job, kept.nodes, ends) &&
      !quota_.refusal(job.queue, job.demand.amounts * task_count(kept.nodes))) {
    count_start(line, job, task_count(kept.nodes));
    start(job, kept.nodes);
    return true;
  }
  if (try_start(line, job, obstacle)) return true;
  const bool for_room = obstacle.reason >= Reason::kTopologyPlacementFailed;
  if (!for_room && kept.start <= now_) {
    // Its time has come and its quota forbids it: nobody may be kept waiting for that.
    promise(job, std::nullopt);
    wake(now_ + kMoment);
    wait(line, job, obstacle);
    return true;
  }
  std::optional<Reservation> moved = for_room ? reserve(job) : kept;
  // An earlier place would be news; a later one can only come from room that was lost, and then the promise cannot be kept as it was.
  if (moved && moved->start > kept.start && kept.start > now_) moved = kept;
  if (moved) {
    availability().hold(job.demand, moved->nodes, moved->start, end_after(moved->start, job.walltime));
    wake_for_promise(moved->start);
    obstacle.at = moved->start;
    if (for_room) obstacle.reason = Reason::kWaitingForReservation;
    if (for_room) obstacle.blocker = job.id;
  }
  promise(job, std::move(moved));
  ++version_;
  wait(line, job, obstacle);
  return true;
}

/// Promises of passes before this one that nobody renewed.
void Pass::drop_stale_promises() {
  for (const JobId id : queue_.promised()) {
    const JobSnapshot& job = *queue_.find(id);
    if (job.reservation && !std::binary_search(settled_.begin(), settled_.end(), id)) decisions_.reservations.push_back({id, std::nullopt});
  }
}

}  // namespace trainyard::sched
