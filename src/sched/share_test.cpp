#include "sched/share.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace trainyard::sched {
namespace {

Share cpu_share(std::int64_t used, std::int64_t capacity, std::int64_t weight_milli = 1000) {
  return {.used = used, .capacity = capacity, .weight_milli = weight_milli, .kind = kCpu};
}

TEST(Share, fractions_of_different_capacities_compare_by_value) {
  EXPECT_EQ(cpu_share(1, 3), cpu_share(6, 18));
  EXPECT_LT(cpu_share(2, 9), cpu_share(1, 4));
  EXPECT_GT(cpu_share(1, 3), cpu_share(333'333'333, 1'000'000'000));
}

TEST(Share, weight_divides_it) {
  EXPECT_EQ(cpu_share(12, 18, 2000), cpu_share(3, 9));
  EXPECT_LT(cpu_share(2, 9, 2000), cpu_share(1, 8));
  EXPECT_DOUBLE_EQ(cpu_share(12, 18, 2000).value(), 1.0 / 3);
  EXPECT_DOUBLE_EQ(cpu_share(12, 18, 2000).fraction(), 2.0 / 3);
}

TEST(Share, largest_numbers_do_not_overflow) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  EXPECT_LT(cpu_share(kMost - 1, kMost, kMost), cpu_share(kMost, kMost - 1, kMost));
  EXPECT_LT(cpu_share(kMost - 2, kMost - 1, kMost), cpu_share(kMost - 1, kMost, kMost));
  EXPECT_GT(cpu_share(kMost - 1, kMost, kMost - 1), cpu_share(kMost - 1, kMost, kMost));
  EXPECT_EQ(cpu_share(kMost, kMost, 7), cpu_share(kMost - 1, kMost - 1, 7));
}

TEST(Share, weight_zero_comes_after_every_other) {
  EXPECT_LT(cpu_share(9, 10, 1), cpu_share(0, 10, 0));
  EXPECT_LT(cpu_share(1, 10, 0), cpu_share(1, 5, 0));
  EXPECT_EQ(cpu_share(1, 10, 0), cpu_share(2, 20, -5));
}

TEST(Share, random_comparisons_agree_with_long_division) {
  const std::uint64_t seed = 20'240'611;
  SCOPED_TRACE("seed " + std::to_string(seed));
  SeededRng rng(seed);
  const auto small = [&rng](std::uint64_t below) { return static_cast<std::int64_t>(rng.below(below)); };
  for (int i = 0; i < 20'000; ++i) {
    const Share a = cpu_share(small(40), 1 + small(30), 1 + small(5));
    const Share b = cpu_share(small(40), 1 + small(30), 1 + small(5));
    // Equal fractions differ by nothing, unequal ones by at least 1 / (30 * 5)^2.
    const double difference = static_cast<double>(a.used) / static_cast<double>(a.capacity * a.weight_milli) -
                              static_cast<double>(b.used) / static_cast<double>(b.capacity * b.weight_milli);
    EXPECT_EQ(a < b, difference < -1e-6);
    EXPECT_EQ(a == b, std::abs(difference) < 1e-6);
  }
}

TEST(DominantShare, largest_fraction_wins_and_missing_resources_do_not_count) {
  Amounts capacity;
  capacity[kCpu] = 9'000;
  capacity[kMemory] = 18;
  Amounts used;
  used[kCpu] = 1'000;
  used[kMemory] = 4;
  used[kGpu] = 5'000;
  const Share memory = share_of(used, capacity);
  EXPECT_EQ(memory.kind, kMemory);
  EXPECT_EQ(memory, cpu_share(2, 9));
  used[kMemory] = -4;
  EXPECT_EQ(share_of(used, capacity).kind, kCpu);
  EXPECT_EQ(share_of(Amounts(), capacity), cpu_share(0, 1));
}

}  // namespace
}  // namespace trainyard::sched
