#pragma once
#include <compare>
#include <cstdint>

#include "sched/amounts.h"

namespace trainyard::sched {

/// A dominant share as a rational: used / capacity, divided by weight_milli / 1000. Compared without rounding, by cross multiplication.
/// A weight of 0 (or less) counts as the least of all claims: it comes after every other share, ordered as if the weight were 1.
struct Share {
  std::int64_t used = 0;      ///< >= 0.
  std::int64_t capacity = 1;  ///< > 0.
  std::int64_t weight_milli = 1000;
  std::size_t kind = kCpu;  ///< The dominant resource.

  /// For people and for sums; not for comparing.
  double value() const;
  /// Without the weight: the fraction of the dominant resource.
  double fraction() const { return static_cast<double>(used) / static_cast<double>(capacity); }
  std::strong_ordering operator<=>(const Share& other) const;
  bool operator==(const Share& other) const { return (*this <=> other) == std::strong_ordering::equal; }
};

/// max_j used_j / (capacity_j * weight) over the kinds with capacity; the first of equal ones. Zero without capacity. Entries of `used`
/// below zero count as zero. Source: Ghodsi et al., NSDI 2011.
Share share_of(const Amounts& used, const Amounts& capacity, std::int64_t weight_milli = 1000);

}  // namespace trainyard::sched
