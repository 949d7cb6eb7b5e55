#pragma once
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"

namespace trainyard::apps {

/// A part of the control plane that a server process may do. Each names the routes it serves and the drivers it runs.
enum class Role { kApi, kScheduler, kWorkflow, kTracking, kRegistry, kFeatures };

/// "api", "scheduler" ...
std::string_view name_of(Role role);

/// "api,tracking". An empty text stands for all roles. Errors: INVALID_ARGUMENT "server.role" with the nearest known one.
Result<std::set<Role>> parse_roles(std::string_view text);

/// An address to listen on.
struct ListenAddress {
  std::string host;
  std::uint16_t port = 0;
  bool operator==(const ListenAddress&) const = default;
};

/// Listeners by name: "api", "tracking" and the other roles that serve routes, and "metrics", which serves measurements and nothing else. A
/// role without a listener of its own is served on "api".
using Listeners = std::map<std::string, ListenAddress, std::less<>>;

/// "api=127.0.0.1:8000,metrics=[::1]:9090". Errors: INVALID_ARGUMENT "server.listen".
Result<Listeners> parse_listeners(std::string_view text);

/// What one process does and where it listens.
struct ProcessPlan {
  std::set<Role> roles;
  bool stands = true;   ///< It has scheduler and workflow, so that it may lead the installation.
  Listeners listeners;  ///< All that are opened.

  bool has(Role role) const { return roles.contains(role); }
  /// The listener that serves what is called `name`.
  std::string_view listener_of(std::string_view name) const;
};

/// What decides a plan.
struct ProcessRequest {
  std::string roles;
  std::string listen;
  ListenAddress api;            ///< Where "api" is unless `listen` says otherwise.
  bool several_can_run = true;  ///< Ledger and database are servers that several processes can use.
};

/// A process that may lead has an "api" listener, where others hand on what is the leader's. Errors: INVALID_ARGUMENT "server.role",
/// "server.listen"; FAILED_PRECONDITION "server.one_process" for a part of the roles where only one process can run.
Result<ProcessPlan> plan_process(const ProcessRequest& request);

}  // namespace trainyard::apps
