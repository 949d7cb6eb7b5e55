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

}  // namespace trainyard::apps
