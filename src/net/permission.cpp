#include "net/permission.h"

#include <algorithm>
#include <array>

namespace trainyard::net {
namespace {

constexpr std::array<std::string_view, 5> kLadder = {"nobody", "viewer", "runner", "operator", "admin"};
constexpr std::string_view kAgentRole = "agent";
constexpr std::string_view kJoinRole = "join";
constexpr std::size_t kNobody = kLadder.size();  ///< Above every role.

/// 0 for nobody, then viewer < runner < operator < admin.
std::size_t rank_of(std::string_view role) {
  const auto* const found = std::find(kLadder.begin(), kLadder.end(), role);
  return found == kLadder.end() ? 0 : static_cast<std::size_t>(found - kLadder.begin());
}

std::size_t rank_of(Permission permission) {
  switch (permission) {
    case Permission::kOpen:
      return 0;
    case Permission::kViewer:
      return 1;
    case Permission::kRunner:
      return 2;
    case Permission::kOperator:
      return 3;
    case Permission::kAdmin:
    case Permission::kAgent:
      return 4;
    case Permission::kJoin:
    case Permission::kUnnamed:
      return kNobody;
  }
  return kNobody;
}

}  // namespace

std::string_view name_of(Permission permission) {
  if (permission == Permission::kUnnamed) return "unnamed";
  if (permission == Permission::kAgent) return kAgentRole;
  return permission == Permission::kJoin ? kJoinRole : kLadder[rank_of(permission)];
}

bool is_role(std::string_view text) { return rank_of(text) > 0; }

std::string_view weaker_role(std::string_view a, std::string_view b) {
  const std::size_t rank = std::min(rank_of(a), rank_of(b));
  return rank == 0 ? std::string_view() : kLadder[rank];
}

bool role_allows(std::string_view role, Permission permission) {
  if (permission == Permission::kAgent && role == kAgentRole) return true;
  if (permission == Permission::kUnnamed) return false;
  if (permission == Permission::kJoin) return role == kJoinRole;
  return rank_of(role) >= rank_of(permission);
}

bool may(const Principal& principal, Permission permission, std::string_view name_space) {
  if (role_allows(principal.role, permission)) return true;
  return std::any_of(principal.grants.begin(), principal.grants.end(), [&](const Grant& grant) {
    return (grant.scope == name_space || grant.scope == kAllNamespaces) && role_allows(grant.role, permission);
  });
}

bool may_everywhere(const Principal& principal, Permission permission) { return may(principal, permission, kAllNamespaces); }

bool may_anywhere(const Principal& principal, Permission permission) {
  if (role_allows(principal.role, permission)) return true;
  return std::any_of(principal.grants.begin(), principal.grants.end(),
                     [permission](const Grant& grant) { return role_allows(grant.role, permission); });
}

}  // namespace trainyard::net
