#include "sched/testing/placing.h"

namespace trainyard::sched::testing {
namespace {

const PolicyParameters kFallbacks;

}  // namespace

std::optional<Placement> placed(Scenario& scenario, const JobSpec& spec, std::string_view policy, const Workload* workload,
                                PlacementMemory* memory) {
  ClusterSnapshot& cluster = scenario.state.cluster;
  JobSnapshot job = scenario.job_of(spec);
  job.shape = cluster.intern(job.demand, job.constraints);
  const auto scorer = find_placement_policy(policy).value()->begin({cluster, job, kFallbacks, 1, workload, memory});
  const auto availability = make_node_availability(cluster, TimePoint{});
  std::optional<Placement> nodes = place(cluster, *availability, {job, spec.tasks, TimePoint{}, kNever}, scorer.get());
  cluster.release_shape(job.shape);
  return nodes;
}

std::int64_t score_on(Scenario& scenario, const JobSpec& spec, std::string_view policy, NodeIndex node, const Workload* workload) {
  const ClusterSnapshot& cluster = scenario.state.cluster;
  const JobSnapshot job = scenario.job_of(spec);
  const auto scorer = find_placement_policy(policy).value()->begin({cluster, job, kFallbacks, 1, workload, nullptr});
  CHECK(scorer != nullptr, "this policy has no scores");
  return scorer->score({node, cluster.node(node), cluster.node(node).free});
}

Workload workload_of(Scenario& scenario, const std::vector<std::pair<JobSpec, int>>& counts) {
  Workload workload;
  for (const auto& [spec, count] : counts) {
    for (int i = 0; i < count; ++i) workload.add(scenario.job_of(spec));
  }
  workload.refresh();
  return workload;
}

}  // namespace trainyard::sched::testing
