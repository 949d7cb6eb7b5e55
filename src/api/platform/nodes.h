#pragma once
#include <functional>

#include "access/access_service.h"
#include "api/platform/job_context.h"
#include "cluster/node_intents.h"
#include "exec/execution_backend.h"
#include "net/router.h"

namespace trainyard::api {

/// What the routes of nodes work on; all of it outlives the HTTP server. `strand` owns the backend, `writes` may block.
struct NodeContext {
  Executor& strand;
  Executor& writes;
  Clock& clock;
  exec::ExecutionBackend& backend;
  cluster::NodeIntents& intents;
  /// Tells the backend what an operator wants of a node. Called on the strand, after it is durable.
  std::function<void(const NodeName&, exec::NodeState, const std::string& why)> set_state;
  /// Whether a node is gone and may be taken off the list, and takes it off. Called on the strand. Errors: those the caller is to see.
  std::function<Result<void>(const NodeName&)> check_gone = nullptr;
  std::function<Result<void>(const NodeName&)> remove = nullptr;
  /// Ends the credential of the node's agent. Called on `writes`. Errors: NOT_FOUND when it has none.
  std::function<Result<void>(const access::Caller&, const NodeName&)> revoke = nullptr;
};

/// Adds GET /api/v1/nodes, GET and DELETE /api/v1/nodes/{name}, POST /api/v1/nodes/{name}/cordon, uncordon and drain, and GET
/// /api/v1/pools.
void add_node_routes(net::Router& router, NodeContext context);

}  // namespace trainyard::api
