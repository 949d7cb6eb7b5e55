#pragma once
#include <string>
#include <vector>

#include "base/time.h"
#include "domain/ids.h"
#include "store/database.h"

namespace trainyard::cluster {

/// What an operator wants of a node other than to use it.
struct NodeIntent {
  NodeName node;
  std::string state;   ///< "cordoned" or "draining".
  std::string reason;  ///< For people.
  std::string by;      ///< Who said so.
  TimePoint since;
  bool operator==(const NodeIntent&) const = default;
};

const std::vector<store::Migration>& node_intent_migrations();

/// Keeps what operators want of nodes over restarts; a node without an entry is to be used. Thread-safe; calls block.
class NodeIntents {
 public:
  explicit NodeIntents(store::Database& database) : database_(database) {}

  /// Errors of all: those of the database.
  Result<void> set(const NodeIntent& intent);
  Result<void> clear(const NodeName& node);
  /// By name of the node.
  Result<std::vector<NodeIntent>> list();

 private:
  store::Database& database_;
};

}  // namespace trainyard::cluster
