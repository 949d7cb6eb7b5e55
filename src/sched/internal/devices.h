#pragma once
#include <bit>

#include "sched/amounts.h"

namespace trainyard::sched {

/// The `count` lowest of `devices`; all where there are fewer.
constexpr DeviceMask lowest_devices(DeviceMask devices, std::uint32_t count) {
  DeviceMask lowest = 0;
  for (; count > 0 && devices != 0; --count) {
    lowest = static_cast<DeviceMask>(lowest | (devices & -devices));
    devices = static_cast<DeviceMask>(devices & (devices - 1));
  }
  return lowest;
}

/// True for a demand of a part of one device.
constexpr bool is_share(const Demand& demand) { return demand.gpus == 1 && demand.gpu_milli < 1000; }

}  // namespace trainyard::sched
