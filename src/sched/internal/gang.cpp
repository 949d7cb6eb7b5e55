#include "sched/internal/gang.h"

#include <algorithm>
#include <tuple>

#include "sched/internal/devices.h"

namespace trainyard::sched {
namespace {

std::size_t fullest_device(const NodeFree& free, std::int32_t gpu_milli) {
  std::size_t fullest = kDevicesMax;
  for (std::size_t device = 0; device < free.devices; ++device) {
    if (free.device_milli[device] < gpu_milli) continue;
    if (fullest == kDevicesMax || free.device_milli[device] < free.device_milli[fullest]) fullest = device;
  }
  CHECK(fullest < kDevicesMax, "a device was asked for on a node where none fits");
  return fullest;
}

}  // namespace

std::size_t PlacementScorer::device(const Candidate& candidate, std::int32_t gpu_milli) {
  return fullest_device(candidate.free, gpu_milli);
}

Gang::Gang(const ClusterSnapshot& cluster, const Availability& availability, const PlacementAsk& ask, const Room& room,
           PlacementScorer* scorer)
    : cluster_(cluster), availability_(availability), ask_(ask), demand_(ask.job.demand), room_(room), scorer_(scorer) {
  if (!ask.job.constraints) return;
  for (const PreferredRule& preferred : ask.job.constraints->preferred) {
    Preference preference{.test = {}, .weight = preferred.weight};
    preference.test.required.push_back(preferred.rule);
    preference.test.tolerations = ask.job.constraints->tolerations;
    preferences_.push_back(std::move(preference));
  }
}

std::int64_t Gang::preference(NodeIndex node) const {
  std::int64_t sum = 0;
  for (const Preference& preference : preferences_) {
    if (allows(*cluster_.node(node).info, preference.test)) sum += preference.weight;
  }
  return sum;
}

bool Gang::worse(const Choice& a, const Choice& b) {
  return std::tie(a.preference, a.score, b.node) < std::tie(b.preference, b.score, a.node);
}

Gang::Choice Gang::judge(NodeIndex node, const NodeFree& free) {
  Choice choice;
  choice.node = node;
  choice.slots = room_.slots[node];
  if (!preferences_.empty()) choice.preference = preference(node);
  if (scorer_ != nullptr) choice.score = scorer_->score({node, cluster_.node(node), free});
  return choice;
}

NodeIndex Gang::best(std::span<const NodeIndex> nodes) {
  if (lowest_first() || nodes.size() == 1) return *std::min_element(nodes.begin(), nodes.end());
  Choice best = judge(nodes.front(), free_of(nodes.front()));
  for (const NodeIndex node : nodes.subspan(1)) {
    const Choice choice = judge(node, free_of(node));
    if (worse(best, choice)) best = choice;
  }
  return best.node;
}

void Gang::fill(std::span<const NodeIndex> nodes, std::int64_t tasks) {
  if (lowest_first()) {
    for (const NodeIndex node : nodes) {
      if (tasks == 0) return;
      const std::int64_t share = std::min<std::int64_t>(tasks, room_.slots[node]);
      put(node, static_cast<std::uint32_t>(share));
      tasks -= share;
    }
    return;
  }
  if (tasks == 1) return put(best(nodes), 1);
  std::vector<Choice> choices;
  choices.reserve(nodes.size());
  for (const NodeIndex node : nodes) choices.push_back(judge(node, free_of(node)));
  std::make_heap(choices.begin(), choices.end(), worse);
  std::vector<NodeFree> used;
  for (; tasks > 0; --tasks) {
    std::pop_heap(choices.begin(), choices.end(), worse);
    Choice choice = choices.back();
    choices.pop_back();
    if (choice.used == 0) {
      used.push_back(free_of(choice.node));
      choice.used = used.size();
    }
    NodeFree& free = used[choice.used - 1];
    put(choice.node, free, 1);
    if (--choice.slots == 0) continue;
    if (scorer_ != nullptr) choice.score = scorer_->score({choice.node, cluster_.node(choice.node), free});
    choices.push_back(choice);
    std::push_heap(choices.begin(), choices.end(), worse);
  }
}

void Gang::fill_lowest() {
  std::int64_t left = ask_.tasks;
  placement_.reserve(static_cast<std::size_t>(std::min<std::int64_t>(left, static_cast<std::int64_t>(room_.slots.size()))));
  room_.nodes.each_while([&](NodeIndex node) {
    const std::int64_t share = std::min<std::int64_t>(left, room_.slots[node]);
    if (demand_.gpus == 0) {
      placement_.push_back({node, static_cast<std::uint32_t>(share), 0});
    } else {
      put(node, static_cast<std::uint32_t>(share));
    }
    left -= share;
    return left > 0;
  });
  tidy_ = !is_share(demand_);
}

void Gang::put(NodeIndex node, std::uint32_t tasks) {
  if (demand_.gpus == 0) {
    placement_.push_back({node, tasks, 0});
    return;
  }
  NodeFree free = free_of(node);
  put(node, free, tasks);
}

void Gang::put(NodeIndex node, NodeFree& free, std::uint32_t tasks) {
  if (!is_share(demand_)) {
    const DeviceMask devices = lowest_devices(free.devices_with(demand_.gpu_milli), static_cast<std::uint32_t>(demand_.gpus) * tasks);
    placement_.push_back({node, tasks, demand_.gpus == 0 ? DeviceMask{0} : devices});
    free.take(demand_, tasks, placement_.back().devices);
    return;
  }
  for (std::uint32_t task = 0; task < tasks; ++task) {
    const std::size_t device = scorer_ == nullptr ? fullest_device(free, demand_.gpu_milli)
                                                  : scorer_->device({node, cluster_.node(node), free}, demand_.gpu_milli);
    placement_.push_back({node, 1, static_cast<DeviceMask>(1U << device)});
    free.take(demand_, 1, placement_.back().devices);
  }
}

Placement Gang::take() {
  if (tidy_) return std::move(placement_);
  const bool share = is_share(demand_);
  const auto before = [](const TaskPlace& a, const TaskPlace& b) { return std::tie(a.node, a.devices) < std::tie(b.node, b.devices); };
  if (!std::is_sorted(placement_.begin(), placement_.end(), before)) std::sort(placement_.begin(), placement_.end(), before);
  std::size_t kept = 0;
  for (std::size_t i = 1; i < placement_.size(); ++i) {
    TaskPlace& last = placement_[kept];
    const TaskPlace& place = placement_[i];
    if (place.node == last.node && (!share || place.devices == last.devices)) {
      last.tasks += place.tasks;
      last.devices = static_cast<DeviceMask>(last.devices | place.devices);
    } else {
      placement_[++kept] = place;
    }
  }
  if (!placement_.empty()) placement_.resize(kept + 1);
  return std::move(placement_);
}

}  // namespace trainyard::sched
