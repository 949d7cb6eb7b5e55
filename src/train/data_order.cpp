#include "train/data_order.h"

#include <bit>

#include "base/check.h"

namespace trainyard::train {
namespace {

/// The output function of splitmix64 (Steele, Lea and Flood 2014): a bijection that mixes well.
constexpr std::uint64_t mix(std::uint64_t value) {
  value += 0x9E3779B97F4A7C15U;
  value = (value ^ (value >> 30U)) * 0xBF58476D1CE4E5B9U;
  value = (value ^ (value >> 27U)) * 0x94D049BB133111EBU;
  return value ^ (value >> 31U);
}

}  // namespace

EpochOrder::EpochOrder(std::uint64_t seed, std::uint64_t epoch, std::uint64_t rows) : rows_(rows), half_bits_(1), round_keys_{} {
  CHECK(rows > 0 && rows <= (std::uint64_t{1} << 62U), "an epoch has 1 to 2^62 rows");
  const auto bits = static_cast<unsigned>(std::bit_width(rows - 1));
  half_bits_ = bits < 2 ? 1 : (bits + 1) / 2;
  std::uint64_t key = mix(mix(seed) ^ epoch);
  for (std::uint64_t& round_key : round_keys_) round_key = key = mix(key);
}

std::uint64_t EpochOrder::encipher(std::uint64_t value) const {
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  std::uint64_t left = value >> half_bits_;
  std::uint64_t right = value & mask;
  for (const std::uint64_t key : round_keys_) {
    const std::uint64_t next = left ^ (mix(right ^ key) & mask);
    left = right;
    right = next;
  }
  return (left << half_bits_) | right;
}

std::uint64_t EpochOrder::row_at(std::uint64_t position) const {
  CHECK(position < rows_, "a position beyond the epoch");
  // The network permutes a range at most four times as large, so the walk takes four steps on average and always comes back inside.
  std::uint64_t value = encipher(position);
  while (value >= rows_) value = encipher(value);
  return value;
}

}  // namespace trainyard::train
