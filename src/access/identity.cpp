#include "access/identity.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/describe.h"

namespace trainyard::access {
namespace {

constexpr std::string_view kAgentPrefix = "agent:";
constexpr std::array<std::string_view, 6> kReservedNames = {kAdminUser, "anyone", "nobody", "system", "root", "trainyard"};

bool is_lower(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_letter(char c) { return is_lower(c) || (c >= 'A' && c <= 'Z'); }

template <typename Check>
bool is_name(std::string_view text, std::size_t length_max, Check is_inner) {
  return !text.empty() && text.size() <= length_max && is_letter(text.front()) && std::all_of(text.begin(), text.end(), is_inner);
}

}  // namespace

std::string agent_principal(const NodeName& node) { return std::string(kAgentPrefix) + node.text; }
std::string join_principal(const std::string& token_id) { return "join:" + token_id; }

std::optional<NodeName> node_of(const net::Principal& principal) {
  if (!principal.name.starts_with(kAgentPrefix)) return std::nullopt;
  return NodeName{principal.name.substr(kAgentPrefix.size())};
}

net::Principal principal_of(const User& user, const StoredToken& token) {
  net::Principal principal{.name = user.name, .role = {}, .grants = {}, .credential = token.id};
  const std::optional<std::string>& only = token.scope.name_space;
  std::string_view best_inside;  // The best role in the one namespace of the token.
  for (const net::Grant& grant : user.grants) {
    const std::string_view role = token.scope.role ? net::weaker_role(grant.role, *token.scope.role) : std::string_view(grant.role);
    if (role.empty()) continue;
    if (!only && grant.scope == net::kAllNamespaces) {
      principal.role = std::string(role);
    } else if (!only) {
      principal.grants.push_back({grant.scope, std::string(role)});
    } else if (grant.scope == net::kAllNamespaces || grant.scope == *only) {
      if (best_inside.empty() || net::weaker_role(best_inside, role) == best_inside) best_inside = role;
    }
  }
  if (!best_inside.empty()) principal.grants.push_back({*only, std::string(best_inside)});
  return principal;
}

bool covers(const net::Principal& principal, const net::Principal& other) {
  const auto holds = [&principal](std::string_view scope, std::string_view role) {
    for (const net::Permission permission :
         {net::Permission::kViewer, net::Permission::kRunner, net::Permission::kOperator, net::Permission::kAdmin}) {
      if (net::role_allows(role, permission) && !net::may(principal, permission, scope)) return false;
    }
    return true;
  };
  return holds(net::kAllNamespaces, other.role) && std::all_of(other.grants.begin(), other.grants.end(), [&holds](const net::Grant& grant) {
           return holds(grant.scope, grant.role);
         });
}

Result<void> check_user_name(std::string_view name) {
  const auto inner = [](char c) { return is_lower(c) || c == '.' || c == '_' || c == '-'; };
  if (!is_name(name, 63, inner)) {
    return invalid_argument(
        "access.user_name",
        fmt::format("a user name has 1 to 63 lower-case letters, digits, '.', '_' and '-' and begins with one of the first two: \"{}\"",
                    name),
        "/name");
  }
  if (std::find(kReservedNames.begin(), kReservedNames.end(), name) == kReservedNames.end()) return {};
  return invalid_argument("access.user_name", fmt::format("this name is used by the system itself, choose another: \"{}\"", name), "/name");
}

Result<void> check_namespace(std::string_view name) {
  if (is_name(name, 63, [](char c) { return is_lower(c) || c == '-'; }) && name.back() != '-') return {};
  return invalid_argument(
      "access.namespace",
      fmt::format("a namespace has 1 to 63 lower-case letters, digits and '-', with none of the last at its ends: \"{}\"", name),
      "/namespace");
}

Result<void> check_scope(std::string_view scope) { return scope == net::kAllNamespaces ? Result<void>() : check_namespace(scope); }

Result<void> check_role(std::string_view role) {
  if (net::is_role(role)) return {};
  const std::optional<std::string> near = nearest(role, {"viewer", "runner", "operator", "admin"});
  return invalid_argument("access.role",
                          fmt::format("a role is one of viewer, runner, operator, admin{}: \"{}\"",
                                      near ? fmt::format("; did you mean \"{}\"?", *near) : "", role),
                          "/role");
}

Result<void> check_node_name(std::string_view name) {
  const auto inner = [](char c) { return is_letter(c) || c == '.' || c == '_' || c == '-'; };
  if (is_name(name, 253, inner)) return {};
  return invalid_argument(
      "access.node_name",
      fmt::format("a node name has 1 to 253 letters, digits, '.', '_' and '-' and begins with a letter or digit: \"{}\"", name), "/node");
}

Result<void> require(const net::Principal& principal, net::Permission permission, std::string_view name_space, const Error& unknown) {
  if (net::may(principal, permission, name_space)) return {};
  if (!net::may(principal, net::Permission::kViewer, name_space)) return unknown;
  return Error{
      Category::kPermissionDenied,
      "auth.forbidden",
      fmt::format("This token may not do that here; it needs the role '{}' in the namespace: {}", net::name_of(permission), name_space),
      {},
      {}};
}

}  // namespace trainyard::access
