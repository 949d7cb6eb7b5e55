#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace trainyard {

/// CRC-32C (Castagnoli) of `bytes`, continuing from `seed` (the result of an earlier call, 0 to start).
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t seed = 0);

/// 128-bit XXH3 as 32 hex digits: fast content names inside one installation.
std::string xxh3_hex(std::span<const std::byte> bytes);
std::uint64_t xxh3_64(std::span<const std::byte> bytes);

/// The 128-bit XXH3 fed in pieces.
class Xxh3 {
 public:
  Xxh3();
  ~Xxh3();
  Xxh3(const Xxh3&) = delete;
  Xxh3& operator=(const Xxh3&) = delete;
  void update(std::span<const std::byte> bytes);
  /// 32 lower-case hex digits of what was fed so far.
  std::string finish_hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// SHA-256 fed in pieces: for files that come from or go to the outside.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(std::span<const std::byte> bytes);
  /// 64 lower-case hex digits; the object must not be used afterwards.
  std::string finish_hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};
std::string sha256_hex(std::string_view text);

}  // namespace trainyard
