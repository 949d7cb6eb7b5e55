#include "sched/testing/holdings.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace trainyard::sched::testing {
namespace {

bool is_victim(const PlannedPass& pass, JobId job) {
  for (const Preemption& preemption : pass.decisions.preemptions) {
    if (std::count(preemption.claim.victims.begin(), preemption.claim.victims.end(), job) > 0) return true;
  }
  return false;
}

/// Where the job will be: after growth, and without those that leave when `leaving` says so. Empty: gone.
Placement place_of(const PlannedPass& pass, const RunningJob& running, Leaving leaving) {
  for (const Resize& grow : pass.decisions.grows) {
    if (grow.job == running.job.id) return grow.nodes;
  }
  if (leaving == Leaving::kStillThere) return running.nodes;
  if (running.stopping || is_victim(pass, running.job.id)) return {};
  Placement kept = running.shrink_to.empty() ? running.nodes : running.shrink_to;
  for (const Resize& shrink : pass.decisions.shrinks) {
    if (shrink.job == running.job.id) kept = shrink.nodes;
  }
  return kept;
}

/// Nodes of one part of the topology have the same key.
std::string part_of(const NodeInfo& node, NodeIndex index, TopologyLevel level) {
  const std::string rack = node.rack.empty() ? fmt::format("rack of node {}", index) : node.rack;
  switch (level) {
    case TopologyLevel::kCluster:
      return {};
    case TopologyLevel::kRack:
      return rack;
    case TopologyLevel::kSwitch:
      return rack + "\n" + node.switch_name;
    case TopologyLevel::kNode:
      return fmt::format("node {}", index);
  }
  return {};
}

}  // namespace

bool starts(const PlannedPass& pass, JobId job) {
  return std::any_of(pass.decisions.starts.begin(), pass.decisions.starts.end(), [job](const Start& start) { return start.job == job; });
}

NodeFree Holdings::free_at(NodeIndex node, TimePoint time) const {
  NodeFree free = empty_node(cluster_.node(node).info->capacity);
  for (const Holding& holding : holdings_) {
    if (holding.from > time || holding.to <= time) continue;
    for (const TaskPlace& place : holding.nodes) {
      if (place.node == node) free.take(holding.demand, place.tasks, place.devices);
    }
  }
  return free;
}

NodeFree Holdings::free_over(NodeIndex node, TimePoint from, TimePoint to) const {
  NodeFree free = free_at(node, from);
  for (const Holding& holding : holdings_) {
    if (holding.from > from && holding.from < to) free.lower_to(free_at(node, holding.from));
  }
  return free;
}

std::uint32_t Holdings::slots(NodeIndex node, const JobSnapshot& job, TimePoint from, TimePoint to) const {
  static const Constraints kNone;
  const Constraints& constraints = job.constraints ? *job.constraints : kNone;
  const NodeState& state = cluster_.node(node);
  if (!state.usable() || !allows(*state.info, constraints)) return 0;
  const std::uint32_t slots = free_over(node, from, to).slots(job.demand);
  if (constraints.tasks_per_node_max == 0) return slots;
  return std::min(slots, static_cast<std::uint32_t>(constraints.tasks_per_node_max));
}

bool Holdings::has_room(const JobSnapshot& job, TimePoint from) const {
  const bool one_part = job.constraints && job.constraints->within_required;
  const TopologyLevel level = one_part ? job.constraints->within : TopologyLevel::kCluster;
  const std::int64_t needed = job.tasks_min > 0 ? job.tasks_min : job.tasks;
  std::map<std::string, std::int64_t> slots_of_part;
  for (NodeIndex node = 0; node < cluster_.nodes().size(); ++node) {
    std::int64_t& total = slots_of_part[part_of(*cluster_.node(node).info, node, level)];
    total += slots(node, job, from, end_after(from, job.walltime));
    if (total >= needed) return true;
  }
  return false;
}

std::optional<std::string> Holdings::overcommitted() const {
  std::set<TimePoint> times;
  for (const Holding& holding : holdings_) times.insert(holding.from);
  for (const TimePoint time : times) {
    for (NodeIndex node = 0; node < cluster_.nodes().size(); ++node) {
      const NodeFree free = free_at(node, time);
      for (std::size_t kind = 0; kind < kAmountKinds; ++kind) {
        if (free.amounts[kind] < 0)
          return fmt::format("node {} has {} of kind {} free at {}", node, free.amounts[kind], kind, micros(time));
      }
      for (std::size_t d = 0; d < free.devices; ++d) {
        if (free.device_milli[d] < 0)
          return fmt::format("device {} of node {} has {} free at {}", d, node, free.device_milli[d], micros(time));
      }
    }
  }
  return std::nullopt;
}

std::map<JobId, Reservation> standing_reservations(const PlannedPass& pass) {
  std::map<JobId, Reservation> standing;
  each_pending(pass.before.queue, [&standing](const JobSnapshot& job) {
    if (job.reservation) standing[job.id] = *job.reservation;
  });
  for (const ReservationChange& change : pass.decisions.reservations) {
    standing.erase(change.job);
    if (change.reservation) standing[change.job] = *change.reservation;
  }
  for (const Start& start : pass.decisions.starts) standing.erase(start.job);
  return standing;
}

std::map<JobId, Claim> standing_claims(const PlannedPass& pass) {
  std::map<JobId, Claim> standing;
  each_pending(pass.before.queue, [&standing](const JobSnapshot& job) {
    if (job.claim) standing[job.id] = *job.claim;
  });
  for (const JobId dropped : pass.decisions.dropped_claims) standing.erase(dropped);
  for (const Preemption& preemption : pass.decisions.preemptions) standing[preemption.preemptor] = preemption.claim;
  for (const Start& start : pass.decisions.starts) standing.erase(start.job);
  return standing;
}

Holdings holdings_of_running(const PlannedPass& pass, Leaving leaving) {
  Holdings holdings(pass.before.cluster);
  const auto add = [&](const JobSnapshot& job, const Placement& nodes, TimePoint to) {
    holdings.add({.job = job.id, .demand = job.demand, .nodes = nodes, .from = pass.now, .to = std::max(to, pass.now + Duration(1))});
  };
  pass.before.cluster.each_by_end([&](const RunningJob& running) {
    add(running.job, place_of(pass, running, leaving), running.limit_end);
    return true;
  });
  each_pending(pass.before.queue, [&](const JobSnapshot& job) {
    if (!starts(pass, job.id)) return;
    for (const Start& start : pass.decisions.starts) {
      if (start.job == job.id) add(job, start.nodes, end_after(pass.now, job.walltime));
    }
  });
  return holdings;
}

Holdings holdings_with_promises(const PlannedPass& pass, Leaving leaving) {
  Holdings holdings = holdings_of_running(pass, leaving);
  for (const auto& [id, claim] : standing_claims(pass)) {
    const JobSnapshot& job = *pass.before.queue.find(id);
    holdings.add({.job = id, .demand = job.demand, .nodes = claim.nodes, .from = pass.now, .to = end_after(pass.now, job.walltime)});
  }
  for (const auto& [id, reservation] : standing_reservations(pass)) {
    const JobSnapshot& job = *pass.before.queue.find(id);
    const TimePoint from = std::max(reservation.start, pass.now);
    holdings.add({.job = id, .demand = job.demand, .nodes = reservation.nodes, .from = from, .to = end_after(from, job.walltime)});
  }
  return holdings;
}

}  // namespace trainyard::sched::testing
