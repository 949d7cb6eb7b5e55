#include "base/rng.h"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <string>
#include <vector>

namespace trainyard {
namespace {

/// Gives a fixed sequence, to drive `below` into its corners.
class ScriptedRng final : public Rng {
 public:
  explicit ScriptedRng(std::vector<std::uint64_t> values) : values_(std::move(values)) {}
  std::uint64_t next() override { return values_.at(at_++); }

 private:
  std::vector<std::uint64_t> values_;
  std::size_t at_ = 0;
};

// The reference sequence was computed by an independent implementation of the published algorithms.
TEST(SeededRng, sequence_is_xoshiro256_starstar_seeded_through_splitmix64) {
  SeededRng zero(0);
  for (const std::uint64_t expected : {0x99ec5f36cb75f2b4ULL, 0xbf6e1f784956452aULL, 0x1a5f849d4933e6e0ULL, 0x6aa594f1262d2d2cULL}) {
    EXPECT_EQ(zero.next(), expected);
  }
  SeededRng answer(42);
  for (const std::uint64_t expected : {0x15780b2e0c2ec716ULL, 0x6104d9866d113a7eULL, 0xae17533239e499a1ULL})
    EXPECT_EQ(answer.next(), expected);
}

TEST(SeededRng, equal_seeds_give_equal_sequences_and_others_do_not) {
  SeededRng a(7), b(7), c(8);
  bool differs = false;
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t value = a.next();
    EXPECT_EQ(value, b.next());
    differs = differs || value != c.next();
  }
  EXPECT_TRUE(differs);
}

TEST(Rng, below_stays_below_and_reaches_every_value) {
  SeededRng rng(1);
  std::array<int, 7> hits{};
  for (int i = 0; i < 7000; ++i) ++hits.at(rng.below(7));
  for (const int count : hits) {
    EXPECT_GT(count, 800);
    EXPECT_LT(count, 1200);
  }
  EXPECT_EQ(rng.below(1), 0u);
}

TEST(Rng, below_rejects_the_values_that_would_favour_small_results) {
  // 2^64 mod 3 = 1: the value 0 is rejected, 1 is kept.
  ScriptedRng rng({0, 1});
  EXPECT_EQ(rng.below(3), 1u);
}

TEST(Rng, unit_lies_in_zero_to_one) {
  SeededRng rng(3);
  double sum = 0;
  for (int i = 0; i < 10'000; ++i) {
    const double value = rng.unit();
    ASSERT_GE(value, 0.0);
    ASSERT_LT(value, 1.0);
    sum += value;
  }
  EXPECT_NEAR(sum / 10'000, 0.5, 0.02);
  ScriptedRng top({~std::uint64_t{0}});
  EXPECT_LT(top.unit(), 1.0);
}

TEST(RngDeathTest, below_zero_aborts) {
  SeededRng rng(1);
  EXPECT_DEATH((void)rng.below(0), "below");
}

TEST(SecureRandom, hex_has_two_digits_a_byte_and_does_not_repeat) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const std::string hex = secure_random_hex(16);
    EXPECT_EQ(hex.size(), 32u);
    EXPECT_EQ(hex.find_first_not_of("0123456789abcdef"), std::string::npos) << hex;
    seen.insert(hex);
  }
  EXPECT_EQ(seen.size(), 100u);
  EXPECT_EQ(secure_random_hex(0), "");
}

}  // namespace
}  // namespace trainyard
