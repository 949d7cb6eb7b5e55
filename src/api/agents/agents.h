#pragma once
#include <functional>
#include <string>
#include <vector>

#include "agent/agent_link.h"
#include "base/executor.h"
#include "net/router.h"

namespace trainyard::api {

/// What agents on other machines reach. `sync` answers by callback, since it may wait; the link calls block and run on `bulk`.
struct AgentContext {
  using SyncDone = std::function<void(Result<exec::DesiredState>)>;
  std::function<void(const exec::NodeObservation&, std::uint64_t seen, Duration wait, SyncDone)> sync;  ///< Any thread.
  agent::AgentLink& link;
  Executor& bulk;
  /// Whether this rank is leased to this node: the output of other ranks is none of its business. Any thread; must not block.
  std::function<bool(const NodeName& node, const RankKey& rank)> holds;
};

/// An agent reaches what is of its own node; an admin reaches all of it. Adds POST /api/v1/agents/{node}/sync, and GET and POST
/// /api/v1/agents/ranks/{job}/{attempt}/{rank}/log|events.
void add_agent_routes(net::Router& router, AgentContext context);

}  // namespace trainyard::api
