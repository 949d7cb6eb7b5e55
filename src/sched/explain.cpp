#include "sched/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <tuple>

#include "sched/plan.h"
#include "sched/quota.h"

namespace trainyard::sched {
namespace {

std::string amount_text(const ClusterSnapshot& cluster, std::size_t kind, std::int64_t amount) {
  if (kind == kCpu) return fmt::format("{:g} cpu", static_cast<double>(amount) / 1000);
  if (kind == kMemory) return fmt::format("{} MiB", amount >> 20);
  if (kind == kGpu) return fmt::format("{:g} gpu", static_cast<double>(amount) / 1000);
  if (kind < kAmountKinds) return fmt::format("{} {}", amount, cluster.kind_name(kind));
  return fmt::format("{} running jobs", amount);
}

std::int64_t least_tasks(const JobSnapshot& job) { return job.tasks_min > 0 ? job.tasks_min : job.tasks; }

std::string demand_text(const ClusterSnapshot& cluster, const JobSnapshot& job) {
  std::string text;
  for (std::size_t kind = 0; kind < kAmountKinds; ++kind) {
    if (job.demand.amounts[kind] <= 0) continue;
    if (!text.empty()) text += ", ";
    text += amount_text(cluster, kind, job.demand.amounts[kind]);
  }
  return fmt::format("{} x ({})", least_tasks(job), text);
}

/// The level that all tasks must share.
TopologyLevel within_of(const JobSnapshot& job) {
  return job.constraints != nullptr && job.constraints->within_required ? job.constraints->within : TopologyLevel::kCluster;
}

/// The job's queue, or the nearest above it, that is stopped; kNoIndex: none.
QueueIndex stopped_queue(const SchedulerState& state, const JobSnapshot& job) {
  QueueIndex queue = job.queue;
  while (queue != kNoIndex && state.queue.queue(queue).settings.state != QueueSettings::State::kStopped) {
    queue = state.queue.queue(queue).parent;
  }
  return queue;
}

/// Gates that hold whatever room there is, best rank first.
std::vector<Wait> gates_of(const SchedulerState& state, const JobSnapshot& job, TimePoint now) {
  std::vector<Wait> gates;
  const auto add = [&gates, &job](Reason reason) -> Wait& {
    gates.push_back({.job = job.id, .reason = reason});
    return gates.back();
  };
  const ShapeFit& shape = state.cluster.shape(job.shape);
  const std::int64_t least = least_tasks(job);
  const std::vector<NodeState>& nodes = state.cluster.nodes();
  const bool any_node = std::any_of(nodes.begin(), nodes.end(), [](const NodeState& node) { return !node.gone; });
  if (any_node && shape.allowed.empty()) {
    add(Reason::kNoMatchingNodeClass).needed = least;
  } else if (any_node &&
             (shape.total_empty < least || (within_of(job) != TopologyLevel::kCluster && !could_ever_fit(state.cluster, job)))) {
    Wait& wait = add(Reason::kUnsatisfiable);
    wait.needed = least;
    wait.available = shape.total_empty;
  }
  if (job.held || stopped_queue(state, job) != kNoIndex) add(Reason::kSuspended);
  if (std::none_of(nodes.begin(), nodes.end(), [](const NodeState& node) { return node.ready && !node.gone; })) {
    add(Reason::kNoWorkerForQueue).needed = least;
  }
  if (!job.waits_for.empty()) add(Reason::kDependencyNotMet).blocker = job.waits_for.front();
  if (job.eligible_at > now) add(Reason::kBackoff).at = job.eligible_at;
  if (const auto refusal = QuotaBook(state.queue).refusal(job.queue, job.total_min())) {
    Wait& wait = add(refusal->reason);
    wait.kind = static_cast<std::uint8_t>(refusal->kind);
    wait.needed = refusal->needed;
    wait.available = refusal->available;
  }
  std::stable_sort(gates.begin(), gates.end(), [](const Wait& a, const Wait& b) { return a.reason < b.reason; });
  return gates;
}

/// Why a node takes no more tasks, beyond the kinds of resources.
constexpr std::size_t kNothing = kAmountKinds;
constexpr std::size_t kExcluded = kNothing + 1;
constexpr std::size_t kDown = kNothing + 2;
constexpr std::size_t kDrained = kNothing + 3;
constexpr std::size_t kCauses = kNothing + 4;

struct Lack {
  NodeIndex node = 0;
  std::uint32_t slots = 0;
  std::size_t cause = kNothing;
  std::int64_t shortfall = 0;

  /// Nodes that could take tasks first, then by how little is missing.
  bool before(const Lack& other) const {
    const bool out = cause > kNothing;
    const bool other_out = other.cause > kNothing;
    return std::tie(out, other.slots, shortfall, node) < std::tie(other_out, slots, other.shortfall, other.node);
  }
};

std::string cause_text(const ClusterSnapshot& cluster, std::size_t cause) {
  static constexpr std::array<const char*, kCauses - kNothing> kTexts{"nothing", "excluded", "down", "drained"};
  return cause < kNothing ? cluster.kind_name(cause) : kTexts[cause - kNothing];
}

/// What single devices lack where the sum over devices would do.
std::int64_t device_shortfall(const NodeFree& free, const Demand& demand) {
  if (demand.gpu_milli >= 1000) return std::int64_t{demand.gpus - std::popcount(free.devices_with(1000))} * 1000;
  std::int64_t best = 0;
  for (std::size_t device = 0; device < free.devices; ++device) best = std::max<std::int64_t>(best, free.device_milli[device]);
  return demand.gpu_milli - best;
}

Lack lack_of(const SchedulerState& state, NodeIndex index, const JobSnapshot& job) {
  const NodeState& node = state.cluster.node(index);
  const ShapeFit& shape = state.cluster.shape(job.shape);
  Lack lack{.node = index, .slots = shape.slots[index]};
  if (!shape.allowed.contains(index)) lack.cause = kExcluded;
  if (lack.cause == kNothing && !node.ready) lack.cause = kDown;
  if (lack.cause == kNothing && node.drained) lack.cause = kDrained;
  if (lack.cause != kNothing || lack.slots > 0) return lack;
  for (std::size_t kind = 0; kind < kAmountKinds; ++kind) {
    const std::int64_t lacking = job.demand.amounts[kind] - node.free.amounts[kind];
    if (job.demand.amounts[kind] <= 0 || lacking <= 0) continue;
    lack.cause = kind;
    lack.shortfall = lacking;
    return lack;
  }
  lack.cause = kGpu;
  lack.shortfall = device_shortfall(node.free, job.demand);
  return lack;
}

void list_nodes(const SchedulerState& state, const JobSnapshot& job, Explanation& explanation) {
  const std::vector<NodeState>& nodes = state.cluster.nodes();
  std::array<std::int64_t, kCauses> counts{};
  std::vector<Lack> lacks;
  lacks.reserve(nodes.size());
  for (NodeIndex index = 0; index < nodes.size(); ++index) {
    if (nodes[index].gone) continue;
    lacks.push_back(lack_of(state, index, job));
    ++counts[lacks.back().cause];
  }
  for (std::size_t cause = 0; cause < kCauses; ++cause) {
    if (counts[cause] > 0) explanation.histogram.push_back({cause_text(state.cluster, cause), counts[cause]});
  }
  std::stable_sort(explanation.histogram.begin(), explanation.histogram.end(),
                   [](const ShortfallCount& a, const ShortfallCount& b) { return a.nodes > b.nodes; });
  const auto shown = static_cast<std::ptrdiff_t>(std::min(kNodesShown, lacks.size()));
  std::partial_sort(lacks.begin(), lacks.begin() + shown, lacks.end(), [](const Lack& a, const Lack& b) { return a.before(b); });
  lacks.resize(static_cast<std::size_t>(shown));
  for (const Lack& lack : lacks) {
    const std::string text = lack.cause == kNothing ? "" : cause_text(state.cluster, lack.cause);
    explanation.nodes.push_back({nodes[lack.node].info->name, lack.slots, text, lack.shortfall});
  }
}

/// Who holds the job or which queue is stopped.
std::string suspension_text(const SchedulerState& state, const JobSnapshot& job) {
  std::string text;
  if (job.held) text = job.held_by.empty() ? " The job is held." : fmt::format(" The job is held by {}.", job.held_by);
  const QueueIndex stopped = stopped_queue(state, job);
  if (stopped != kNoIndex) text += fmt::format(" Queue \"{}\" is stopped.", state.queue.queue(stopped).settings.name);
  return text;
}

std::string unsatisfiable_text(const SchedulerState& state, const Wait& wait, const JobSnapshot& job) {
  if (wait.available < wait.needed) {
    return fmt::format(" It needs {}; all nodes together hold {} such tasks: ask for less per task or fewer tasks, or add a node.",
                       demand_text(state.cluster, job), wait.available);
  }
  static constexpr std::array<const char*, 4> kParts{"cluster", "rack", "switch", "node"};
  return fmt::format(" It needs {} within one {}, and no {} is large enough.", demand_text(state.cluster, job),
                     kParts[static_cast<std::size_t>(within_of(job))], kParts[static_cast<std::size_t>(within_of(job))]);
}

std::string numbers_of(const SchedulerState& state, const Wait& wait, const JobSnapshot& job) {
  switch (wait.reason) {
    case Reason::kExceedsMaxQuota:
    case Reason::kBorrowingLimitReached:
    case Reason::kWaitingForQuota:
      if (wait.needed <= 0) return "";
      return fmt::format(" It needs {}, and queue \"{}\" has {} left.", amount_text(state.cluster, wait.kind, wait.needed),
                         state.queue.queue(job.queue).settings.name,
                         amount_text(state.cluster, wait.kind, std::max<std::int64_t>(wait.available, 0)));
    case Reason::kBackoff:
      return fmt::format(" Not before {}.", to_rfc3339(wait.at));
    case Reason::kUnsatisfiable:
      return unsatisfiable_text(state, wait, job);
    case Reason::kNoMatchingNodeClass:
      return fmt::format(" {} nodes were looked at.", state.cluster.nodes().size());
    case Reason::kNoWorkerForQueue:
      return " Start an agent with `trainyard agent`.";
    case Reason::kSuspended:
      return suspension_text(state, job);
    case Reason::kWaitingForResources:
      if (wait.available >= wait.needed) return fmt::format(" It needs {}, which would fit now.", demand_text(state.cluster, job));
      return fmt::format(" It needs {}; {} of {} tasks fit now.", demand_text(state.cluster, job), wait.available, wait.needed);
    case Reason::kTopologyPlacementFailed:
      return fmt::format(" It needs {}; {} of {} tasks fit now.", demand_text(state.cluster, job), wait.available, wait.needed);
    case Reason::kWaitingForReservation:
      if (wait.at == kNever) return "";
      return fmt::format(" {} is promised a start at {}.", wait.blocker == wait.job ? "It" : "Job " + wait.blocker.text(),
                         to_rfc3339(wait.at));
    case Reason::kWaitingForPreempted:
      return wait.at == kNever ? "" : fmt::format(" They have until {}.", to_rfc3339(wait.at));
    case Reason::kDeactivated:
    case Reason::kMisconfigured:
    case Reason::kAdmissionGated:
    case Reason::kDependencyNotMet:
    case Reason::kLeaseRecovery:
    case Reason::kGangIncomplete:
    case Reason::kStartBarrier:
    case Reason::kExceedsFairShare:
    case Reason::kPendingEvaluation:
      return "";
  }
  return "";
}

std::string message_of(const SchedulerState& state, const Wait& wait, const JobSnapshot& job) {
  std::string message(meaning_of(wait.reason));
  message += numbers_of(state, wait, job);
  const bool told = wait.reason == Reason::kWaitingForReservation && wait.at != kNever;
  if (wait.blocker.valid() && wait.blocker != job.id && !told) {
    const char* does = "comes before it";
    if (wait.reason == Reason::kDependencyNotMet) does = "has not ended";
    if (wait.reason == Reason::kWaitingForPreempted) does = "gives way to it";
    message += fmt::format(" Job {} {}.", wait.blocker.text(), does);
  }
  return message;
}

}  // namespace

Wait reason_of(const SchedulerState& state, const Decisions& decisions, const JobSnapshot& job, TimePoint now) {
  const auto own = std::find_if(decisions.waits.begin(), decisions.waits.end(), [&job](const Wait& wait) { return wait.job == job.id; });
  const bool looked_at = own != decisions.waits.end();
  Wait wait = looked_at ? *own : Wait{.job = job.id};
  if (!looked_at) {
    wait.position = static_cast<std::uint32_t>(state.queue.queue(job.queue).pending.position_of(state.queue.entry_of(job)));
    const auto line = std::find_if(decisions.queue_waits.begin(), decisions.queue_waits.end(),
                                   [&job](const QueueWait& each) { return each.queue == job.queue; });
    if (line != decisions.queue_waits.end()) {
      wait.reason = line->reason;
      wait.blocker = line->blocker;
    }
    const JobSnapshot* blocker = state.queue.find(wait.blocker);
    const bool held_back = blocker != nullptr && blocker->reservation && state.cluster.shape(job.shape).total >= least_tasks(job);
    if (wait.reason == Reason::kWaitingForResources && held_back) {
      wait.reason = Reason::kWaitingForReservation;
      wait.at = blocker->reservation->start;
    }
    if (wait.reason == Reason::kWaitingForResources) {
      wait.needed = least_tasks(job);
      wait.available = state.cluster.shape(job.shape).total;
    }
  }
  const std::vector<Wait> gates = gates_of(state, job, now);
  if (gates.empty() || gates.front().reason >= wait.reason) return wait;
  // What quota there was at its turn the pass knows better.
  if (looked_at && gates.front().reason >= Reason::kExceedsMaxQuota) return wait;
  const std::uint32_t position = wait.position;
  wait = gates.front();
  wait.position = position;
  return wait;
}

Result<Explanation> explain(const SchedulerState& state, const Decisions& decisions, JobId id, TimePoint now) {
  const JobSnapshot* job = state.queue.find(id);
  if (job == nullptr) return not_found("job.not_waiting", fmt::format("only a waiting job has a reason to wait: {}", id.text()));
  const Wait wait = reason_of(state, decisions, *job, now);
  Explanation explanation;
  explanation.job = id;
  explanation.reason = wait.reason;
  explanation.message = message_of(state, wait, *job);
  explanation.epoch = state.queue.epoch;
  explanation.position = wait.position;
  if (job->reservation) explanation.promised_start = job->reservation->start;
  if (wait.blocker.valid() && wait.blocker != id) explanation.blocking.push_back(wait.blocker);
  for (const JobId other : job->waits_for) {
    if (other != wait.blocker) explanation.blocking.push_back(other);
  }
  if (job->claim) explanation.blocking.insert(explanation.blocking.end(), job->claim->victims.begin(), job->claim->victims.end());
  list_nodes(state, *job, explanation);
  for (const Wait& gate : gates_of(state, *job, now)) {
    if (gate.reason != wait.reason) explanation.also.push_back(gate.reason);
  }
  const std::int64_t least = job->tasks_min > 0 ? job->tasks_min : job->tasks;
  if (wait.reason != Reason::kWaitingForResources && state.cluster.shape(job->shape).total < least) {
    explanation.also.push_back(Reason::kWaitingForResources);
  }
  return explanation;
}

std::vector<std::pair<JobId, TimePoint>> planned_starts(const SchedulerState& state, TimePoint now) {
  SchedulerState fork = state;
  std::vector<std::pair<JobId, TimePoint>> ends;
  fork.cluster.each_by_end([&ends](const RunningJob& job) {
    ends.emplace_back(job.job.id, std::min(job.planned_end, job.limit_end));
    return true;
  });
  constexpr Duration kSoon = std::chrono::minutes(1);
  for (const auto& [id, end] : ends) fork.cluster.set_limit_end(id, end > now ? end : now + kSoon);
  for (const JobId id : std::vector<JobId>(fork.queue.promised())) fork.queue.set_reservation(id, std::nullopt);
  for (QueueIndex index = 0; index < fork.queue.queues().size(); ++index) {
    for (const PendingEntry& entry : fork.queue.queue(index).pending) {
      const JobSnapshot& job = fork.queue.job(entry);
      if (job.estimate > Duration(0)) fork.queue.set_walltime(job.id, std::min(job.walltime, job.estimate));
    }
    QueueSettings settings = fork.queue.queue(index).settings;
    settings.backfill = "conservative";
    settings.parameters.clear();
    settings.preemption.enabled = false;
    CHECK(fork.queue.configure(index, std::move(settings)).ok(), "known policies without parameters are accepted");
  }
  const Decisions decisions = plan(fork.cluster, fork.queue, now);
  std::vector<std::pair<JobId, TimePoint>> starts;
  for (const Start& start : decisions.starts) starts.emplace_back(start.job, now);
  for (const ReservationChange& change : decisions.reservations) {
    if (change.reservation) starts.emplace_back(change.job, change.reservation->start);
  }
  // A claim is kept for its job until the last victim has left.
  for (const JobId id : state.queue.promised()) {
    const JobSnapshot& job = *state.queue.find(id);
    const auto known = [id](const std::pair<JobId, TimePoint>& start) { return start.first == id; };
    if (job.claim && std::none_of(starts.begin(), starts.end(), known)) starts.emplace_back(id, std::max(now, job.claim->grace_ends));
  }
  std::sort(starts.begin(), starts.end());
  return starts;
}

}  // namespace trainyard::sched
