#include "exec/execution_backend.h"

#include <fmt/format.h>

namespace trainyard::exec {

std::string_view name_of(NodeState state) {
  switch (state) {
    case NodeState::kReady:
      return "ready";
    case NodeState::kCordoned:
      return "cordoned";
    case NodeState::kDraining:
      return "draining";
  }
  return "ready";
}

Result<NodeState> node_state_from(std::string_view name) {
  for (const NodeState state : {NodeState::kReady, NodeState::kCordoned, NodeState::kDraining}) {
    if (name == name_of(state)) return state;
  }
  return invalid_argument("node.state", fmt::format("the state of a node is ready, cordoned or draining, not \"{}\"", name));
}

}  // namespace trainyard::exec
