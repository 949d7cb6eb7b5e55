#include "net/internal/socket.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

namespace trainyard::net::internal {
namespace {

sockaddr* generic(SocketAddress& address) { return static_cast<sockaddr*>(static_cast<void*>(&address.storage)); }
const sockaddr* generic(const SocketAddress& address) { return static_cast<const sockaddr*>(static_cast<const void*>(&address.storage)); }

template <typename Address>
SocketAddress packed(const Address& address) {
  SocketAddress result;
  std::memcpy(&result.storage, &address, sizeof address);
  result.length = sizeof address;
  return result;
}

Error bad_url(std::string_view url) {
  return invalid_argument("net.url",
                          "A server address must look like http://127.0.0.1:8470 or https://host:8470; got: " + std::string(url));
}

Error listen_error(int number, const std::string& host, std::uint16_t port) {
  const std::string where = host + ":" + std::to_string(port);
  if (number == EADDRINUSE) {
    return unavailable("net.port_taken", "The port is taken by another program; stop that one or choose another port: " + where);
  }
  if (number == EADDRNOTAVAIL) {
    return invalid_argument("net.address", "This machine has no such address to listen on: " + where);
  }
  return unavailable("net.listen", "Cannot listen on " + where + ": " + std::strerror(number));
}

Error connect_error(int number, const Endpoint& endpoint) {
  return unavailable("net.connect",
                     "Cannot connect; check that the server runs there: " + endpoint.authority() + ": " + std::strerror(number));
}

}  // namespace

std::string Endpoint::authority() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<Endpoint> parse_endpoint(std::string_view url) {
  static constexpr std::string_view kPlain = "http://";
  static constexpr std::string_view kSecure = "https://";
  std::string_view rest = url;
  Endpoint endpoint;
  if (rest.starts_with(kPlain)) rest.remove_prefix(kPlain.size());
  if (url.starts_with(kSecure)) {
    rest.remove_prefix(kSecure.size());
    endpoint.tls = true;
    endpoint.port = 443;
  }
  if (!rest.empty() && rest.back() == '/') rest.remove_suffix(1);
  if (rest.find_first_of("/?#@ ") != std::string_view::npos) return bad_url(url);

  std::size_t colon = rest.rfind(':');
  if (!rest.empty() && rest.front() == '[') {
    const std::size_t bracket = rest.find(']');
    if (bracket == std::string_view::npos) return bad_url(url);
    endpoint.host = rest.substr(1, bracket - 1);
    if (bracket + 1 == rest.size()) {
      colon = std::string_view::npos;
    } else if (colon != bracket + 1) {
      return bad_url(url);
    }
  } else {
    endpoint.host = rest.substr(0, colon);
  }
  if (endpoint.host.empty()) return bad_url(url);
  if (colon != std::string_view::npos) {
    const std::string_view digits = rest.substr(colon + 1);
    const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), endpoint.port);
    if (failure != std::errc() || end != digits.data() + digits.size() || endpoint.port == 0) return bad_url(url);
  }
  return endpoint;
}

Result<SocketAddress> resolve(const std::string& host, std::uint16_t port) {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  if (::inet_pton(AF_INET, host == "localhost" ? "127.0.0.1" : host.c_str(), &v4.sin_addr) == 1) return packed(v4);
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  if (::inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1) return packed(v6);

  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failure = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  if (failure != 0 || found == nullptr) {
    return invalid_argument("net.address", "The host name cannot be resolved: " + host + ": " + ::gai_strerror(failure));
  }
  SocketAddress result;
  std::memcpy(&result.storage, found->ai_addr, std::min<std::size_t>(found->ai_addrlen, sizeof result.storage));
  result.length = found->ai_addrlen;
  return result;
}

Result<UniqueFd> listen_on(const std::string& host, std::uint16_t port) {
  ASSIGN_OR_RETURN(const SocketAddress address, resolve(host, port));
  UniqueFd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return listen_error(errno, host, port);
  const int on = 1;
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) return listen_error(errno, host, port);
  if (::bind(fd.get(), generic(address), address.length) != 0) return listen_error(errno, host, port);
  if (::listen(fd.get(), SOMAXCONN) != 0) return listen_error(errno, host, port);
  return fd;
}

Result<std::uint16_t> local_port(int fd) {
  SocketAddress address;
  address.length = sizeof address.storage;
  if (::getsockname(fd, generic(address), &address.length) != 0) return system_error(errno, "getsockname", "listening socket");
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  std::memcpy(&v4, &address.storage, sizeof v4);
  std::memcpy(&v6, &address.storage, sizeof v6);
  return ntohs(address.storage.ss_family == AF_INET6 ? v6.sin6_port : v4.sin_port);
}

Result<UniqueFd> connect_to(const Endpoint& endpoint, SteadyPoint deadline) {
  Result<SocketAddress> address = resolve(endpoint.host, endpoint.port);
  if (!address.ok()) return unavailable("net.connect", address.error().message);
  UniqueFd fd(::socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return connect_error(errno, endpoint);
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(fd.get(), generic(*address), address->length) == 0) return fd;
  if (errno != EINPROGRESS) return connect_error(errno, endpoint);
  TRY(wait_for(fd.get(), POLLOUT, deadline, endpoint));
  int failure = 0;
  socklen_t size = sizeof failure;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &failure, &size);
  if (failure != 0) return connect_error(failure, endpoint);
  return fd;
}

Result<short> wait_for(int fd, short events, SteadyPoint deadline, const Endpoint& endpoint, int cancel) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    std::array<pollfd, 2> entries{pollfd{fd, events, 0}, pollfd{cancel, POLLIN, 0}};  // poll(2) passes over -1.
    const int ready = ::poll(entries.data(), entries.size(), static_cast<int>(std::clamp<std::int64_t>(left, 0, 86'400'000)));
    if (entries[1].revents != 0) return unavailable("net.cancelled", "The request was given up: " + endpoint.authority());
    if (ready > 0) return entries[0].revents;
    if (ready < 0 && errno != EINTR)
      return unavailable("net.closed", std::string("Waiting for the connection failed: ") + std::strerror(errno));
    if (ready == 0 && std::chrono::steady_clock::now() >= deadline) {
      return Error{Category::kDeadlineExceeded, "net.timeout", "The server did not answer in time: " + endpoint.authority(), {}, {}};
    }
  }
}

}  // namespace trainyard::net::internal
