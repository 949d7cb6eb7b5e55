#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "domain/ids.h"
#include "net/permission.h"

namespace trainyard::access {

/// The administrator whose token is in the data directory. As a user it is made by the system and stays.
constexpr std::string_view kAdminUser = "admin";

/// Somebody who may hold tokens.
struct User {
  std::string name;
  bool disabled = false;
  TimePoint created_at;
  std::vector<net::Grant> grants;  ///< By scope, each scope once.
};

/// What narrows a token to less than its user may do.
struct TokenScope {
  std::optional<std::string> name_space;
  std::optional<std::string> role;
};

/// A personal token "ty_pat_ID_SECRET" as it is kept: never its text.
struct StoredToken {
  std::string id;
  std::string user;
  std::string sha256;
  std::string name;  ///< For people.
  TokenScope scope;
  TimePoint created_at;
  std::optional<TimePoint> expires_at;
  std::optional<TimePoint> last_used_at;
  std::optional<TimePoint> revoked_at;
};

/// A token "ty_join_ID_SECRET" that lets machines become nodes.
struct JoinToken {
  std::string id;
  std::string sha256;
  std::string node;  ///< The only node it is for, which it may also replace; empty: any that has no credential.
  std::string pool;  ///< Where the nodes go; empty: the default pool.
  std::map<std::string, std::string> labels;
  std::string created_by;
  TimePoint created_at;
  TimePoint expires_at;
  std::int64_t uses_left = 1;
};

/// What an agent shows: "ty_agent_ID_SECRET", bound to its node.
struct AgentCredential {
  std::string id;
  NodeName node;
  std::string sha256;
  TimePoint issued_at;
  TimePoint expires_at;
  std::optional<TimePoint> revoked_at;
};

/// The names under which agents and joining machines act.
std::string agent_principal(const NodeName& node);        ///< "agent:node-1"
std::string join_principal(const std::string& token_id);  ///< "join:ID"
/// The node that a principal stands for; none when it is no agent.
std::optional<NodeName> node_of(const net::Principal& principal);

/// What a token of this user may do: the grants of the user within the scope of the token. A grant for all namespaces is in `role`.
net::Principal principal_of(const User& user, const StoredToken& token);

/// Whether `principal` holds all that `other` holds.
bool covers(const net::Principal& principal, const net::Principal& other);

/// Lower-case letters, digits, '.', '_' and '-', at most 63, and none of the names that the system uses itself. Errors: INVALID_ARGUMENT
/// "access.user_name".
Result<void> check_user_name(std::string_view name);
/// Lower-case letters, digits and '-', at most 63. Errors: INVALID_ARGUMENT "access.namespace".
Result<void> check_namespace(std::string_view name);
/// The same for what a grant is for: also "*".
Result<void> check_scope(std::string_view scope);
/// Errors: INVALID_ARGUMENT "access.role" with a suggestion.
Result<void> check_role(std::string_view role);
/// What a machine may call itself: letters, digits, '.', '_' and '-', at most 253. Errors: INVALID_ARGUMENT "access.node_name".
Result<void> check_node_name(std::string_view name);

/// What handlers of objects in namespaces ask: nothing when `principal` holds the permission in `name_space`; PERMISSION_DENIED
/// "auth.forbidden" when it may see what is there but not do this; else `unknown`, the very error for an object that does not exist, so
/// that nobody learns what there is elsewhere.
Result<void> require(const net::Principal& principal, net::Permission permission, std::string_view name_space, const Error& unknown);

}  // namespace trainyard::access
