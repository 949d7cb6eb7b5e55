#include "apps/server/port_probe.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "base/file.h"

namespace trainyard::apps {
namespace {

using AddressList = std::unique_ptr<addrinfo, void (*)(addrinfo*)>;

/// The addresses of a host, at least one.
Result<AddressList> addresses_of(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* list = nullptr;
  const int failed = host.empty() ? EAI_NONAME : ::getaddrinfo(host.c_str(), nullptr, &hints, &list);
  AddressList owner(list, [](addrinfo* all) {
    if (all != nullptr) ::freeaddrinfo(all);
  });
  if (failed == 0 && list != nullptr) return owner;
  return invalid_argument("net.unknown_host",
                          fmt::format("the host to listen on cannot be resolved; give an address of this machine like 127.0.0.1, or a name "
                                      "of one: \"{}\" ({})",
                                      host, ::gai_strerror(failed)));
}

/// The port within an address of either family.
std::uint16_t& port_in(sockaddr_storage& address) {
  void* const raw = &address;
  return address.ss_family == AF_INET6 ? static_cast<sockaddr_in6*>(raw)->sin6_port : static_cast<sockaddr_in*>(raw)->sin_port;
}

}  // namespace

Result<void> check_host(const std::string& host) {
  TRY(addresses_of(host));
  return {};
}

Result<std::uint16_t> probe_port(const std::string& host, std::uint16_t port) {
  ASSIGN_OR_RETURN(const AddressList list, addresses_of(host));
  sockaddr_storage address{};
  std::memcpy(&address, list->ai_addr, list->ai_addrlen);
  port_in(address) = htons(port);
  const UniqueFd socket(::socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int reuse = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse);
  void* raw = &address;
  socklen_t size = list->ai_addrlen;
  if (::bind(socket.get(), static_cast<const sockaddr*>(raw), size) != 0 ||
      ::getsockname(socket.get(), static_cast<sockaddr*>(raw), &size) != 0) {
    const int reason = errno;
    if (reason == EADDRNOTAVAIL) {
      return invalid_argument("net.address", fmt::format("the host to listen on is none of this machine: {}", host));
    }
    if (reason != EADDRINUSE) return system_error(reason, "listen", fmt::format("{}:{}", host, port));
    return unavailable("net.port_taken", fmt::format("another program listens on {}:{}: stop it, or choose another port", host, port));
  }
  return ntohs(port_in(address));
}

}  // namespace trainyard::apps
