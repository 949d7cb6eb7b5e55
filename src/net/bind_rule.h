#pragma once
#include <string>
#include <string_view>

#include "base/result.h"

namespace trainyard::net {

/// Whether an address to listen on is reached from this machine alone: "localhost", 127.x.x.x, ::1. A name that has to be looked up is not,
/// since its address may change.
bool is_loopback_address(std::string_view host);

/// What decides whether a server may listen.
struct BindRequest {
  std::string host;
  bool tls = false;              ///< It has a certificate.
  bool insecure_public = false;  ///< The operator said that tokens may travel in the clear.
};

/// Tokens must not travel in the clear: an address that others can reach needs TLS, or the word of the operator. Errors: INVALID_ARGUMENT
/// "net.insecure_public", naming the flags.
Result<void> check_bind(const BindRequest& request);

}  // namespace trainyard::net
