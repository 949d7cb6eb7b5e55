#include "adapters/agent_pool/device_choice.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace trainyard::adapters::agent_pool {
namespace {

constexpr std::int64_t kWhole = 1000;

}  // namespace

void add_use(DeviceUse& use, const std::vector<std::uint32_t>& devices, std::int64_t milli_gpu) {
  for (const std::uint32_t device : devices) {
    const std::int64_t share = std::min(milli_gpu, kWhole);
    use[device] += share;
    milli_gpu -= share;
  }
}

std::vector<std::uint32_t> choose_devices(const std::vector<exec::GpuDevice>& gpus, const DeviceUse& use, std::int64_t milli_gpu) {
  std::vector<std::pair<std::int64_t, std::uint32_t>> by_use;  // Least used first, ties by index.
  for (const exec::GpuDevice& gpu : gpus) {
    const auto used = use.find(gpu.index);
    by_use.emplace_back(used == use.end() ? 0 : used->second, gpu.index);
  }
  std::sort(by_use.begin(), by_use.end());

  std::vector<std::uint32_t> chosen;
  while (milli_gpu >= kWhole && !by_use.empty()) {
    chosen.push_back(by_use.front().second);
    by_use.erase(by_use.begin());
    milli_gpu -= kWhole;
  }
  if (milli_gpu <= 0 || milli_gpu >= kWhole || by_use.empty()) return chosen;
  std::size_t fullest = 0;  // Where no device has the room, the least used one.
  for (std::size_t i = 0; i < by_use.size(); ++i) {
    if (by_use[i].first + milli_gpu <= kWhole && by_use[i].first > by_use[fullest].first) fullest = i;
  }
  chosen.push_back(by_use[fullest].second);
  return chosen;
}

}  // namespace trainyard::adapters::agent_pool
