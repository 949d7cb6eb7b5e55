#pragma once
#include <array>
#include <bit>
#include <cstdint>
#include <limits>

#include "domain/resources.h"

namespace trainyard::sched {

/// Kinds of resources. Kinds from kExtended on are named by ClusterSnapshot::resource_names.
constexpr std::size_t kCpu = 0;     ///< Thousandths of a core.
constexpr std::size_t kMemory = 1;  ///< Bytes.
constexpr std::size_t kGpu = 2;     ///< Thousandths of a device, summed over devices.
constexpr std::size_t kExtended = 3;
constexpr std::size_t kAmountKinds = 8;

/// More than anything: no limit.
constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max() / 4;

/// A resource vector. Integers only, so that a fit test has no rounding. Entries may be negative in differences.
struct Amounts {
  std::array<std::int64_t, kAmountKinds> of{};

  bool operator==(const Amounts&) const = default;
  std::int64_t operator[](std::size_t kind) const { return of[kind]; }
  std::int64_t& operator[](std::size_t kind) { return of[kind]; }
  Amounts& operator+=(const Amounts& other);
  Amounts& operator-=(const Amounts& other);
  friend Amounts operator+(Amounts a, const Amounts& b) { return a += b; }
  friend Amounts operator-(Amounts a, const Amounts& b) { return a -= b; }
  friend Amounts operator*(Amounts a, std::int64_t times) {
    for (std::int64_t& value : a.of) value *= times;
    return a;
  }
  /// True when every quantity asked for (> 0) is there: a zero request never gates, even where a resource is overcommitted.
  bool fits_in(const Amounts& free) const;

  static Amounts unlimited();
};

/// What one task of a job asks for. `gpus` devices with `gpu_milli` of each; more than one device is always asked for whole (1000).
/// amounts[kGpu] is gpus * gpu_milli.
struct Demand {
  Amounts amounts;
  std::int32_t gpus = 0;
  std::int32_t gpu_milli = 0;

  bool operator==(const Demand&) const = default;
  /// Sets the three GPU fields together.
  void ask_gpus(std::int32_t devices, std::int32_t milli_each = 1000);
};

/// The demand of a job specification: up to one device a share, beyond it whole devices, rounded up.
Demand demand_of(const Resources& resources);

constexpr std::size_t kDevicesMax = 16;  ///< GPU devices of one node.
using DeviceMask = std::uint16_t;        ///< Bit d: device d.

/// What is free on a node. Negative where more is promised than is free now (room held for a claim while its victims still run).
struct NodeFree {
  Amounts amounts;
  std::uint8_t devices = 0;
  std::array<std::int16_t, kDevicesMax> device_milli{};

  bool operator==(const NodeFree&) const = default;
  /// How many tasks of this demand fit; at most `limit`.
  std::uint32_t slots(const Demand& demand, std::uint32_t limit = 1'000'000) const;
  /// Devices that have at least `milli` free.
  DeviceMask devices_with(std::int32_t milli) const;
  /// Takes `tasks` x demand; `mask` names the devices: all of them for whole devices, the shared one for a share.
  void take(const Demand& demand, std::uint32_t tasks, DeviceMask mask);
  void give(const Demand& demand, std::uint32_t tasks, DeviceMask mask);
  /// Lowers every entry to that of `other` where that is less.
  void lower_to(const NodeFree& other);
};

/// A node of this capacity with nothing on it.
NodeFree empty_node(const Amounts& capacity);

}  // namespace trainyard::sched
