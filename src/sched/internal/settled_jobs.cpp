#include "sched/internal/settled_jobs.h"

#include <algorithm>
#include <unordered_map>

namespace trainyard::sched {

std::vector<SettledJob> settled_jobs(const ClusterSnapshot& cluster, const QueueSnapshot& queue, const PassSoFar& pass) {
  static const Decisions kNothing;
  const Decisions& decided = pass.decided == nullptr ? kNothing : *pass.decided;
  std::unordered_map<JobId, std::int64_t> resized;
  for (const Resize& shrink : decided.shrinks) resized[shrink.job] = task_count(shrink.nodes);

  std::vector<SettledJob> jobs;
  jobs.reserve(cluster.running_count());
  cluster.each_by_end([&](const RunningJob& running) {
    if (running.stopping || (pass.leaving != nullptr && pass.leaving->contains(running.job.id))) return true;
    std::int64_t tasks = task_count(running.shrink_to.empty() ? running.nodes : running.shrink_to);
    if (const auto found = resized.find(running.job.id); found != resized.end()) tasks = found->second;
    jobs.push_back({&running.job, tasks});
    return true;
  });
  std::set<JobId> settled(decided.dropped_claims.begin(), decided.dropped_claims.end());
  for (const Start& start : decided.starts) {
    settled.insert(start.job);
    jobs.push_back({queue.find(start.job), task_count(start.nodes)});
  }
  for (const Preemption& preemption : decided.preemptions) {
    settled.insert(preemption.preemptor);
    jobs.push_back({queue.find(preemption.preemptor), task_count(preemption.claim.nodes)});
  }
  for (const JobId id : queue.promised()) {
    const JobSnapshot& job = *queue.find(id);
    if (job.claim && !settled.contains(id)) jobs.push_back({&job, task_count(job.claim->nodes)});
  }
  return jobs;
}

Amounts firm_use(const JobSnapshot& job, std::int64_t tasks) {
  return job.demand.amounts * (job.tasks_min > 0 ? std::min<std::int64_t>(tasks, job.tasks_min) : tasks);
}

}  // namespace trainyard::sched
