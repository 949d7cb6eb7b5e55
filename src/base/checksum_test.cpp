#include "base/checksum.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/rng.h"

namespace trainyard {
namespace {

std::string ascending_bytes(std::size_t count) {
  std::string bytes;
  for (std::size_t i = 0; i < count; ++i) bytes += static_cast<char>(i);
  return bytes;
}

/// Byte i is 7 i + 3 modulo 256.
std::string patterned_bytes(std::size_t count) {
  std::string bytes;
  for (std::size_t i = 0; i < count; ++i) bytes += static_cast<char>(static_cast<unsigned char>(7 * i + 3));
  return bytes;
}

// Vectors of RFC 3720, appendix B.4, and the check value of the CRC catalogue.
TEST(Crc32c, published_vectors_match) {
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283u);
  EXPECT_EQ(crc32c({}), 0u);
  EXPECT_EQ(crc32c(as_bytes(std::string(32, '\0'))), 0x8a9136aau);
  EXPECT_EQ(crc32c(as_bytes(std::string(32, '\xff'))), 0x62a8ab43u);
  const std::string ascending = ascending_bytes(32);
  EXPECT_EQ(crc32c(as_bytes(ascending)), 0x46dd794eu);
  EXPECT_EQ(crc32c(as_bytes(std::string(ascending.rbegin(), ascending.rend()))), 0x113fdb5cu);
}

TEST(Crc32c, pieces_give_the_same_as_the_whole) {
  const std::string bytes = patterned_bytes(1000);
  const std::uint32_t whole = crc32c(as_bytes(bytes));
  constexpr std::uint64_t kSeed = 5;
  SeededRng rng(kSeed);
  for (int round = 0; round < 50; ++round) {
    const std::size_t cut = rng.below(bytes.size() + 1);
    const std::uint32_t first = crc32c(as_bytes(std::string_view(bytes).substr(0, cut)));
    EXPECT_EQ(crc32c(as_bytes(std::string_view(bytes).substr(cut)), first), whole) << "seed " << kSeed << ", cut at " << cut;
  }
}

// FIPS 180-2 examples.
TEST(Sha256, published_vectors_match) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  Sha256 million;
  for (int i = 0; i < 1000; ++i) million.update(as_bytes(std::string(1000, 'a')));
  EXPECT_EQ(million.finish_hex(), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

// Printed by xxhsum 0.8.1 (-H2 and -H3) for the same bytes.
TEST(Xxh3, hashes_equal_those_of_the_xxhsum_tool) {
  EXPECT_EQ(xxh3_hex({}), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(xxh3_hex(as_bytes("Trainyard")), "b8c71a5a667a1cc2a4378bcc56e33116");
  EXPECT_EQ(xxh3_hex(as_bytes(patterned_bytes(1000))), "6bcc7eff62da44c26c4f14bd97bd9e82");
  EXPECT_EQ(xxh3_64({}), 0x2d06800538d394c2u);
  EXPECT_EQ(xxh3_64(as_bytes("Trainyard")), 0x8866b578c56d564du);
  EXPECT_EQ(xxh3_64(as_bytes(patterned_bytes(1000))), 0x6c4f14bd97bd9e82u);
}

TEST(Xxh3, pieces_and_empty_pieces_give_the_same_as_the_whole) {
  const std::string bytes = patterned_bytes(10'000);
  Xxh3 hash;
  hash.update({});
  for (std::size_t at = 0; at < bytes.size(); at += 333) hash.update(as_bytes(std::string_view(bytes).substr(at, 333)));
  EXPECT_EQ(hash.finish_hex(), xxh3_hex(as_bytes(bytes)));
  Xxh3 empty;
  EXPECT_EQ(empty.finish_hex(), "99aa06d3014798d86001c324468d497f");
}

}  // namespace
}  // namespace trainyard
