#include "domain/job_state.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace trainyard {
namespace {

TEST(JobState, names_read_back_and_differ) {
  std::set<std::string> names;
  for (int i = 0; i <= static_cast<int>(JobState::kTimedOut); ++i) {
    const auto state = static_cast<JobState>(i);
    EXPECT_EQ(job_state_from(name_of(state)), state);
    names.emplace(name_of(state));
  }
  EXPECT_EQ(names.size(), 8u);
  EXPECT_EQ(name_of(JobState::kTimedOut), "TIMED_OUT");
  EXPECT_FALSE(job_state_from("queued").has_value());
  EXPECT_FALSE(job_state_from("").has_value());
}

TEST(JobState, exactly_the_four_ends_are_terminal) {
  for (const JobState state : {JobState::kQueued, JobState::kStarting, JobState::kRunning, JobState::kStopping})
    EXPECT_FALSE(is_terminal(state));
  for (const JobState state : {JobState::kSucceeded, JobState::kFailed, JobState::kCancelled, JobState::kTimedOut})
    EXPECT_TRUE(is_terminal(state));
}

TEST(StopIntent, names_read_back_and_no_intent_is_the_empty_name) {
  for (int i = 0; i <= static_cast<int>(StopIntent::kDrain); ++i) {
    const auto intent = static_cast<StopIntent>(i);
    EXPECT_EQ(stop_intent_from(name_of(intent)), intent);
  }
  EXPECT_EQ(name_of(StopIntent::kNone), "");
  EXPECT_FALSE(stop_intent_from("maybe").has_value());
}

TEST(ReasonCode, names_read_back_and_differ_and_no_reason_is_the_empty_name) {
  std::set<std::string> names;
  for (int i = 0; i <= static_cast<int>(ReasonCode::kDrained); ++i) {
    const auto code = static_cast<ReasonCode>(i);
    EXPECT_EQ(reason_code_from(name_of(code)), code);
    names.emplace(name_of(code));
  }
  EXPECT_EQ(names.size(), 22u);
  EXPECT_EQ(name_of(ReasonCode::kNone), "");
  EXPECT_FALSE(reason_code_from("bad luck").has_value());
}

}  // namespace
}  // namespace trainyard
