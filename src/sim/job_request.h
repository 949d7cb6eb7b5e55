#pragma once
#include <memory>
#include <unordered_map>
#include <vector>

#include "sched/cluster.h"
#include "sim/machine.h"
#include "sim/trace.h"

namespace trainyard::sim {

/// A trace job as a gang of equal tasks.
struct JobRequest {
  sched::Demand demand;                                   ///< Of one task.
  std::shared_ptr<const sched::Constraints> constraints;  // shared: one for all jobs with the same GPU models
  std::int32_t tasks = 1;                                 ///< At which the trace's run time holds.
  std::int32_t tasks_min = 0;                             ///< 0: rigid.
  std::int32_t tasks_max = 1;
};

/// Turns jobs into gangs, the one way it is done: with `nodes` given, that many equal members; else one task per processor without GPUs,
/// and gcd(procs, gpus) members with. Totals that do not divide are rounded up. Hosts that have processors alone model processors alone.
/// Not thread-safe.
class RequestMaker {
 public:
  RequestMaker(const Trace& trace, const Machine& machine);
  JobRequest request(const TraceJob& job);
  bool models_gpus() const { return gpus_; }

 private:
  const Trace& trace_;
  bool gpus_;
  bool memory_;
  std::vector<std::shared_ptr<const sched::Constraints>> constraints_;  // shared: with the jobs; by number of the models
};

/// Remembers of each kind of task how many fit on the configured cluster at most, so that most jobs are judged without looking at it.
class FitMemory {
 public:
  bool could_ever_fit(const sched::ClusterSnapshot& cluster, const sched::JobSnapshot& job);

 private:
  static constexpr std::size_t kKindsMax = 1024;
  struct Known {
    sched::Demand demand;
    const sched::Constraints* constraints;
    std::int64_t fits = 0;                      ///< So many tasks do.
    std::int64_t too_many = sched::kUnlimited;  ///< So many do not.
  };
  std::vector<Known> known_;
  std::size_t last_ = 0;
};

}  // namespace trainyard::sim
