#include "agent/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/file.h"

namespace trainyard::agent {
namespace {

struct HostAndPort {
  std::string host;
  std::string port;
};

Result<HostAndPort> host_and_port(std::string_view url) {
  const std::size_t scheme = url.find("://");
  std::string_view rest = scheme == std::string_view::npos ? url : url.substr(scheme + 3);
  rest = rest.substr(0, rest.find('/'));
  const bool bracketed = rest.starts_with('[');
  const std::size_t host_end = bracketed ? rest.find(']') : rest.find(':');
  HostAndPort found;
  found.host = rest.substr(bracketed ? 1 : 0, host_end == std::string_view::npos ? host_end : host_end - (bracketed ? 1 : 0));
  const std::size_t colon = host_end == std::string_view::npos ? host_end : rest.find(':', host_end);
  found.port = colon == std::string_view::npos ? (url.starts_with("https") ? "443" : "80") : std::string(rest.substr(colon + 1));
  if (found.host.empty() || found.port.empty()) {
    return invalid_argument("net.url", "the address of a server is http://host:port: " + std::string(url));
  }
  return found;
}

/// The local end of a datagram socket that is connected there: the kernel chooses a route and sends nothing.
Result<std::string> local_end(const addrinfo& target) {
  const UniqueFd socket(::socket(target.ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid() || ::connect(socket.get(), target.ai_addr, target.ai_addrlen) != 0) {
    return system_error(errno, "connect", "");
  }
  sockaddr_storage local{};
  socklen_t size = sizeof local;
  void* raw = &local;
  std::array<char, NI_MAXHOST> text{};
  if (::getsockname(socket.get(), static_cast<sockaddr*>(raw), &size) != 0 ||
      ::getnameinfo(static_cast<sockaddr*>(raw), size, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) != 0) {
    return system_error(errno, "getsockname", "");
  }
  return std::string(text.data());
}

}  // namespace

Result<std::string> local_address_towards(std::string_view url) {
  ASSIGN_OR_RETURN(const HostAndPort server, host_and_port(url));
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* list = nullptr;
  const int failed = ::getaddrinfo(server.host.c_str(), server.port.c_str(), &hints, &list);
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, [](addrinfo* all) {
    if (all != nullptr) ::freeaddrinfo(all);
  });
  std::string why = failed != 0 ? ::gai_strerror(failed) : "it has no address";
  for (const addrinfo* target = list; failed == 0 && target != nullptr; target = target->ai_next) {
    Result<std::string> address = local_end(*target);
    if (address.ok()) return address;
    why = address.error().message;
  }
  return unavailable(
      "agent.address",
      fmt::format("the address of this machine towards the server is not known; give it with --address: {}: {}", server.host, why));
}

}  // namespace trainyard::agent
