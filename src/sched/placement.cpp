#include "sched/placement.h"

#include <algorithm>
#include <tuple>

#include "sched/internal/gang.h"
#include "sched/internal/topology.h"

namespace trainyard::sched {
namespace {

using Nodes = std::vector<NodeIndex>;

Nodes nodes_of(const Room& room) {
  Nodes nodes;
  nodes.reserve(room.nodes.count());
  room.nodes.each([&nodes](NodeIndex node) { nodes.push_back(node); });
  return nodes;
}

/// Those of `nodes` whose domain has room for `tasks`.
Nodes in_domains_that_hold(const Nodes& nodes, std::int64_t tasks, const Room& room, const std::vector<DomainIndex>& domains) {
  const std::vector<std::int64_t> held = domain_room(nodes, room.slots, domains);
  Nodes holding;
  std::copy_if(nodes.begin(), nodes.end(), std::back_inserter(holding), [&](NodeIndex node) { return held[domains[node]] >= tasks; });
  return holding;
}

void keep_domain(Nodes& nodes, DomainIndex domain, const std::vector<DomainIndex>& domains) {
  std::erase_if(nodes, [&](NodeIndex node) { return domains[node] != domain; });
}

/// Fills the domain of the best node among those whose domain holds the whole gang.
bool place_in_one_domain(Gang& gang, const std::vector<DomainIndex>& domains) {
  Nodes nodes = in_domains_that_hold(nodes_of(gang.room()), gang.tasks(), gang.room(), domains);
  if (nodes.empty()) return false;
  keep_domain(nodes, domains[gang.best(nodes)], domains);
  gang.fill(nodes, gang.tasks());
  return true;
}

/// Fills `nodes`, which are one domain at `level` with room for `tasks`, so that few of its parts are touched: whole parts, the roomiest
/// first, and for the rest the part with the least room that holds it.
void fill_tightly(Gang& gang, const Topology& topology, Nodes nodes, TopologyLevel level, std::int64_t tasks) {
  if (level == TopologyLevel::kNode) return gang.put(nodes.front(), static_cast<std::uint32_t>(tasks));
  const TopologyLevel below = narrower(level);
  const std::vector<DomainIndex>& domains = topology.domains(below);
  const std::vector<std::int64_t> room = domain_room(nodes, gang.room().slots, domains);
  const auto room_of = [&](NodeIndex node) { return room[domains[node]]; };
  std::stable_sort(nodes.begin(), nodes.end(), [&](NodeIndex a, NodeIndex b) {
    return std::make_tuple(-room_of(a), domains[a]) < std::make_tuple(-room_of(b), domains[b]);
  });
  auto part = nodes.begin();
  while (room_of(*part) < tasks) {
    const auto next = std::find_if(part, nodes.end(), [&](NodeIndex node) { return domains[node] != domains[*part]; });
    tasks -= room_of(*part);
    fill_tightly(gang, topology, Nodes(part, next), below, room_of(*part));
    part = next;
  }
  const auto too_small = std::find_if(part, nodes.end(), [&](NodeIndex node) { return room_of(node) < tasks; });
  const auto tightest = std::find_if(part, too_small, [&](NodeIndex node) { return room_of(node) == room_of(*(too_small - 1)); });
  Nodes chosen(tightest, too_small);
  keep_domain(chosen, domains[gang.best(chosen)], domains);
  fill_tightly(gang, topology, std::move(chosen), below, tasks);
}

/// Into the narrowest level, not wider than `widest`, at which some domain holds the gang: top-down the domain with the least room.
bool place_tightly(Gang& gang, const Topology& topology, TopologyLevel widest) {
  const Nodes all = nodes_of(gang.room());
  for (TopologyLevel level = TopologyLevel::kNode;; level = wider(level)) {
    Nodes nodes = in_domains_that_hold(all, gang.tasks(), gang.room(), topology.domains(level));
    if (nodes.empty()) {
      if (level == widest) return false;
      continue;
    }
    for (TopologyLevel outer = TopologyLevel::kCluster; outer != level;) {
      outer = narrower(outer);
      const std::vector<DomainIndex>& domains = topology.domains(outer);
      const std::vector<std::int64_t> room = domain_room(all, gang.room().slots, domains);
      std::int64_t least = kUnlimited;
      for (const NodeIndex node : nodes) least = std::min(least, room[domains[node]]);
      std::erase_if(nodes, [&](NodeIndex node) { return room[domains[node]] != least; });
    }
    keep_domain(nodes, topology.domains(level)[gang.best(nodes)], topology.domains(level));
    fill_tightly(gang, topology, std::move(nodes), level, gang.tasks());
    return true;
  }
}

/// At the level asked for or, where it is only preferred, at the narrowest that works outwards of it.
bool place_within(Gang& gang, const Topology& topology, const Constraints& constraints) {
  for (TopologyLevel level = constraints.within; level != TopologyLevel::kCluster; level = wider(level)) {
    if (place_in_one_domain(gang, topology.domains(level))) return true;
    if (constraints.within_required) return false;
  }
  gang.fill(nodes_of(gang.room()), gang.tasks());
  return true;
}

}  // namespace

std::optional<Placement> place(const ClusterSnapshot& cluster, Availability& availability, const PlacementAsk& ask,
                               PlacementScorer* scorer) {
  const Room room = availability.room(ask.job.shape, ask.from, ask.to);
  if (room.total < ask.tasks) return std::nullopt;
  if (ask.tasks <= 0) return Placement{};
  Gang gang(cluster, availability, ask, room, scorer);
  const Constraints* constraints = ask.job.constraints.get();
  const bool anywhere = constraints == nullptr || constraints->within == TopologyLevel::kCluster;
  if (scorer != nullptr && scorer->keeps_together()) {
    const bool required = constraints != nullptr && constraints->within_required;
    if (!place_tightly(gang, Topology(cluster), required ? constraints->within : TopologyLevel::kCluster)) return std::nullopt;
  } else if (!anywhere) {
    if (!place_within(gang, Topology(cluster), *constraints)) return std::nullopt;
  } else if (gang.lowest_first()) {
    gang.fill_lowest();
  } else {
    gang.fill(nodes_of(room), ask.tasks);
  }
  return gang.take();
}

}  // namespace trainyard::sched
