#pragma once
#include <string>
#include <string_view>

#include "base/result.h"

namespace trainyard::agent {

/// The address of this machine from which `url` ("http://host:port") is reached: what other machines on the way there can use too.
/// "127.0.0.1" for a server on this machine that is reached by its loopback address. Sends nothing. Errors: INVALID_ARGUMENT "net.url",
/// UNAVAILABLE "agent.address".
Result<std::string> local_address_towards(std::string_view url);

}  // namespace trainyard::agent
