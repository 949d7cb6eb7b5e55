#include "sched/workload.h"

#include <algorithm>

namespace trainyard::sched {

void Workload::add(const JobSnapshot& job) {
  TaskShape shape{job.demand.amounts[kCpu], job.demand.gpus, job.demand.gpu_milli, {}};
  if (job.constraints) shape.gpu_models = job.constraints->gpu_models;
  const std::int64_t tasks = std::clamp<std::int64_t>(job.tasks, 0, kTasksOfOneJob);
  counts_[std::move(shape)] += tasks;
  tasks_ += tasks;
  if (tasks_ >= refresh_at_) refresh();
}

void Workload::refresh() {
  if (tasks_ >= kTasksRemembered) {
    tasks_ = 0;
    for (auto& [shape, count] : counts_) tasks_ += count /= 2;
    std::erase_if(counts_, [](const auto& entry) { return entry.second == 0; });
  }
  refresh_at_ = tasks_ + std::max<std::int64_t>(1, tasks_ / 16);
  TypicalTasks typical;
  typical.reserve(counts_.size());
  for (const auto& [shape, count] : counts_) typical.push_back({shape, count});
  std::stable_sort(typical.begin(), typical.end(), [](const TypicalTask& a, const TypicalTask& b) { return a.count > b.count; });
  std::int64_t covered = 0;
  std::size_t kept = 0;
  while (kept < typical.size() && covered * 100 < tasks_ * 95) covered += typical[kept++].count;
  typical.resize(kept);
  if (typical != *typical_) typical_ = std::make_shared<const TypicalTasks>(std::move(typical));
}

}  // namespace trainyard::sched
