#include <algorithm>

#include "sched/internal/builtin_placement.h"

namespace trainyard::sched {
namespace {

/// For tasks with GPUs, from high to low: parts of used devices, max(50, 100 - sum(free %) / 10); k free devices of a used node,
/// max(33, 50 - k); a node with all f devices free, max(33 - f, f). Devices are taken by ascending free part.
class GpuPackingScorer final : public PlacementScorer {
 public:
  explicit GpuPackingScorer(const Demand& demand) : demand_(demand) {}
  std::int64_t score(const Candidate& candidate) override {
    if (demand_.gpus == 0) return 0;
    std::array<std::int16_t, kDevicesMax> milli = candidate.free.device_milli;
    const auto end = milli.begin() + candidate.free.devices;
    std::sort(milli.begin(), end);
    const std::int64_t whole = std::count(milli.begin(), end, std::int16_t{1000});
    if (whole == candidate.free.devices) return std::max(33 - whole, whole);
    std::int64_t free_percent = 0;
    std::int64_t free_taken = 0;
    std::int32_t left = demand_.gpus;
    for (auto device = milli.begin(); device != end && left > 0; ++device) {
      if (*device < demand_.gpu_milli) continue;
      --left;
      free_percent += *device / 10;
      free_taken += *device == 1000 ? 1 : 0;
    }
    if (free_taken > 0) return std::max<std::int64_t>(33, 50 - free_taken);
    return std::max<std::int64_t>(50, 100 - free_percent / 10);
  }

 private:
  const Demand& demand_;
};

class GpuPackingPlacement final : public PlacementPolicy {
 public:
  const PolicyInfo& info() const override {
    static const PolicyInfo kInfo{
        .name = "gpu_packing",
        .meaning = "Parts of used devices first, then free devices of used nodes, then unused nodes.",
        .source = "Weng et al., USENIX ATC 2023, baseline GpuPacking",
        .parameters = {},
        .promise = {},
    };
    return kInfo;
  }
  std::unique_ptr<PlacementScorer> begin(const PlacementView& view) const override {
    return std::make_unique<GpuPackingScorer>(view.job.demand);
  }
};

}  // namespace

const PlacementPolicy& gpu_packing_placement() {
  static const GpuPackingPlacement kPolicy;
  return kPolicy;
}

}  // namespace trainyard::sched
