#pragma once
#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sched/job.h"

namespace trainyard::sched {

/// What a task asks of CPU and GPUs, whatever its memory.
struct TaskShape {
  std::int64_t milli_cpu = 0;
  std::int32_t gpus = 0;
  std::int32_t gpu_milli = 0;           ///< Of each device.
  std::vector<std::string> gpu_models;  ///< Any of these; empty: any.
  auto operator<=>(const TaskShape&) const = default;
};

/// A frequent shape and how many tasks had it.
struct TypicalTask {
  TaskShape shape;
  std::int64_t count = 0;

  bool operator==(const TypicalTask&) const = default;
};

using TypicalTasks = std::vector<TypicalTask>;

/// What is usually submitted: counts of task shapes, in which old tasks weigh less and less. A value. Not thread-safe.
class Workload {
 public:
  /// Counts the tasks of a job that was submitted.
  void add(const JobSnapshot& job);
  /// The most frequent shapes that make up 95 % of all tasks, most frequent first, ties by shape. It is taken again each time that the
  /// number of tasks has grown by a sixteenth, so that scores stay comparable between jobs; empty before the first task.
  const std::shared_ptr<const TypicalTasks>& typical() const { return typical_; }  // shared: immutable, with forks and score memories
  /// Takes typical() again, from all that was added.
  void refresh();

 private:
  static constexpr std::int64_t kTasksRemembered = 1 << 17;  ///< With so many all counts are halved.
  static constexpr std::int64_t kTasksOfOneJob = 1 << 10;    ///< A larger gang counts as so many.

  std::map<TaskShape, std::int64_t> counts_;
  std::int64_t tasks_ = 0;
  std::int64_t refresh_at_ = 1;
  std::shared_ptr<const TypicalTasks> typical_ = std::make_shared<const TypicalTasks>();  // shared: see typical()
};

}  // namespace trainyard::sched
