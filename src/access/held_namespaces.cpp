#include "access/held_namespaces.h"

#include <set>

namespace trainyard::access {

NamespaceSet held_namespaces(const net::Principal& principal, net::Permission permission) {
  if (net::may_everywhere(principal, permission)) return {.all = true, .names = {}};
  std::set<std::string> names;
  for (const net::Grant& grant : principal.grants) {
    if (net::may(principal, permission, grant.scope)) names.insert(grant.scope);
  }
  return {.all = false, .names = {names.begin(), names.end()}};
}

}  // namespace trainyard::access
