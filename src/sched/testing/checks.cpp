#include "sched/testing/checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "sched/plan.h"
#include "sched/testing/holdings.h"

namespace trainyard::sched::testing {
namespace {

/// Every task where it may be: on usable nodes that the constraints allow, ascending, with the devices that it asked for.
Violation well_placed(const ClusterSnapshot& cluster, const JobSnapshot& job, const Placement& nodes) {
  static const Constraints kNone;
  const Constraints& constraints = job.constraints ? *job.constraints : kNone;
  std::map<NodeIndex, std::int64_t> tasks_of;
  NodeIndex last = 0;
  for (const TaskPlace& place : nodes) {
    if (place.node >= cluster.nodes().size()) return fmt::format("job {} is on node {}, which is not there", job.id.value, place.node);
    if (place.node < last) return fmt::format("the placement of job {} is not ascending", job.id.value);
    last = place.node;
    tasks_of[place.node] += place.tasks;
    const NodeState& node = cluster.node(place.node);
    if (!node.usable()) return fmt::format("job {} is on node {}, which is not usable", job.id.value, place.node);
    if (!allows(*node.info, constraints)) return fmt::format("job {} may not run on node {}", job.id.value, place.node);
    const bool shares = job.demand.gpus == 1 && job.demand.gpu_milli < 1000;
    const int devices = shares ? 1 : job.demand.gpus * static_cast<int>(place.tasks);
    if (place.tasks == 0 || std::popcount(place.devices) != devices) {
      return fmt::format("job {} has {} devices for {} tasks on node {}", job.id.value, std::popcount(place.devices), place.tasks,
                         place.node);
    }
  }
  for (const auto& [node, tasks] : tasks_of) {
    if (constraints.tasks_per_node_max > 0 && tasks > constraints.tasks_per_node_max) {
      return fmt::format("job {} has {} tasks on node {}", job.id.value, tasks, node);
    }
  }
  return std::nullopt;
}

/// The reason that must be told because the job or its queue is closed, whatever room there is.
std::optional<Reason> gate_of(const SchedulerState& state, const JobSnapshot& job, TimePoint now) {
  bool stopped = false;
  for (QueueIndex index = job.queue; index != kNoIndex; index = state.queue.queue(index).parent) {
    stopped |= state.queue.queue(index).settings.state == QueueSettings::State::kStopped;
  }
  if (job.held || stopped) return Reason::kSuspended;
  if (!job.waits_for.empty()) return Reason::kDependencyNotMet;
  if (job.eligible_at > now) return Reason::kBackoff;
  return std::nullopt;
}

bool is_gate(Reason reason) { return reason == Reason::kSuspended || reason == Reason::kDependencyNotMet || reason == Reason::kBackoff; }

/// Reasons that bind before a gate does.
bool before_gates(Reason reason) { return reason < Reason::kSuspended; }

Violation reason_fits(const PlannedPass& pass, const JobSnapshot& job, const std::vector<const Wait*>& waits) {
  if (starts(pass, job.id)) {
    if (waits.empty()) return std::nullopt;
    return fmt::format("job {} both starts and waits", job.id.value);
  }
  if (waits.size() > 1) return fmt::format("job {} has {} reasons", job.id.value, waits.size());
  if (waits.empty()) {
    for (const QueueWait& wait : pass.decisions.queue_waits) {
      if (wait.queue == job.queue) return std::nullopt;
    }
    return fmt::format("job {} has no reason", job.id.value);
  }
  const Reason reason = waits.front()->reason;
  if (reason == Reason::kPendingEvaluation) return fmt::format("job {} was looked at and still waits to be", job.id.value);
  const std::optional<Reason> gate = gate_of(pass.before, job, pass.now);
  if (is_gate(reason) ? gate != reason : gate && !before_gates(reason)) {
    return fmt::format("job {} waits for {}, but should for {}", job.id.value, name_of(reason), gate ? name_of(*gate) : "something else");
  }
  return std::nullopt;
}

bool counts_only_somewhere(const QueueSnapshot& queue) {
  return std::any_of(queue.queues().begin(), queue.queues().end(),
                     [](const QueueState& state) { return state.leaf() && state.backfill->counts_only(); });
}

bool promises_can_be_broken(const QueueSnapshot& queue) {
  return counts_only_somewhere(queue) || std::any_of(queue.queues().begin(), queue.queues().end(), [](const QueueState& state) {
           const QueueSettings& settings = state.settings;
           return settings.nominal || settings.running_jobs_max < kUnlimited || settings.running_jobs_per_user_max < kUnlimited ||
                  settings.preemption.enabled;
         });
}

constexpr NamedCheck kChecks[] = {
    {"never_oversubscribes", never_oversubscribes},
    {"gangs_whole", gangs_whole},
    {"deterministic", deterministic},
    {"every_pending_job_has_one_reason", every_pending_job_has_one_reason},
    {"quota_never_exceeded", quota_never_exceeded},
    {"promises_are_feasible", promises_are_feasible},
    {"work_conserving", work_conserving},
    {"reservations_never_move_later", reservations_never_move_later},
    {"wakes_up_in_time", wakes_up_in_time},
};

}  // namespace

bool ungated(const SchedulerState& state, const JobSnapshot& job, TimePoint now) {
  if (gate_of(state, job, now)) return false;
  for (QueueIndex index = job.queue; index != kNoIndex; index = state.queue.queue(index).parent) {
    const QueueState& queue = state.queue.queue(index);
    if (queue.running_jobs >= queue.settings.running_jobs_max) return false;
  }
  return state.queue.running_of(job.queue, job.user) < state.queue.queue(job.queue).settings.running_jobs_per_user_max;
}

Violation never_oversubscribes(const PlannedPass& pass) {
  if (Violation now = holdings_of_running(pass, Leaving::kStillThere).overcommitted()) return now;
  Holdings later = holdings_of_running(pass, Leaving::kGone);
  for (const auto& [id, claim] : standing_claims(pass)) {
    const JobSnapshot& job = *pass.before.queue.find(id);
    later.add({.job = id, .demand = job.demand, .nodes = claim.nodes, .from = pass.now, .to = pass.now + Duration(1)});
  }
  return later.overcommitted();
}

Violation gangs_whole(const PlannedPass& pass) {
  std::set<JobId> seen;
  for (const Start& start : pass.decisions.starts) {
    const JobSnapshot* job = pass.before.queue.find(start.job);
    if (job == nullptr) return fmt::format("job {} starts, but does not wait", start.job.value);
    if (!seen.insert(start.job).second) return fmt::format("job {} starts twice", start.job.value);
    if (gate_of(pass.before, *job, pass.now)) return fmt::format("job {} starts, but may not yet", start.job.value);
    const std::int64_t tasks = task_count(start.nodes);
    if (tasks > job->tasks || tasks < (job->tasks_min > 0 ? job->tasks_min : job->tasks)) {
      return fmt::format("job {} starts with {} tasks of {}", start.job.value, tasks, job->tasks);
    }
    if (Violation placed = well_placed(pass.before.cluster, *job, start.nodes)) return placed;
  }
  for (const auto* resizes : {&pass.decisions.grows, &pass.decisions.shrinks}) {
    for (const Resize& resize : *resizes) {
      const RunningJob* running = pass.before.cluster.find(resize.job);
      if (running == nullptr) return fmt::format("job {} changes its size, but does not run", resize.job.value);
      const std::int64_t tasks = task_count(resize.nodes);
      const bool larger = tasks > task_count(running->nodes);
      if (running->job.tasks_min <= 0 || tasks < running->job.tasks_min || tasks > running->job.tasks ||
          larger != (resizes == &pass.decisions.grows)) {
        return fmt::format("job {} gets {} tasks, asked {} to {}", resize.job.value, tasks, running->job.tasks_min, running->job.tasks);
      }
    }
  }
  return std::nullopt;
}

Violation deterministic(const PlannedPass& pass) {
  if (!(plan(pass.before.cluster, pass.before.queue, pass.now) == pass.decisions)) return "a second plan decides something else";
  const SchedulerState copy = pass.before;
  if (!(plan(copy.cluster, copy.queue, pass.now) == pass.decisions)) return "a plan from a copy decides something else";
  return std::nullopt;
}

Violation every_pending_job_has_one_reason(const PlannedPass& pass) {
  std::map<JobId, std::vector<const Wait*>> waits;
  for (const Wait& wait : pass.decisions.waits) {
    if (pass.before.queue.find(wait.job) == nullptr) return fmt::format("job {} has a reason, but does not wait", wait.job.value);
    waits[wait.job].push_back(&wait);
  }
  std::set<QueueIndex> held_up;
  for (const QueueWait& wait : pass.decisions.queue_waits) {
    if (!held_up.insert(wait.queue).second) return fmt::format("queue {} has two reasons", wait.queue);
  }
  Violation violation;
  each_pending(pass.before.queue, [&](const JobSnapshot& job) {
    if (!violation) violation = reason_fits(pass, job, waits[job.id]);
  });
  return violation;
}

Violation promises_are_feasible(const PlannedPass& pass) {
  if (counts_only_somewhere(pass.before.queue)) return std::nullopt;
  return holdings_with_promises(pass, Leaving::kGone).overcommitted();
}

Violation reservations_never_move_later(const PlannedPass& pass) {
  if (promises_can_be_broken(pass.before.queue)) return std::nullopt;
  const std::map<JobId, Reservation> after = standing_reservations(pass);
  Violation violation;
  each_pending(pass.before.queue, [&](const JobSnapshot& job) {
    if (!job.reservation || starts(pass, job.id) || !pass.before.queue.queue(job.queue).backfill->keeps_reservations()) return;
    const auto kept = after.find(job.id);
    if (kept == after.end()) {
      violation = fmt::format("job {} lost its reservation", job.id.value);
    } else if (kept->second.start > job.reservation->start) {
      violation = fmt::format("the reservation of job {} moved from {} to {}", job.id.value, micros(job.reservation->start),
                              micros(kept->second.start));
    } else if (kept->second.start <= pass.now && ungated(pass.before, job, pass.now)) {
      violation = fmt::format("job {} was promised a start at {} and does not start", job.id.value, micros(kept->second.start));
    }
  });
  return violation;
}

Violation wakes_up_in_time(const PlannedPass& pass) {
  const std::optional<TimePoint>& wake = pass.decisions.wake_at;
  if (wake && *wake <= pass.now) return fmt::format("wakes up at {}, which has passed", micros(*wake));
  Violation violation;
  for (const Wait& wait : pass.decisions.waits) {
    if (wait.reason != Reason::kBackoff) continue;
    const JobSnapshot* job = pass.before.queue.find(wait.job);
    if (!wake || *wake > job->eligible_at) violation = fmt::format("nobody wakes up for job {}", wait.job.value);
  }
  for (const auto& [id, reservation] : standing_reservations(pass)) {
    const JobSnapshot& job = *pass.before.queue.find(id);
    if (!pass.before.queue.queue(job.queue).backfill->keeps_reservations() || reservation.start <= pass.now) continue;
    const TimePoint latest = reservation.start > pass.now + Duration(1) ? reservation.start : pass.now + std::chrono::seconds(1);
    if (!wake || *wake > latest) {
      violation = fmt::format("nobody wakes up for the reservation of job {}", id.value);
    }
  }
  return violation;
}

std::span<const NamedCheck> checks_of_every_pass() { return kChecks; }

Violation check_pass(const PlannedPass& pass) {
  for (const NamedCheck& check : kChecks) {
    if (const Violation violation = check.check(pass)) return fmt::format("{}: {}", check.name, *violation);
  }
  return std::nullopt;
}

}  // namespace trainyard::sched::testing
