#pragma once
#include <string>
#include <vector>

#include "sched/workload.h"

namespace trainyard::sched {

/// How much free GPU of a node is of no use to typical tasks: F(n) of Weng et al., USENIX ATC 2023. Made for one set of tasks and the nodes
/// of one GPU model.
class Fragmentation {
 public:
  /// What a task that fits a node can use of its free GPUs.
  enum class Use {
    kFitting,      ///< All that is free on devices with enough for it: the published measure.
    kAccompanied,  ///< Of that only as much as the free CPU could go with, at the task's own ratio of GPU to CPU.
  };
  Fragmentation(const TypicalTasks& tasks, const std::string& gpu_model, Use use);

  /// The sum of all tasks' counts.
  std::int64_t weight() const { return weight_; }
  /// weight() times the expected unusable free GPU, in thousandths of a device.
  std::int64_t of(const NodeFree& free) const;

 private:
  struct CpuNeed {
    std::int64_t milli_cpu = 0;
    std::int64_t count = 0;
  };
  /// All tasks with the same need of GPU that may run on this model.
  struct Kind {
    std::int32_t gpus = 0;
    std::int32_t gpu_milli = 0;
    std::vector<CpuNeed> needs;  ///< Ascending.
  };
  std::int64_t useful(const Kind& kind, std::int64_t milli_cpu, std::int64_t fitting_milli) const;

  Use use_;
  std::int64_t weight_ = 0;
  std::vector<Kind> kinds_;  ///< Ascending by gpu_milli.
};

}  // namespace trainyard::sched
