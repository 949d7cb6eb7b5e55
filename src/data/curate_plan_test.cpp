#include "data/curate_plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/file.h"

namespace trainyard::data {
namespace {

RowKey row_key(std::uint64_t content, std::int64_t offset) { return {{content, content * 7}, 0, offset}; }

TEST(CuratePlanTest, first_of_equal_training_rows_stays) {
  const CuratePlan plan = plan_curate({{row_key(1, 0), row_key(2, 1), row_key(1, 2)}, {}}, {.validation_fraction = 0});
  EXPECT_EQ(plan.train, (std::vector<RowFate>{RowFate::kTrain, RowFate::kTrain, RowFate::kDuplicate}));
  ASSERT_EQ(plan.dropped.size(), 1u);
  EXPECT_EQ(plan.dropped[0].dropped.offset, 2);
  EXPECT_EQ(plan.dropped[0].kept.offset, 0);
  EXPECT_EQ(plan.dropped_duplicates, 1);
}

TEST(CuratePlanTest, training_row_equal_to_a_test_row_is_dropped_and_the_test_row_stays) {
  const CurateSnapshot snapshot{{row_key(1, 0), row_key(2, 1), row_key(1, 2)}, {row_key(1, 0), row_key(3, 1), row_key(3, 2)}};
  const CuratePlan plan = plan_curate(snapshot, {.validation_fraction = 0});
  EXPECT_EQ(plan.train, (std::vector<RowFate>{RowFate::kEqualToTest, RowFate::kTrain, RowFate::kEqualToTest}));
  EXPECT_EQ(plan.dropped_equal_to_test, 2);
  EXPECT_EQ(plan.dropped_duplicates, 0);
  EXPECT_EQ(plan.test_rows, 3);
}

TEST(CuratePlanTest, overlap_with_the_test_rows_may_be_kept) {
  const CurateSnapshot snapshot{{row_key(1, 0), row_key(1, 1)}, {row_key(1, 0)}};
  const CuratePlan plan = plan_curate(snapshot, {.validation_fraction = 0, .drop_train_equal_to_test = false});
  EXPECT_EQ(plan.train, (std::vector<RowFate>{RowFate::kTrain, RowFate::kDuplicate}));
}

TEST(CuratePlanTest, split_depends_on_content_and_seed_only) {
  CurateSnapshot snapshot;
  for (std::uint64_t i = 0; i < 20'000; ++i)
    snapshot.train.push_back({hash_row(as_bytes(std::to_string(i))), 0, static_cast<std::int64_t>(i)});
  const CuratePlan plan = plan_curate(snapshot, {.validation_fraction = 0.1, .seed = 3});
  EXPECT_NEAR(static_cast<double>(plan.validation_rows), 2000, 150);
  EXPECT_EQ(plan.train_rows + plan.validation_rows, 20'000);

  std::reverse(snapshot.train.begin(), snapshot.train.end());
  CuratePlan reversed = plan_curate(snapshot, {.validation_fraction = 0.1, .seed = 3});
  std::reverse(reversed.train.begin(), reversed.train.end());
  EXPECT_EQ(reversed.train, plan.train);
  EXPECT_NE(plan_curate(snapshot, {.validation_fraction = 0.1, .seed = 4}).train, reversed.train);
}

TEST(CuratePlanTest, fraction_zero_validates_nothing) { EXPECT_FALSE(is_validation_row({0, 0}, 0, 0)); }

TEST(RowHashTest, sum_does_not_depend_on_order_and_carries) {
  Hash128 sum{1, ~std::uint64_t{0}};
  sum += {2, 3};
  EXPECT_EQ(sum, (Hash128{4, 2}));
  EXPECT_EQ(sum.hex(), "00000000000000040000000000000002");

  ContentHash forward;
  forward.add(Split::kTrain, as_bytes("a"));
  forward.add(Split::kTest, as_bytes("b"));
  ContentHash backward;
  backward.add(Split::kTest, as_bytes("b"));
  backward.add(Split::kTrain, as_bytes("a"));
  EXPECT_EQ(forward.hex(), backward.hex());
  ContentHash swapped;
  swapped.add(Split::kTest, as_bytes("a"));
  swapped.add(Split::kTrain, as_bytes("b"));
  EXPECT_NE(forward.hex(), swapped.hex());
}

}  // namespace
}  // namespace trainyard::data
