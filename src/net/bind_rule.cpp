#include "net/bind_rule.h"

#include <algorithm>

#include "net/origin.h"

namespace trainyard::net {

bool is_loopback_address(std::string_view host) {
  const bool bare_v6 = !host.starts_with('[') && std::count(host.begin(), host.end(), ':') > 1;
  return is_loopback_name(host_name_of(bare_v6 ? "[" + std::string(host) + "]" : std::string(host)));
}

Result<void> check_bind(const BindRequest& request) {
  if (request.tls || request.insecure_public || is_loopback_address(request.host)) return {};
  return invalid_argument("net.insecure_public",
                          "Other machines can reach this address, and without TLS everybody between could read the access tokens; give "
                          "--tls-cert and --tls-key, "
                          "listen on 127.0.0.1, or say --insecure-public if the network is trusted. Address: " +
                              request.host);
}

}  // namespace trainyard::net
