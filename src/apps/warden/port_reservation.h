#pragma once
#include <cstdint>

#include "base/file.h"

namespace trainyard::warden {

/// A TCP port that nobody on this machine has, and that is kept from others until it is released: right before the program starts that is
/// to listen there. It lies below the range the kernel gives to outgoing connections.
class PortReservation {
 public:
  PortReservation() = default;
  /// Looks from a place that `seed` chooses, so that several do not fight for the same ports. Errors: RESOURCE_EXHAUSTED "launch.no_port".
  static Result<PortReservation> make(std::uint64_t seed);

  std::uint16_t port() const { return port_; }
  void release() { socket_.reset(); }

 private:
  PortReservation(UniqueFd socket, std::uint16_t port) : socket_(std::move(socket)), port_(port) {}
  UniqueFd socket_;
  std::uint16_t port_ = 0;
};

}  // namespace trainyard::warden
