#include "sched/cluster.h"

#include <fmt/format.h>

#include <algorithm>

namespace trainyard::sched {
namespace {

bool contains(const std::vector<std::string>& values, const std::string& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

bool keeps(const NodeInfo& node, const LabelRule& rule) {
  const auto label = node.labels.find(rule.key);
  switch (rule.op) {
    case LabelRule::Op::kIn:
      return label != node.labels.end() && contains(rule.values, label->second);
    case LabelRule::Op::kNotIn:
      return label == node.labels.end() || !contains(rule.values, label->second);
    case LabelRule::Op::kExists:
      return label != node.labels.end();
    case LabelRule::Op::kMissing:
      return label == node.labels.end();
  }
  return false;
}

bool same_constraints(const Constraints* a, const Constraints* b) {
  if (a == b) return true;
  return a != nullptr && b != nullptr && *a == *b;
}

constexpr std::uint32_t kSlotsMax = 1'000'000;

std::uint32_t slots_of(const NodeFree& free, const ShapeFit& shape) {
  const std::int32_t most = shape.constraints ? shape.constraints->tasks_per_node_max : 0;
  return free.slots(shape.demand, most > 0 ? static_cast<std::uint32_t>(most) : kSlotsMax);
}

}  // namespace

std::int64_t task_count(const Placement& placement) {
  std::int64_t tasks = 0;
  for (const TaskPlace& place : placement) tasks += place.tasks;
  return tasks;
}

Placement merged(const Placement& a, const Placement& b) {
  Placement both = a;
  both.insert(both.end(), b.begin(), b.end());
  std::stable_sort(both.begin(), both.end(), [](const TaskPlace& x, const TaskPlace& y) { return x.node < y.node; });
  return both;
}

bool allows(const NodeInfo& node, const Constraints& constraints) {
  if (!constraints.pool.empty() && constraints.pool != node.pool) return false;
  if (!constraints.gpu_models.empty() && !contains(constraints.gpu_models, node.gpu_model)) return false;
  for (const std::string& taint : node.taints) {
    if (!constraints.tolerations.contains(taint)) return false;
  }
  return std::all_of(constraints.required.begin(), constraints.required.end(),
                     [&node](const LabelRule& rule) { return keeps(node, rule); });
}

Result<NodeIndex> ClusterSnapshot::add_node(NodeInfo info) {
  if (info.capacity[kGpu] > static_cast<std::int64_t>(kDevicesMax) * 1000) {
    return invalid_argument("cluster.too_many_devices", fmt::format("a node has at most {} GPU devices; node \"{}\" says {}", kDevicesMax,
                                                                    info.name.text, info.capacity[kGpu] / 1000));
  }
  if (by_name_.contains(info.name)) {
    return failed_precondition("cluster.node_exists", fmt::format("each node has a name of its own; \"{}\" is taken", info.name.text));
  }
  const auto index = static_cast<NodeIndex>(nodes_.size());
  by_name_.emplace(info.name, index);
  NodeState state;
  state.free = empty_node(info.capacity);
  capacity_ += info.capacity;
  state.info = std::make_shared<const NodeInfo>(std::move(info));
  nodes_.push_back(std::move(state));
  for (const ShapeId id : live_shapes_) {
    ShapeFit& shape = shapes_[id];
    shape.slots.push_back(0);
    shape.allowed.resize(nodes_.size());
    shape.fitting.resize(nodes_.size());
    judge(index, shape);
  }
  return index;
}

void ClusterSnapshot::replace_node(NodeIndex node, NodeInfo info) {
  NodeState& state = nodes_[node];
  const NodeFree before = empty_node(state.info->capacity);
  NodeFree after = empty_node(info.capacity);
  capacity_ += info.capacity - state.info->capacity;
  after.amounts -= before.amounts - state.free.amounts;
  for (std::size_t d = 0; d < kDevicesMax; ++d) {
    after.device_milli[d] = static_cast<std::int16_t>(after.device_milli[d] - (before.device_milli[d] - state.free.device_milli[d]));
  }
  state.free = after;
  state.info = std::make_shared<const NodeInfo>(std::move(info));
  for (const ShapeId id : live_shapes_) fill(shapes_[id]);
}

void ClusterSnapshot::remove_node(NodeIndex node) {
  NodeState& state = nodes_[node];
  if (state.gone) return;
  state.gone = true;
  capacity_ -= state.info->capacity;
  by_name_.erase(state.info->name);
  for (const ShapeId id : live_shapes_) fill(shapes_[id]);
}

void ClusterSnapshot::set_ready(NodeIndex node, bool ready) {
  if (nodes_[node].ready == ready) return;
  nodes_[node].ready = ready;
  refresh(node);
}

void ClusterSnapshot::set_drained(NodeIndex node, bool drained) {
  if (nodes_[node].drained == drained) return;
  nodes_[node].drained = drained;
  refresh(node);
}

std::optional<NodeIndex> ClusterSnapshot::find_node(const NodeName& name) const {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return std::nullopt;
  return found->second;
}

Result<std::size_t> ClusterSnapshot::resource_kind(const std::string& name) {
  const auto found = std::find(resource_names_.begin(), resource_names_.end(), name);
  if (found != resource_names_.end()) return kExtended + static_cast<std::size_t>(found - resource_names_.begin());
  if (kExtended + resource_names_.size() == kAmountKinds) {
    return failed_precondition("cluster.resource_kinds",
                               fmt::format("a cluster has at most {} named resources besides cpu, memory and gpu; \"{}\" is one more",
                                           kAmountKinds - kExtended, name));
  }
  resource_names_.push_back(name);
  return kExtended + resource_names_.size() - 1;
}

std::string ClusterSnapshot::kind_name(std::size_t kind) const {
  static constexpr std::array<const char*, kExtended> kNames{"cpu", "memory", "gpu"};
  if (kind < kExtended) return kNames[kind];
  return kind - kExtended < resource_names_.size() ? resource_names_[kind - kExtended] : "resource " + std::to_string(kind);
}

ShapeId ClusterSnapshot::intern(const Demand& demand, const ConstraintsPtr& constraints) {
  for (const ShapeId id : live_shapes_) {
    if (shapes_[id].demand == demand && same_constraints(shapes_[id].constraints.get(), constraints.get())) {
      ++shapes_[id].users;
      return id;
    }
  }
  const auto unused = std::find_if(shapes_.begin(), shapes_.end(), [](const ShapeFit& shape) { return shape.users == 0; });
  const auto id = static_cast<ShapeId>(unused - shapes_.begin());
  ShapeFit shape;  // Made apart: the arguments may lie in a shape of this cluster.
  shape.demand = demand;
  shape.constraints = constraints;
  shape.users = 1;
  fill(shape);
  if (unused == shapes_.end()) {
    shapes_.push_back(std::move(shape));
  } else {
    *unused = std::move(shape);
  }
  live_shapes_.push_back(id);
  return id;
}

void ClusterSnapshot::release_shape(ShapeId shape) {
  CHECK(shapes_[shape].users > 0, "a shape was released more often than interned");
  if (--shapes_[shape].users == 0) live_shapes_.erase(std::find(live_shapes_.begin(), live_shapes_.end(), shape));
}

void ClusterSnapshot::fill(ShapeFit& shape) {
  shape.slots.assign(nodes_.size(), 0);
  shape.allowed = shape.fitting = NodeSet(nodes_.size());
  shape.total = shape.total_empty = 0;
  for (NodeIndex node = 0; node < nodes_.size(); ++node) judge(node, shape);
}

/// Decides whether the shape may use a node that it does not count yet, and counts it.
void ClusterSnapshot::judge(NodeIndex node, ShapeFit& shape) {
  const NodeState& state = nodes_[node];
  const bool allowed = shape.constraints == nullptr ? state.info->taints.empty() : allows(*state.info, *shape.constraints);
  if (!allowed || state.gone) return;
  shape.allowed.insert(node);
  shape.total_empty += state.info->capacity_known ? slots_of(empty_node(state.info->capacity), shape) : kSlotsMax;
  refresh(node, shape);
}

void ClusterSnapshot::refresh(NodeIndex node) {
  for (const ShapeId id : live_shapes_) refresh(node, shapes_[id]);
}

void ClusterSnapshot::refresh(NodeIndex node, ShapeFit& shape) {
  if (!shape.allowed.contains(node)) return;
  const NodeState& state = nodes_[node];
  const std::uint32_t slots = state.usable() ? slots_of(state.free, shape) : 0;
  shape.total += std::int64_t{slots} - shape.slots[node];
  shape.slots[node] = slots;
  shape.fitting.set(node, slots > 0);
}

void ClusterSnapshot::take(const RunningJob& job) {
  for (const TaskPlace& place : job.nodes) nodes_[place.node].free.take(job.job.demand, place.tasks, place.devices);
  used_ += job.held();
  for (const TaskPlace& place : job.nodes) refresh(place.node);
}

void ClusterSnapshot::give(const RunningJob& job) {
  for (const TaskPlace& place : job.nodes) nodes_[place.node].free.give(job.job.demand, place.tasks, place.devices);
  used_ -= job.held();
  for (const TaskPlace& place : job.nodes) refresh(place.node);
}

void ClusterSnapshot::insert_end(const EndKey& key) { by_end_.insert(std::lower_bound(by_end_.begin(), by_end_.end(), key), key); }

void ClusterSnapshot::erase_end(const EndKey& key) { by_end_.erase(std::lower_bound(by_end_.begin(), by_end_.end(), key)); }

void ClusterSnapshot::start(RunningJob job) {
  take(job);
  auto slot = static_cast<std::uint32_t>(running_.size());
  if (unused_slots_.empty()) {
    running_.emplace_back();
  } else {
    slot = unused_slots_.back();
    unused_slots_.pop_back();
  }
  CHECK(slot_of_.insert(job.job.id, slot), "a job started twice");
  insert_end({job.limit_end, job.job.id, slot});
  if (job.job.tasks_min > 0) elastic_.insert(std::lower_bound(elastic_.begin(), elastic_.end(), job.job.id), job.job.id);
  running_[slot] = std::move(job);
}

RunningJob ClusterSnapshot::end(JobId id) {
  const std::uint32_t* found = slot_of_.find(id);
  CHECK(found != nullptr, "a job ended that does not run");
  const std::uint32_t slot = *found;
  slot_of_.erase(id);
  unused_slots_.push_back(slot);
  RunningJob job = std::move(running_[slot]);
  erase_end({job.limit_end, id, slot});
  if (job.job.tasks_min > 0) elastic_.erase(std::lower_bound(elastic_.begin(), elastic_.end(), id));
  give(job);
  return job;
}

void ClusterSnapshot::resize(JobId id, Placement nodes) {
  RunningJob& job = *find_mutable(id);
  give(job);
  job.nodes = std::move(nodes);
  job.shrink_to.clear();
  take(job);
}

const RunningJob* ClusterSnapshot::find(JobId id) const {
  const std::uint32_t* slot = slot_of_.find(id);
  return slot == nullptr ? nullptr : &running_[*slot];
}

RunningJob* ClusterSnapshot::find_mutable(JobId id) {
  const std::uint32_t* slot = slot_of_.find(id);
  return slot == nullptr ? nullptr : &running_[*slot];
}

void ClusterSnapshot::set_limit_end(JobId id, TimePoint limit_end) {
  const std::uint32_t* found = slot_of_.find(id);
  CHECK(found != nullptr, "a job that does not run has no limit to change");
  const std::uint32_t slot = *found;
  RunningJob& job = running_[slot];
  erase_end({job.limit_end, id, slot});
  job.limit_end = limit_end;
  insert_end({limit_end, id, slot});
}

void ClusterSnapshot::check_invariants() const {
  std::vector<NodeFree> expected;
  for (const NodeState& node : nodes_) expected.push_back(empty_node(node.info->capacity));
  Amounts used;
  slot_of_.each([&](JobId, std::uint32_t slot) {
    const RunningJob& running = running_[slot];
    for (const TaskPlace& place : running.nodes) expected[place.node].take(running.job.demand, place.tasks, place.devices);
    used += running.held();
  });
  CHECK(used == used_, "the sum of what jobs hold is wrong");
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    CHECK(expected[i] == nodes_[i].free, "allocated and free of node " + nodes_[i].info->name.text + " do not add up to its capacity");
    for (const std::int64_t free : nodes_[i].free.amounts.of) CHECK(free >= 0, "node " + nodes_[i].info->name.text + " is oversubscribed");
    for (const std::int16_t free : nodes_[i].free.device_milli) CHECK(free >= 0, "a device is oversubscribed");
  }
}

}  // namespace trainyard::sched
