#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "net/http.h"

namespace trainyard::net {

/// Which callers a server takes: the defence against DNS rebinding and cross-site requests.
struct CallerRules {
  std::vector<std::string> hosts = {};    ///< Names beyond the loopback names, lower case, without port.
  bool any_ip_literal = false;            ///< True when bound to another address than loopback.
  std::vector<std::string> origins = {};  ///< Foreign origins that may call, e.g. "https://ui.example.org".
};

/// "Example.org.:8470" -> "example.org"; "[::1]:80" -> "::1".
std::string host_name_of(std::string_view host_field);
bool is_loopback_name(std::string_view host_name);
bool is_ip_literal(std::string_view host_name);

/// Whether the value of a `Host` field names this server.
bool host_is_allowed(std::string_view host_field, const CallerRules& rules);

/// Whether the request comes from a page of this server, or from no page at all. A browser marks cross-site requests by `Origin` and
/// `Sec-Fetch-Site`, which pages cannot forge; other clients send neither.
bool is_same_origin(const Headers& headers);

/// Whether a request may be answered: same origin, an allowed origin, or a plain navigation (a link to a page of this server).
bool origin_is_allowed(std::string_view method, const Headers& headers, const CallerRules& rules);

}  // namespace trainyard::net
