#include "train/trainer.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace trainyard::train {
namespace {

constexpr RecordLayout kLayout{.record_bytes = 2, .label_offset = 0, .pixels_offset = 1, .channels = 1, .height = 1, .width = 1};
constexpr std::array<std::byte, 4> kRecords{std::byte{1}, std::byte{0}, std::byte{0}, std::byte{0}};
constexpr RecordTable kTable{.bytes = kRecords, .record_bytes = 2};

TEST(ScoreLogits, loss_and_right_answers_are_sums_over_the_rows) {
  const std::array<std::uint64_t, 2> rows{0, 1};
  const std::array<float, 4> logits{0.0F, 2.0F, 0.0F, 2.0F};
  const BatchScore score = score_logits(logits, {.table = kTable, .rows = rows}, kLayout);
  EXPECT_EQ(score.rows, 2);
  EXPECT_EQ(score.correct, 1);
  const double sum = 1 + std::exp(2.0);
  EXPECT_NEAR(score.loss, (std::log(sum) - 2) + std::log(sum), 1e-9);
}

TEST(ScoreLogits, huge_logits_do_not_overflow) {
  const std::array<std::uint64_t, 1> rows{1};
  const std::array<float, 2> logits{3.0e38F, -3.0e38F};
  EXPECT_NEAR(score_logits(logits, {.table = kTable, .rows = rows}, kLayout).loss, 0.0, 1e-9);
}

TEST(ScoreLogits, ties_count_for_the_lower_class) {
  const std::array<std::uint64_t, 2> rows{0, 1};
  const std::array<float, 4> logits{1.0F, 1.0F, 1.0F, 1.0F};
  EXPECT_EQ(score_logits(logits, {.table = kTable, .rows = rows}, kLayout).correct, 1);
}

}  // namespace
}  // namespace trainyard::train
