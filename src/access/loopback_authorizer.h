#pragma once
#include <memory>
#include <string>

#include "net/router.h"

namespace trainyard::access {

/// Takes everybody for the administrator. Made for loopback addresses only; pages of other sites are still kept out, since the server
/// checks Host and Origin, and so are requests that another process handed on, since its clients may be anywhere. Thread-safe.
class LoopbackAuthorizer final : public net::Authorizer {
 public:
  /// `host`: the address that the server listens on. Errors: INVALID_ARGUMENT "access.open_address" when it is no loopback address.
  static Result<std::unique_ptr<LoopbackAuthorizer>> make(const std::string& host);

  /// Errors: UNAUTHENTICATED "auth.missing" for what was handed on.
  Result<net::Principal> authenticate(const net::Request& request) override;

 private:
  LoopbackAuthorizer() = default;
};

}  // namespace trainyard::access
