#include "train/data_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace trainyard::train {
namespace {

std::vector<std::uint64_t> order_of(std::uint64_t seed, std::uint64_t epoch, std::uint64_t rows) {
  const EpochOrder order(seed, epoch, rows);
  std::vector<std::uint64_t> all;
  for (std::uint64_t i = 0; i < rows; ++i) all.push_back(order.row_at(i));
  return all;
}

TEST(EpochOrder, every_row_is_visited_exactly_once) {
  for (const std::uint64_t rows : {1, 2, 3, 7, 64, 65, 1000, 54'000}) {
    std::vector<std::uint64_t> all = order_of(7, 3, rows);
    std::sort(all.begin(), all.end());
    for (std::uint64_t i = 0; i < rows; ++i) ASSERT_EQ(all[i], i) << rows << " rows";
  }
}

TEST(EpochOrder, equal_seed_and_epoch_give_equal_orders) { EXPECT_EQ(order_of(1, 2, 500), order_of(1, 2, 500)); }

TEST(EpochOrder, another_epoch_or_seed_gives_another_order) {
  EXPECT_NE(order_of(1, 2, 500), order_of(1, 3, 500));
  EXPECT_NE(order_of(1, 2, 500), order_of(2, 2, 500));
}

TEST(EpochOrder, rows_are_spread_over_the_epoch) {
  // Of the first tenth of the positions, about a tenth should come from the first tenth of the rows.
  const EpochOrder order(5, 0, 10'000);
  int early = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) early += order.row_at(i) < 1000 ? 1 : 0;
  EXPECT_GT(early, 60);
  EXPECT_LT(early, 140);
}

}  // namespace
}  // namespace trainyard::train
