#include "tune/rung_decision.h"

#include <gtest/gtest.h>

#include <limits>

namespace trainyard::tune {
namespace {

TEST(RungDecision, first_trial_always_continues) {
  const std::vector<TrialSnapshot> trials{{{{100, 0.1}}, false}};
  EXPECT_EQ(decide_rung(trials, 0, 100), RungDecision::kContinue);
}

TEST(RungDecision, trial_below_the_median_of_the_lower_numbered_stops) {
  const std::vector<TrialSnapshot> trials{{{{100, 0.8}}, true}, {{{100, 0.6}}, true}, {{{100, 0.69}}, false}};
  EXPECT_EQ(decide_rung(trials, 2, 100), RungDecision::kStop);
}

TEST(RungDecision, trial_at_the_median_continues) {
  const std::vector<TrialSnapshot> trials{{{{100, 0.8}}, true}, {{{100, 0.6}}, true}, {{{100, 0.7}}, false}};
  EXPECT_EQ(decide_rung(trials, 2, 100), RungDecision::kContinue);
}

TEST(RungDecision, lower_numbered_trial_without_a_value_is_waited_for_until_it_ended) {
  std::vector<TrialSnapshot> trials{{{}, false}, {{{100, 0.1}}, false}};
  EXPECT_EQ(decide_rung(trials, 1, 100), std::nullopt);
  trials[0].ended = true;
  EXPECT_EQ(decide_rung(trials, 1, 100), RungDecision::kContinue);
}

TEST(RungDecision, higher_numbered_trials_change_nothing) {
  const std::vector<TrialSnapshot> trials{{{{100, 0.5}}, true}, {{{100, 0.6}}, false}, {{{100, 0.99}}, true}};
  EXPECT_EQ(decide_rung(trials, 1, 100), RungDecision::kContinue);
}

TEST(RungDecision, value_that_is_no_number_is_the_worst) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  std::vector<TrialSnapshot> trials{{{{100, nan}}, false}, {{{100, nan}}, false}, {{{100, 0.5}}, false}, {{{100, 0.1}}, false}};
  EXPECT_EQ(decide_rung(trials, 0, 100), RungDecision::kContinue) << "the first has nobody to be compared with";
  EXPECT_EQ(decide_rung(trials, 1, 100), RungDecision::kStop);
  EXPECT_EQ(decide_rung(trials, 2, 100), RungDecision::kContinue);
  EXPECT_EQ(decide_rung(trials, 3, 100), RungDecision::kContinue) << "two of three below it are no numbers";
  trials = {{{{100, 0.5}}, true}, {{{100, nan}}, true}, {{{100, 0.9}}, true}, {{{100, 0.4}}, false}};
  EXPECT_EQ(decide_rung(trials, 3, 100), RungDecision::kStop) << "the median of nan, 0.5 and 0.9 is 0.5";
}

TEST(RungDecision, median_of_an_even_number_lies_between_the_middle_two) {
  std::vector<TrialSnapshot> trials{{{{100, 0.25}}, true}, {{{100, 0.75}}, true}, {{{100, 0.49}}, false}};
  EXPECT_EQ(decide_rung(trials, 2, 100), RungDecision::kStop);
  trials[2].values[100] = 0.5;
  EXPECT_EQ(decide_rung(trials, 2, 100), RungDecision::kContinue);
}

TEST(RungDecision, value_that_has_not_arrived_is_waited_for) {
  const std::vector<TrialSnapshot> trials{{{{50, 0.5}}, false}};
  EXPECT_EQ(decide_rung(trials, 0, 100), std::nullopt);
}

}  // namespace
}  // namespace trainyard::tune
