#include "apps/serve/endpoint_authorizer.h"

namespace trainyard::apps {
namespace {

/// Takes the same time wherever the texts differ.
bool equal_in_constant_time(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned int difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned int>(static_cast<unsigned char>(b[i]));
  return difference == 0;
}

}  // namespace

Result<net::Principal> EndpointAuthorizer::authenticate(const net::Request& request) {
  if (token_.empty()) return net::Principal{"anyone", "viewer"};
  constexpr std::string_view kBearer = "Bearer ";
  const std::optional<std::string_view> header = request.headers.get("Authorization");
  if (!header || !header->starts_with(kBearer)) {
    return Error{Category::kUnauthenticated, "auth.missing", "This endpoint needs its token; send Authorization: Bearer TOKEN", {}, {}};
  }
  if (!equal_in_constant_time(header->substr(kBearer.size()), token_)) {
    return Error{Category::kUnauthenticated, "auth.invalid", "The token is not the one of this endpoint", {}, {}};
  }
  return net::Principal{"client", "viewer"};
}

}  // namespace trainyard::apps
