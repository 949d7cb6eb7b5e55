#pragma once
#include <string_view>

#include "net/http.h"

namespace trainyard::net {

/// The least role a route asks for: viewer < runner < operator < admin. kOpen is served without a token too and stands on an exact list
/// only; its handler sees the principal of a good token and an empty one else. Two stand beside the others: kAgent is what agents do, held
/// by the role "agent" and by admins; kJoin is to become one, held by the role "join" alone, which a join token has. kUnnamed is that of a
/// route which names none: nobody holds it, and the server does not start with such a route.
enum class Permission { kOpen, kViewer, kRunner, kOperator, kAdmin, kAgent, kJoin, kUnnamed };

/// Stands for every namespace in a grant.
inline constexpr std::string_view kAllNamespaces = "*";

/// "viewer", "agent", "join"; "nobody" for kOpen.
std::string_view name_of(Permission permission);

/// One of "viewer", "runner", "operator", "admin".
bool is_role(std::string_view text);
/// The role that holds less; nothing when one of them is no role.
std::string_view weaker_role(std::string_view a, std::string_view b);

/// Whether `role` is at least what `permission` asks for. An unknown role holds nothing.
bool role_allows(std::string_view role, Permission permission);

/// Whether a grant in that namespace or in all of them holds the permission.
bool may(const Principal& principal, Permission permission, std::string_view name_space);
/// Whether the permission is held in every namespace.
bool may_everywhere(const Principal& principal, Permission permission);
/// Whether it is held in one namespace at least.
bool may_anywhere(const Principal& principal, Permission permission);

}  // namespace trainyard::net
