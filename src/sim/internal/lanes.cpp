#include "sim/internal/lanes.h"

#include <algorithm>
#include <cmath>

#include "sim/job_request.h"

namespace trainyard::sim {
namespace {

class LaneAssigner {
 public:
  LaneAssigner(const Trace& trace, const Machine& machine) : trace_(trace), requests_(trace, machine), gpus_(machine.has_gpus()) {
    for (const MachineNode& node : machine.nodes) {
      plan_.first_of_node.push_back(plan_.lanes);
      plan_.lanes += static_cast<std::uint64_t>(gpus_ ? node.gpus : node.procs);
    }
    plan_.first_of_node.push_back(plan_.lanes);
    free_from_.resize(plan_.lanes, Duration(0));
  }

  void add(std::uint32_t number, const Segment& segment, std::span<const HostRange> hosts) {
    const JobRequest made = requests_.request(trace_.jobs[segment.job]);
    const std::int64_t milli = made.demand.amounts[gpus_ ? sched::kGpu : sched::kCpu];
    if (milli == 0) {
      ++plan_.without_lane;
      return;
    }
    LaneBlock block{number, 0, 0};
    for (const HostRange& range : hosts) {
      const auto wanted = static_cast<std::uint64_t>((milli * range.tasks + 999) / 1000);
      for (std::uint32_t node = range.first; node <= range.last; ++node) take(node, wanted, segment, block);
    }
    if (block.count > 0) plan_.blocks.push_back(block);
  }

  LanePlan done() { return std::move(plan_); }

 private:
  void take(std::uint32_t node, std::uint64_t wanted, const Segment& segment, LaneBlock& block) {
    std::uint64_t taken = 0;
    for (std::uint64_t lane = plan_.first_of_node[node]; lane < plan_.first_of_node[node + 1] && taken < wanted; ++lane) {
      if (free_from_[lane] > segment.start) continue;
      free_from_[lane] = segment.end;
      push(lane, block);
      ++taken;
    }
    if (taken > 0 || plan_.first_of_node[node] == plan_.first_of_node[node + 1]) return;
    const auto begin = free_from_.begin() + static_cast<std::ptrdiff_t>(plan_.first_of_node[node]);
    const auto end = free_from_.begin() + static_cast<std::ptrdiff_t>(plan_.first_of_node[node + 1]);
    push(static_cast<std::uint64_t>(std::min_element(begin, end) - free_from_.begin()), block);
  }

  void push(std::uint64_t lane, LaneBlock& block) {
    if (block.count > 0 && block.first + block.count == lane) {
      ++block.count;
      return;
    }
    if (block.count > 0) plan_.blocks.push_back(block);
    block.first = static_cast<std::uint32_t>(lane);
    block.count = 1;
  }

  const Trace& trace_;
  RequestMaker requests_;
  bool gpus_;
  LanePlan plan_;
  std::vector<Duration> free_from_;  ///< By lane.
};

}  // namespace

LanePlan assign_lanes(const Trace& trace, const Machine& machine, const SimulationResult& result) {
  LaneAssigner lanes(trace, machine);
  for (std::uint32_t i = 0; i < result.segments.size(); ++i) {
    const Segment& segment = result.segments[i];
    lanes.add(i, segment, std::span(result.hosts).subspan(segment.hosts_begin, segment.hosts_count));
  }
  return lanes.done();
}

BinnedCurve::BinnedCurve(Duration end, std::size_t bins)
    : width_(std::max(1.0, static_cast<double>(end.count())) / static_cast<double>(bins)), slopes_(bins + 2), constants_(bins + 2) {}

/// The first edge that is not before `time`; edges lie at multiples of the width.
std::size_t BinnedCurve::edge_at(Duration time) const {
  const double edge = std::ceil(static_cast<double>(time.count()) / width_ - 1e-9);
  return static_cast<std::size_t>(std::clamp(edge, 0.0, static_cast<double>(slopes_.size() - 1)));
}

void BinnedCurve::add(Duration from, Duration to, double amount) {
  const std::size_t starts = edge_at(from);
  const std::size_t ends = edge_at(to);
  slopes_[starts] += amount;
  constants_[starts] -= amount * static_cast<double>(from.count());
  slopes_[ends] -= amount;
  constants_[ends] += amount * static_cast<double>(to.count());
}

std::vector<double> BinnedCurve::means() const {
  std::vector<double> means;
  double slope = 0;
  double constant = 0;
  double before = 0;
  for (std::size_t edge = 0; edge + 1 < slopes_.size(); ++edge) {
    slope += slopes_[edge];
    constant += constants_[edge];
    const double integral = slope * width_ * static_cast<double>(edge) + constant;
    if (edge > 0) means.push_back(std::max(0.0, (integral - before) / width_));
    before = integral;
  }
  return means;
}

}  // namespace trainyard::sim
