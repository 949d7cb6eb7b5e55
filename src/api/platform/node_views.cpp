#include "api/platform/node_views.h"

namespace trainyard::api {

void GpuView::describe(FieldVisitor& fields) {
  fields.field("index", index, {.min = 0}, "Number on its node.");
  fields.field("uuid", uuid, "Unique name of the device.");
  fields.field("model", model, "Model of the device.");
  fields.field("memory", memory, "Memory, like 80GiB.");
}

void NodeSummary::describe(FieldVisitor& fields) {
  fields.field("name", name, "Name of the node.");
  fields.choice("state", state, {"ready", "cordoned", "draining", "down"},
                "cordoned: nothing new starts; draining: what runs is stopped, too; down: it has not been heard of for its lease.");
  fields.field("reason", reason, "Why it is not ready.");
  fields.field("ready", ready, "Whether it has been heard of lately.");
  fields.field("pool", pool, "The pool it belongs to.");
  fields.field("labels", labels, "What it was labelled with, and the automatic ones.");
  fields.field("cpu", cpu, {.min = 0}, "Cores.");
  fields.field("memory", memory, "Memory, like 16GiB.");
  fields.field("gpu", gpu, {.min = 0}, "Devices.");
  fields.field("gpus", gpus, "The devices it offers.");
  fields.field("agent_version", agent_version, "Version of its agent.");
  fields.field("address", address, "Where other nodes reach its ranks.");
  fields.field("last_seen", last_seen, "When it reported last.");
}

void NodeList::describe(FieldVisitor& fields) {
  fields.field("nodes", nodes, "By name.");
  fields.field("next_cursor", next_cursor, "Where the next page begins; absent: there is none.");
}

void NodeChange::describe(FieldVisitor& fields) { fields.field("reason", reason, "Why, for those who wonder."); }

void PoolView::describe(FieldVisitor& fields) {
  fields.field("name", name, "Name of the pool.");
  fields.choice("backend", backend, {"agents"}, "What runs its ranks.");
  fields.field("nodes", nodes, {.min = 0}, "How many nodes it has.");
  fields.field("ready", ready, {.min = 0}, "How many of them take new ranks.");
  fields.field("cpu", cpu, {.min = 0}, "Cores of those.");
  fields.field("memory", memory, "Memory of those.");
  fields.field("gpu", gpu, {.min = 0}, "Devices of those.");
}

void PoolList::describe(FieldVisitor& fields) {
  fields.field("pools", pools, "By name.");
  fields.field("next_cursor", next_cursor, "Where the next page begins; absent: there is none.");
}

namespace {

double units(std::int64_t thousandths) { return static_cast<double>(thousandths) / 1000; }

std::optional<std::string> unless_empty(const std::string& text) { return text.empty() ? std::nullopt : std::optional(text); }

}  // namespace

NodeSummary node_summary(const exec::NodeView& node) {
  NodeSummary view;
  view.name = node.name.text;
  view.state = node.ready ? std::string(name_of(node.state)) : "down";
  view.reason = unless_empty(node.state_reason);
  view.ready = node.ready;
  view.pool = node.facts.pool;
  view.labels = node.facts.labels;
  view.cpu = units(node.capacity.milli_cpu);
  view.memory = format_byte_size({node.capacity.memory_bytes});
  view.gpu = units(node.capacity.milli_gpu);
  for (const exec::GpuDevice& device : node.facts.gpus) {
    view.gpus.push_back({static_cast<std::int64_t>(device.index), device.uuid, device.model, format_byte_size({device.memory_bytes})});
  }
  view.agent_version = unless_empty(node.facts.agent_version);
  view.address = unless_empty(node.facts.address);
  if (node.reported_at != TimePoint()) view.last_seen = node.reported_at;
  return view;
}

PoolList pools_of(const std::vector<exec::NodeView>& nodes) {
  std::map<std::string, PoolView> pools;
  std::map<std::string, Resources> capacity;
  for (const exec::NodeView& node : nodes) {
    PoolView& pool = pools[node.facts.pool];
    ++pool.nodes;
    if (!node.ready || !node.schedulable) continue;
    ++pool.ready;
    capacity[node.facts.pool] += node.capacity;
  }
  PoolList list;
  for (auto& [name, pool] : pools) {
    pool.name = name;
    pool.cpu = units(capacity[name].milli_cpu);
    pool.memory = format_byte_size({capacity[name].memory_bytes});
    pool.gpu = units(capacity[name].milli_gpu);
    list.pools.push_back(pool);
  }
  return list;
}

}  // namespace trainyard::api
