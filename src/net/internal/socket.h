#pragma once
#include <sys/socket.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "base/file.h"

namespace trainyard::net::internal {

using SteadyPoint = std::chrono::steady_clock::time_point;

/// Where a server is: "http://host:port" taken apart.
struct Endpoint {
  std::string host;  ///< Without brackets.
  std::uint16_t port = 80;
  bool tls = false;
  /// As the `Host` field and messages show it.
  std::string authority() const;
};

/// Accepts "http://host:port", "host:port" and "http://host", with or without a last slash; IPv6 in brackets. "https://" stands for TLS.
/// Errors: INVALID_ARGUMENT "net.url".
Result<Endpoint> parse_endpoint(std::string_view url);

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
};

/// A numeric address at once, "localhost" as 127.0.0.1, any other name by getaddrinfo, which may block. Errors: INVALID_ARGUMENT
/// "net.address".
Result<SocketAddress> resolve(const std::string& host, std::uint16_t port);

/// A non-blocking listening socket, closed on exec. Errors: UNAVAILABLE "net.port_taken" or "net.listen", INVALID_ARGUMENT "net.address".
Result<UniqueFd> listen_on(const std::string& host, std::uint16_t port);
Result<std::uint16_t> local_port(int fd);

/// A connected non-blocking socket with TCP_NODELAY, closed on exec. Errors: UNAVAILABLE "net.connect", DEADLINE_EXCEEDED "net.timeout".
Result<UniqueFd> connect_to(const Endpoint& endpoint, SteadyPoint deadline);

/// Waits until `events` of poll(2) or an error are there and returns them. Errors: DEADLINE_EXCEEDED "net.timeout"; UNAVAILABLE
/// "net.cancelled" when the descriptor `cancel` (-1: none) gets readable.
Result<short> wait_for(int fd, short events, SteadyPoint deadline, const Endpoint& endpoint, int cancel = -1);

}  // namespace trainyard::net::internal
