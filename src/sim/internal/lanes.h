#pragma once
#include <cstdint>
#include <vector>

#include "sim/simulation.h"

namespace trainyard::sim {

/// A stretch of running on neighbouring lanes. A lane is one device, or one processor on machines without devices.
struct LaneBlock {
  std::uint32_t segment = 0;
  std::uint32_t first = 0;
  std::uint32_t count = 1;

  bool operator==(const LaneBlock&) const = default;
};

struct LanePlan {
  std::uint64_t lanes = 0;
  std::vector<std::uint64_t> first_of_node;  ///< By node, and the number of lanes behind the last one.
  std::vector<LaneBlock> blocks;             ///< By start of the segment.
  std::uint64_t without_lane = 0;            ///< Segments of jobs that use no device, on a machine with devices.
};

/// Gives each segment lanes of its nodes that are free for all of it, the lowest first. Shares of a device may overlap.
LanePlan assign_lanes(const Trace& trace, const Machine& machine, const SimulationResult& result);

/// A quantity over time as means of equal bins.
class BinnedCurve {
 public:
  BinnedCurve(Duration end, std::size_t bins);
  /// `amount` more during [from, to).
  void add(Duration from, Duration to, double amount);
  std::vector<double> means() const;

 private:
  std::size_t edge_at(Duration time) const;

  double width_;                ///< Of a bin, microseconds.
  std::vector<double> slopes_;  ///< By edge: the integral up to x is slope * x + constant, summed up to the edge.
  std::vector<double> constants_;
};

}  // namespace trainyard::sim
