#include "sched/amounts.h"

#include <algorithm>

namespace trainyard::sched {
namespace {

/// How often `asked` fits into `free`; the two cheap answers first, since a division costs more than the rest of the test.
std::int64_t times_in(std::int64_t asked, std::int64_t free) {
  if (free < asked) return 0;
  if (free < 2 * asked) return 1;
  return free / asked;
}

}  // namespace

Amounts& Amounts::operator+=(const Amounts& other) {
  for (std::size_t kind = 0; kind < kAmountKinds; ++kind) of[kind] += other.of[kind];
  return *this;
}

Amounts& Amounts::operator-=(const Amounts& other) {
  for (std::size_t kind = 0; kind < kAmountKinds; ++kind) of[kind] -= other.of[kind];
  return *this;
}

bool Amounts::fits_in(const Amounts& free) const {
  for (std::size_t kind = 0; kind < kAmountKinds; ++kind) {
    if (of[kind] > 0 && of[kind] > free.of[kind]) return false;
  }
  return true;
}

Amounts Amounts::unlimited() {
  Amounts amounts;
  amounts.of.fill(kUnlimited);
  return amounts;
}

void Demand::ask_gpus(std::int32_t devices, std::int32_t milli_each) {
  gpus = devices;
  gpu_milli = devices == 0 ? 0 : milli_each;
  amounts[kGpu] = std::int64_t{gpus} * gpu_milli;
}

Demand demand_of(const Resources& resources) {
  Demand demand;
  demand.amounts[kCpu] = resources.milli_cpu;
  demand.amounts[kMemory] = resources.memory_bytes;
  if (resources.milli_gpu > 1000) {
    demand.ask_gpus(static_cast<std::int32_t>((resources.milli_gpu + 999) / 1000));
  } else if (resources.milli_gpu > 0) {
    demand.ask_gpus(1, static_cast<std::int32_t>(resources.milli_gpu));
  }
  return demand;
}

std::uint32_t NodeFree::slots(const Demand& demand, std::uint32_t limit) const {
  std::int64_t slots = limit;
  for (std::size_t kind = 0; kind < kAmountKinds; ++kind) {
    if (kind == kGpu || demand.amounts[kind] <= 0) continue;
    slots = std::min(slots, times_in(demand.amounts[kind], amounts[kind]));
    if (slots == 0) return 0;
  }
  if (demand.gpus > 0) {
    std::int64_t by_device = 0;
    for (std::size_t d = 0; d < devices; ++d) by_device += times_in(demand.gpu_milli, device_milli[d]);
    slots = std::min(slots, by_device / demand.gpus);
  }
  return static_cast<std::uint32_t>(slots);
}

DeviceMask NodeFree::devices_with(std::int32_t milli) const {
  DeviceMask mask = 0;
  for (std::size_t d = 0; d < devices; ++d) {
    if (device_milli[d] >= milli) mask = static_cast<DeviceMask>(mask | 1U << d);
  }
  return mask;
}

namespace {

/// Adds `tasks` (negative: takes them away) of a demand to what is free.
void change(NodeFree& free, const Demand& demand, std::int64_t tasks, DeviceMask mask) {
  for (std::size_t kind = 0; kind < kAmountKinds; ++kind) free.amounts.of[kind] += demand.amounts.of[kind] * tasks;
  if (mask == 0) return;
  const bool one_device = demand.gpus == 1 && std::popcount(mask) == 1;
  const std::int64_t per_device = one_device ? demand.gpu_milli * tasks : (tasks < 0 ? -demand.gpu_milli : demand.gpu_milli);
  for (DeviceMask left = mask; left != 0; left = static_cast<DeviceMask>(left & (left - 1))) {
    std::int16_t& milli = free.device_milli[static_cast<std::size_t>(std::countr_zero(left))];
    milli = static_cast<std::int16_t>(milli + per_device);
  }
}

}  // namespace

void NodeFree::take(const Demand& demand, std::uint32_t tasks, DeviceMask mask) { change(*this, demand, -std::int64_t{tasks}, mask); }

void NodeFree::give(const Demand& demand, std::uint32_t tasks, DeviceMask mask) { change(*this, demand, tasks, mask); }

void NodeFree::lower_to(const NodeFree& other) {
  for (std::size_t kind = 0; kind < kAmountKinds; ++kind) amounts[kind] = std::min(amounts[kind], other.amounts[kind]);
  for (std::size_t d = 0; d < devices; ++d) device_milli[d] = std::min(device_milli[d], other.device_milli[d]);
}

NodeFree empty_node(const Amounts& capacity) {
  NodeFree free;
  free.amounts = capacity;
  free.devices = static_cast<std::uint8_t>(std::min<std::int64_t>(capacity[kGpu] / 1000, kDevicesMax));
  for (std::size_t d = 0; d < free.devices; ++d) free.device_milli[d] = 1000;
  return free;
}

}  // namespace trainyard::sched
