#pragma once
#include <cstdint>
#include <string>

#include "base/result.h"

namespace trainyard::apps {

/// Finds out whether `port` of the IPv4 address `host` is free by binding it for a moment; 0 asks for any. Returns the port. Somebody else
/// may take it right after; listening then says so. Errors: UNAVAILABLE "net.port_taken", INVALID_ARGUMENT "net.address".
Result<std::uint16_t> probe_port(const std::string& host, std::uint16_t port);

}  // namespace trainyard::apps
