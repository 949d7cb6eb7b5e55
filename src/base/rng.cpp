#include "base/rng.h"

#include <sys/random.h>

#include <bit>
#include <cerrno>
#include <string_view>

#include "base/check.h"

namespace trainyard {

std::uint64_t Rng::below(std::uint64_t bound) {
  CHECK(bound > 0, "below(0)");
  // Rejects the values that would make some residues likelier (Lemire's threshold).
  const std::uint64_t threshold = (0 - bound) % bound;
  for (;;) {
    const std::uint64_t value = next();
    if (value >= threshold) return value % bound;
  }
}

double Rng::unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

SeededRng::SeededRng(std::uint64_t seed) {
  for (std::uint64_t& word : state_) {
    seed += 0x9e3779b97f4a7c15;
    std::uint64_t mixed = (seed ^ (seed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    word = mixed ^ (mixed >> 31);
  }
}

std::uint64_t SeededRng::next() {
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

void fill_with_secure_random(std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t got = getrandom(bytes.data(), bytes.size(), 0);
    CHECK(got > 0 || errno == EINTR, "getrandom failed");
    if (got > 0) bytes = bytes.subspan(static_cast<std::size_t>(got));
  }
}

std::string secure_random_hex(std::size_t byte_count) {
  std::string raw(byte_count, '\0');
  fill_with_secure_random(std::as_writable_bytes(std::span(raw)));
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  hex.reserve(byte_count * 2);
  for (const char c : raw) {
    const auto byte = static_cast<unsigned char>(c);
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

}  // namespace trainyard
