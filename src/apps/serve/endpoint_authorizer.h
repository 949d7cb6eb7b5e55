#pragma once
#include <string>
#include <utility>

#include "net/router.h"

namespace trainyard::apps {

/// Lets the holders of one token in, or everyone when there is none. Thread-safe.
class EndpointAuthorizer final : public net::Authorizer {
 public:
  explicit EndpointAuthorizer(std::string token) : token_(std::move(token)) {}
  Result<net::Principal> authenticate(const net::Request& request) override;

 private:
  const std::string token_;
};

}  // namespace trainyard::apps
