#pragma once
#include <array>
#include <cstdint>

namespace trainyard::train {

/// The order in which one epoch visits the rows: a permutation of [0, rows) that is a pure function of (seed, epoch, rows). Nothing is
/// stored, so that any position of any epoch is known at once and a resume is arithmetic. A four-round Feistel network over the next even
/// power of two, walked until it falls into the range (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002). A plain value.
class EpochOrder {
 public:
  /// CHECKs 0 < rows <= 2^62.
  EpochOrder(std::uint64_t seed, std::uint64_t epoch, std::uint64_t rows);
  /// The row at `position`; CHECKs position < rows.
  std::uint64_t row_at(std::uint64_t position) const;

 private:
  std::uint64_t encipher(std::uint64_t value) const;

  std::uint64_t rows_;
  unsigned half_bits_;
  std::array<std::uint64_t, 4> round_keys_;
};

}  // namespace trainyard::train
