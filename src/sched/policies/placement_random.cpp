#include "sched/internal/builtin_placement.h"

namespace trainyard::sched {
namespace {

/// Mixes bits so that neighbouring values give unrelated ones: the finalizer of splitmix64 (Steele, Lea and Flood, OOPSLA 2014).
std::uint64_t mixed(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

class RandomScorer final : public PlacementScorer {
 public:
  RandomScorer(std::uint64_t seed, JobId job) : state_(mixed(mixed(seed) + job.value)) {}
  std::int64_t score(const Candidate&) override { return static_cast<std::int64_t>(next() >> 1); }
  std::size_t device(const Candidate& candidate, std::int32_t gpu_milli) override {
    DeviceMask fitting = candidate.free.devices_with(gpu_milli);
    for (std::uint64_t skip = next() % static_cast<std::uint64_t>(std::popcount(fitting)); skip > 0; --skip) {
      fitting = static_cast<DeviceMask>(fitting & (fitting - 1));
    }
    return static_cast<std::size_t>(std::countr_zero(fitting));
  }

 private:
  std::uint64_t next() { return mixed(state_ += 0x9e3779b97f4a7c15); }

  std::uint64_t state_;
};

class RandomPlacement final : public PlacementPolicy {
 public:
  const PolicyInfo& info() const override {
    static const PolicyInfo kInfo{
        .name = "random",
        .meaning = "Any node that fits, and any device of it, equally likely. Drawn from the seed and the id of the job.",
        .source = "Weng et al., USENIX ATC 2023, baseline Random",
        .parameters = {},
        .promise = {},
    };
    return kInfo;
  }
  std::unique_ptr<PlacementScorer> begin(const PlacementView& view) const override {
    return std::make_unique<RandomScorer>(view.seed, view.job.id);
  }
};

}  // namespace

const PlacementPolicy& random_placement() {
  static const RandomPlacement kPolicy;
  return kPolicy;
}

}  // namespace trainyard::sched
