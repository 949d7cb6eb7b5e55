#include "sched/prediction.h"

#include <gtest/gtest.h>

namespace trainyard::sched {
namespace {

using std::chrono::seconds;

constexpr Duration kPredictionLimit = seconds(1000);

TEST(RuntimePredictor, unknown_user_has_no_prediction) {
  RuntimePredictor predictor;
  predictor.record(3, seconds(10));
  EXPECT_EQ(predictor.predict(2, kPredictionLimit), Duration(0));
  EXPECT_EQ(predictor.predict(4, kPredictionLimit), Duration(0));
}

TEST(RuntimePredictor, last_two_run_times_are_averaged) {
  RuntimePredictor predictor;
  predictor.record(7, seconds(500));
  EXPECT_EQ(predictor.predict(7, kPredictionLimit), seconds(500));
  predictor.record(7, seconds(100));
  EXPECT_EQ(predictor.predict(7, kPredictionLimit), seconds(300));
  predictor.record(7, seconds(20));
  EXPECT_EQ(predictor.predict(7, kPredictionLimit), seconds(60));
  EXPECT_EQ(predictor.predict(7, kForever), seconds(60));
  EXPECT_EQ(predictor.predict(7, seconds(30)), seconds(30));
}

TEST(RuntimePredictor, odd_microseconds_are_not_lost) {
  RuntimePredictor predictor;
  predictor.record(0, Duration(3));
  predictor.record(0, Duration(5));
  EXPECT_EQ(predictor.predict(0, kPredictionLimit), Duration(4));
  predictor.record(0, kForever);
  predictor.record(0, kForever);
  EXPECT_EQ(predictor.predict(0, kPredictionLimit), kPredictionLimit);
}

TEST(RuntimePredictor, jobs_that_end_at_once_are_predicted_to_be_short_not_unknown) {
  RuntimePredictor predictor;
  predictor.record(0, Duration(0));
  EXPECT_EQ(predictor.predict(0, kPredictionLimit), Duration(1));
}

TEST(RuntimePredictor, memory_is_bounded_and_the_newest_user_of_a_place_has_it) {
  RuntimePredictor predictor(2);
  predictor.record(0, seconds(10));
  predictor.record(1, seconds(20));
  predictor.record(2, seconds(30));
  EXPECT_EQ(predictor.predict(0, kPredictionLimit), Duration(0));
  EXPECT_EQ(predictor.predict(1, kPredictionLimit), seconds(20));
  EXPECT_EQ(predictor.predict(2, kPredictionLimit), seconds(30));
  predictor.record(4'000'000'000U, seconds(40));
  EXPECT_EQ(predictor.predict(4'000'000'000U, kPredictionLimit), seconds(40));
}

TEST(Estimate, job_past_its_estimate_gets_half_as_much_again_or_a_minute) {
  EXPECT_EQ(estimate_while_running(seconds(100), seconds(99), kPredictionLimit), seconds(100));
  EXPECT_EQ(estimate_while_running(seconds(100), seconds(100), kPredictionLimit), seconds(160));
  EXPECT_EQ(estimate_while_running(seconds(100), seconds(120), kPredictionLimit), seconds(180));
  EXPECT_EQ(estimate_while_running(seconds(100), seconds(400), kPredictionLimit), seconds(600));
  EXPECT_EQ(estimate_while_running(seconds(100), seconds(900), kPredictionLimit), kPredictionLimit);
}

TEST(Estimate, none_and_unlimited_ones_do_not_overflow) {
  EXPECT_EQ(estimate_while_running(Duration(0), seconds(5), kPredictionLimit), kPredictionLimit);
  EXPECT_EQ(estimate_while_running(seconds(1), kForever - seconds(1), kForever), kForever);
  EXPECT_EQ(estimate_while_running(seconds(2000), seconds(5), kPredictionLimit), kPredictionLimit);
}

}  // namespace
}  // namespace trainyard::sched
