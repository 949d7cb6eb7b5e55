#pragma once
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace trainyard::data {

/// A 128-bit number: the hash of a row, or a sum of such hashes modulo 2^128.
struct Hash128 {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  auto operator<=>(const Hash128&) const = default;

  /// Addition modulo 2^128: sums do not depend on the order of rows nor on how they are spread over files.
  Hash128& operator+=(const Hash128& other);
  /// 32 lower-case hex digits, most significant first.
  std::string hex() const;
};

/// XXH3-128 of the bytes of one row.
Hash128 hash_row(std::span<const std::byte> row, std::uint64_t seed = 0);

/// Which part of a dataset a row belongs to. The number is the seed of the row's share of a content hash, so that a version whose rows
/// moved between splits has another content hash.
enum class Split : std::uint8_t { kTrain = 0, kValidation = 1, kTest = 2 };

/// "train", "validation" or "test".
std::string_view name_of(Split split);

/// Sums row hashes into the content hash of a version.
class ContentHash {
 public:
  void add(Split split, std::span<const std::byte> row) { sum_ += hash_row(row, static_cast<std::uint64_t>(split)); }
  const Hash128& sum() const { return sum_; }
  std::string hex() const { return sum_.hex(); }

 private:
  Hash128 sum_;
};

}  // namespace trainyard::data
