#pragma once
#include "domain/namespace_set.h"
#include "net/permission.h"

namespace trainyard::access {

/// Where `principal` holds the permission: what listings select by, and the same answer as net::may for each namespace.
NamespaceSet held_namespaces(const net::Principal& principal, net::Permission permission);

}  // namespace trainyard::access
