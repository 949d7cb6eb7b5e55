#include "data/row_hash.h"

#include <fmt/format.h>
#include <xxhash.h>

namespace trainyard::data {

Hash128& Hash128::operator+=(const Hash128& other) {
  low += other.low;
  high += other.high + (low < other.low ? 1 : 0);
  return *this;
}

std::string Hash128::hex() const { return fmt::format("{:016x}{:016x}", high, low); }

Hash128 hash_row(std::span<const std::byte> row, std::uint64_t seed) {
  const XXH128_hash_t hash = XXH3_128bits_withSeed(row.data(), row.size(), seed);
  return {hash.high64, hash.low64};
}

std::string_view name_of(Split split) {
  switch (split) {
    case Split::kTrain:
      return "train";
    case Split::kValidation:
      return "validation";
    case Split::kTest:
      return "test";
  }
  return "";
}

}  // namespace trainyard::data
