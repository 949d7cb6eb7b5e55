#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/describe.h"
#include "exec/execution_backend.h"

namespace trainyard::api {

struct GpuView {
  std::int64_t index = 0;
  std::string uuid;
  std::string model;
  std::string memory;
  void describe(FieldVisitor& fields);
};

struct NodeSummary {
  static constexpr std::string_view kSchemaName = "Node";
  std::string name;
  std::string state = "ready";
  std::optional<std::string> reason;
  bool ready = false;
  std::string pool;
  std::map<std::string, std::string> labels;
  double cpu = 0;
  std::string memory;
  double gpu = 0;
  std::vector<GpuView> gpus;
  std::optional<std::string> agent_version;
  std::optional<std::string> address;
  std::optional<TimePoint> last_seen;
  void describe(FieldVisitor& fields);
};

struct NodeList {
  static constexpr std::string_view kSchemaName = "NodeList";
  std::vector<NodeSummary> nodes;
  std::optional<std::string> next_cursor;
  void describe(FieldVisitor& fields);
};

/// What an operator may say about a change of a node.
struct NodeChange {
  static constexpr std::string_view kSchemaName = "NodeChange";
  std::string reason;
  void describe(FieldVisitor& fields);
};

struct PoolView {
  static constexpr std::string_view kSchemaName = "Pool";
  std::string name;
  std::string backend = "agents";
  std::int64_t nodes = 0;
  std::int64_t ready = 0;
  double cpu = 0;
  std::string memory;
  double gpu = 0;
  void describe(FieldVisitor& fields);
};

struct PoolList {
  static constexpr std::string_view kSchemaName = "PoolList";
  std::vector<PoolView> pools;
  std::optional<std::string> next_cursor;
  void describe(FieldVisitor& fields);
};

NodeSummary node_summary(const exec::NodeView& node);
/// By name; capacities are those of nodes that are ready.
PoolList pools_of(const std::vector<exec::NodeView>& nodes);

}  // namespace trainyard::api
