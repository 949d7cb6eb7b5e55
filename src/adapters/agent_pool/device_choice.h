#pragma once
#include <cstdint>
#include <map>
#include <vector>

#include "exec/attempt.h"

namespace trainyard::adapters::agent_pool {

/// Thousandths in use, by index of the device.
using DeviceUse = std::map<std::uint32_t, std::int64_t>;

/// Adds what a rank with these resources uses of its devices: the whole ones first, the fraction of the last one.
void add_use(DeviceUse& use, const std::vector<std::uint32_t>& devices, std::int64_t milli_gpu);

/// The GPUs of a node for a rank that asks for `milli_gpu`: whole devices that nobody uses, the lowest first, and for a fraction the
/// fullest device that still has the room. The node's sum is what was planned with: where whole devices are left in pieces only, the least
/// used ones are shared. Returns them in the order in which add_use takes them; fewer than asked when the node has fewer. Pure.
std::vector<std::uint32_t> choose_devices(const std::vector<exec::GpuDevice>& gpus, const DeviceUse& use, std::int64_t milli_gpu);

}  // namespace trainyard::adapters::agent_pool
