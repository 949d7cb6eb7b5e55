#include "apps/warden/port_reservation.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

namespace trainyard::warden {
namespace {

constexpr std::uint64_t kFirst = 10'000;
constexpr std::uint64_t kCount = 10'000;
constexpr std::uint64_t kTries = 1'000;

}  // namespace

Result<PortReservation> PortReservation::make(std::uint64_t seed) {
  for (std::uint64_t tried = 0; tried < kTries; ++tried) {
    const auto port = static_cast<std::uint16_t>(kFirst + (seed % kCount + tried) % kCount);
    UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket.valid()) return system_error(errno, "socket", "");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    address.sin_port = htons(port);
    const void* raw = &address;
    if (::bind(socket.get(), static_cast<const sockaddr*>(raw), sizeof address) == 0) return PortReservation(std::move(socket), port);
    if (errno != EADDRINUSE && errno != EACCES) return system_error(errno, "bind", "");
  }
  return Error{Category::kResourceExhausted, "launch.no_port", "no free port was found for the first rank of a gang", {}, {}};
}

}  // namespace trainyard::warden
