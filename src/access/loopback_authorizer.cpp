#include "access/loopback_authorizer.h"

#include "net/bind_rule.h"

namespace trainyard::access {

Result<std::unique_ptr<LoopbackAuthorizer>> LoopbackAuthorizer::make(const std::string& host) {
  if (!net::is_loopback_address(host)) {
    return invalid_argument("access.open_address",
                            "A server without access control listens on a loopback address only; use --host 127.0.0.1, or leave out "
                            "--auth none. It was told to listen on: " +
                                host);
  }
  return std::unique_ptr<LoopbackAuthorizer>(new LoopbackAuthorizer());
}

}  // namespace trainyard::access
