#include "apps/server/port_probe.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/file.h"

namespace trainyard::apps {

Result<std::uint16_t> probe_port(const std::string& host, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (::inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    return invalid_argument("net.address", fmt::format("the host must be an IPv4 address like 127.0.0.1: {}", host));
  }
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int reuse = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse);
  void* raw = &address;
  socklen_t size = sizeof address;
  if (::bind(socket.get(), static_cast<const sockaddr*>(raw), size) != 0 ||
      ::getsockname(socket.get(), static_cast<sockaddr*>(raw), &size) != 0) {
    const int reason = errno;
    if (reason != EADDRINUSE) return system_error(reason, "listen", fmt::format("{}:{}", host, port));
    return unavailable("net.port_taken", fmt::format("another program listens on {}:{}: stop it, or choose another port", host, port));
  }
  return ntohs(address.sin_port);
}

}  // namespace trainyard::apps
