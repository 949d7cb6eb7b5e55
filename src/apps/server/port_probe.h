#pragma once
#include <cstdint>
#include <string>

#include "base/result.h"

namespace trainyard::apps {

/// Whether `host` is an address, or a name that has one. May block on a name. Errors: INVALID_ARGUMENT "net.unknown_host".
Result<void> check_host(const std::string& host);

/// Finds out whether `port` of `host`, an address or a name of this machine, is free by binding it for a moment; 0 asks for any. Returns
/// the port. Somebody else may take it right after; listening then says so. Errors: UNAVAILABLE "net.port_taken", INVALID_ARGUMENT
/// "net.unknown_host" and "net.address" for one of another machine.
Result<std::uint16_t> probe_port(const std::string& host, std::uint16_t port);

}  // namespace trainyard::apps
