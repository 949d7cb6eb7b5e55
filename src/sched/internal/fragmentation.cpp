#include "sched/internal/fragmentation.h"

#include <algorithm>
#include <tuple>

namespace trainyard::sched {

Fragmentation::Fragmentation(const TypicalTasks& tasks, const std::string& gpu_model, Use use) : use_(use) {
  for (const TypicalTask& task : tasks) {
    weight_ += task.count;
    const TaskShape& shape = task.shape;
    const bool anywhere = shape.gpu_models.empty();
    if (shape.gpus == 0) continue;
    if (!anywhere && std::find(shape.gpu_models.begin(), shape.gpu_models.end(), gpu_model) == shape.gpu_models.end()) continue;
    auto kind = std::find_if(kinds_.begin(), kinds_.end(),
                             [&shape](const Kind& each) { return each.gpus == shape.gpus && each.gpu_milli == shape.gpu_milli; });
    if (kind == kinds_.end()) kind = kinds_.insert(kind, {shape.gpus, shape.gpu_milli, {}});
    kind->needs.push_back({shape.milli_cpu, task.count});
  }
  std::sort(kinds_.begin(), kinds_.end(),
            [](const Kind& a, const Kind& b) { return std::tie(a.gpu_milli, a.gpus) < std::tie(b.gpu_milli, b.gpus); });
  for (Kind& kind : kinds_) {
    std::sort(kind.needs.begin(), kind.needs.end(), [](const CpuNeed& a, const CpuNeed& b) { return a.milli_cpu < b.milli_cpu; });
  }
}

std::int64_t Fragmentation::of(const NodeFree& free) const {
  std::array<std::int64_t, kDevicesMax> milli{};  // Of devices that have enough for the kinds from here on.
  std::int64_t devices = 0;
  std::int64_t total = 0;
  for (std::size_t d = 0; d < free.devices; ++d) {
    if (free.device_milli[d] <= 0) continue;
    milli[static_cast<std::size_t>(devices++)] = free.device_milli[d];
    total += free.device_milli[d];
  }
  std::int64_t fragmented = weight_ * total;
  std::int64_t fitting = total;
  for (const Kind& kind : kinds_) {
    for (std::int64_t d = 0; d < devices;) {
      std::int64_t& device = milli[static_cast<std::size_t>(d)];
      if (device >= kind.gpu_milli) {
        ++d;
        continue;
      }
      fitting -= device;
      device = milli[static_cast<std::size_t>(--devices)];
    }
    if (devices == 0) break;
    if (devices >= kind.gpus) fragmented -= useful(kind, free.amounts[kCpu], fitting);
  }
  return fragmented;
}

std::int64_t Fragmentation::useful(const Kind& kind, std::int64_t milli_cpu, std::int64_t fitting_milli) const {
  std::int64_t useful = 0;
  for (const CpuNeed& need : kind.needs) {
    if (need.milli_cpu > milli_cpu) break;
    std::int64_t usable = fitting_milli;
    if (use_ == Use::kAccompanied && need.milli_cpu > 0) {
      usable = std::min(usable, milli_cpu * kind.gpus * kind.gpu_milli / need.milli_cpu);
    }
    useful += need.count * usable;
  }
  return useful;
}

}  // namespace trainyard::sched
