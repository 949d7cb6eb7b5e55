#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace trainyard {

/// Chance as an argument. Implementations need not be thread-safe.
class Rng {
 public:
  virtual ~Rng() = default;
  virtual std::uint64_t next() = 0;

  /// Uniform in [0, bound); `bound` > 0.
  std::uint64_t below(std::uint64_t bound);
  /// Uniform in [0, 1).
  double unit();
};

/// xoshiro256** seeded through splitmix64 (Blackman and Vigna, public-domain description): equal seeds give equal sequences.
class SeededRng final : public Rng {
 public:
  explicit SeededRng(std::uint64_t seed);
  std::uint64_t next() override;

 private:
  std::array<std::uint64_t, 4> state_;
};

/// Fills `bytes` from the kernel's generator: for tokens and ids that must not be guessed.
void fill_with_secure_random(std::span<std::byte> bytes);
/// `byte_count` random bytes as lower-case hex.
std::string secure_random_hex(std::size_t byte_count);

}  // namespace trainyard
