#include "track/metric_store.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "track/metric_block.h"
#include "track/testing/tracking_fixture.h"

namespace trainyard::track {
namespace {

using MetricStoreTest = testing::TrackingTest;

std::vector<double> values_of(const std::vector<MetricPoint>& points) {
  std::vector<double> values;
  for (const MetricPoint& point : points) values.push_back(point.value);
  return values;
}

TEST(MetricBlock, points_survive_the_way_through_bytes) {
  const std::vector<MetricPoint> points{{1.5, -3, 1'700'000'000'000, 0}, {-0.0, 1LL << 62, -5, 7}};
  const auto decoded = decode_metric_block(encode_metric_block(points));
  ASSERT_TRUE(decoded.ok());
  ASSERT_EQ(decoded->size(), 2u);
  EXPECT_EQ(decoded->at(1).step, 1LL << 62);
  EXPECT_EQ(decoded->at(1).attempt, 7u);
  EXPECT_TRUE(std::signbit(decoded->at(1).value));
  EXPECT_EQ(decoded->at(0).timestamp_ms, 1'700'000'000'000);
}

TEST(MetricBlock, every_damaged_byte_is_found) {
  const std::string good = encode_metric_block({{1, 2, 3, 4}});
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    EXPECT_FALSE(decode_metric_block(bad).ok()) << i;
    EXPECT_FALSE(decode_metric_block(good.substr(0, i)).ok()) << i;
  }
}

TEST(EffectiveHistory, points_are_ordered_by_time_step_and_value_and_shown_once) {
  const auto points = effective_history({{3, 1, 20, 0}, {1, 1, 10, 0}, {2, 0, 20, 0}, {1, 1, 10, 0}, {0.5, 1, 10, 0}});
  EXPECT_EQ(values_of(points), (std::vector<double>{0.5, 1, 2, 3}));
}

TEST(EffectiveHistory, later_attempt_replaces_earlier_ones_step_by_step) {
  const auto points = effective_history({{1, 0, 10, 1}, {2, 1, 20, 1}, {3, 2, 30, 1}, {20, 1, 40, 2}, {9, 1, 15, 0}});
  EXPECT_EQ(values_of(points), (std::vector<double>{1, 9, 3, 20}));
}

TEST(EffectiveHistory, not_a_number_is_one_point) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(effective_history({{nan, 1, 1, 0}, {nan, 1, 1, 0}, {0, 1, 1, 0}}).size(), 2u);
}

TEST_F(MetricStoreTest, history_longer_than_a_block_is_read_back_whole) {
  BlockMetricStore store;
  const RunId run{"r"};
  const auto append = [&](std::int64_t first, std::int64_t count) {
    std::vector<MetricPoint> points;
    for (std::int64_t i = first; i < first + count; ++i) points.push_back({static_cast<double>(i), i, i, 0});
    ASSERT_TRUE(files.database().write([&](store::Connection& sql) { return store.append(sql, run, "k", points); }).ok());
  };
  append(0, 1);
  append(1, 700);
  append(701, 3);
  std::vector<MetricPoint> history;
  ASSERT_TRUE(files.database()
                  .read([&](store::Connection& sql) -> Result<void> {
                    ASSIGN_OR_RETURN(history, store.history(sql, run, "k"));
                    return {};
                  })
                  .ok());
  ASSERT_EQ(history.size(), 704u);
  for (std::size_t i = 0; i < history.size(); ++i) EXPECT_EQ(history[i].step, static_cast<std::int64_t>(i));
}

}  // namespace
}  // namespace trainyard::track
