#include "sim/simulation.h"

#include <algorithm>
#include <array>

#include "sim/internal/simulator.h"

namespace trainyard::sim {
namespace {

constexpr std::array<std::string_view, 5> kFates{"SUCCEEDED", "TIMED_OUT", "FAILED", "REJECTED", "UNFINISHED"};

/// Ranges of positions as ranges of host ids.
void translate(std::span<const HostRange> positions, const std::vector<std::uint32_t>& ids, std::vector<HostRange>& hosts) {
  hosts.clear();
  for (const HostRange& range : positions) {
    for (std::uint32_t position = range.first; position <= range.last; ++position) hosts.push_back({ids[position], ids[position]});
  }
  std::sort(hosts.begin(), hosts.end(), [](const HostRange& a, const HostRange& b) { return a.first < b.first; });
}

}  // namespace

std::string_view name_of(Fate fate) { return kFates[static_cast<std::size_t>(fate)]; }

Result<SimulationResult> simulate(const Trace& trace, const Machine& machine, const SimulationSettings& settings,
                                  const std::function<bool(const SimulationProgress&)>& watch) {
  return Simulator(trace, machine, settings, watch).run();
}

std::string schedule_csv(const Trace& trace, const Machine& machine, const SimulationResult& result) {
  const bool details = std::any_of(result.segments.begin(), result.segments.end(), [](const Segment& segment) {
    return segment.attempt != 1 || segment.state != SegmentState::kSucceeded;
  });
  bool same_ids = true;
  for (std::uint32_t i = 0; i < machine.host_ids.size(); ++i) same_ids = same_ids && machine.host_ids[i] == i;
  ScheduleText text(details);
  std::vector<HostRange> translated;
  for (const Segment& segment : result.segments) {
    std::span<const HostRange> hosts = std::span(result.hosts).subspan(segment.hosts_begin, segment.hosts_count);
    if (!same_ids) {
      translate(hosts, machine.host_ids, translated);
      hosts = translated;
    }
    text.add({trace.jobs[segment.job].id, segment.start, segment.end, hosts, segment.attempt, segment.state});
  }
  return text.take();
}

}  // namespace trainyard::sim
