#include "sched/testing/eviction.h"

namespace trainyard::sched::testing {

QueueSettings preempting(QueueSettings settings) {
  settings.preemption.enabled = true;
  return settings;
}

Amounts cores_quota(std::int64_t cores) {
  Amounts amounts = Amounts::unlimited();
  amounts[kCpu] = cores * 1000;
  return amounts;
}

Placement gpus_on(const std::vector<std::tuple<NodeIndex, std::uint32_t, unsigned>>& places) {
  Placement placement;
  for (const auto& [node, tasks, devices] : places) placement.push_back({node, tasks, static_cast<DeviceMask>(devices)});
  return placement;
}

EvictionAnswer asked(const Scenario& scenario, JobId job, TimePoint now, std::int64_t evictions_left) {
  const ClusterSnapshot& cluster = scenario.state.cluster;
  const QueueSnapshot& queue = scenario.state.queue;
  const std::unique_ptr<Availability> availability = make_node_availability(cluster, now);
  QuotaBook quota(queue);
  for (const JobId id : queue.promised()) {
    const JobSnapshot& other = *queue.find(id);
    if (other.claim) {
      availability->hold(other.demand, other.claim->nodes, now, kNever);
      quota.charge(other.queue, other.demand.amounts * task_count(other.claim->nodes), 1);
    } else {
      const Reservation& kept = *other.reservation;
      availability->hold(other.demand, kept.nodes, kept.start, end_after(kept.start, other.walltime));
    }
  }
  return plan_eviction({cluster, queue, *availability, quota, {}, evictions_left, now}, scenario.waiting(job));
}

void leave(Scenario& scenario, JobId victim, TimePoint now) { scenario.state.requeue(scenario.end(victim, now, true), now); }

}  // namespace trainyard::sched::testing
