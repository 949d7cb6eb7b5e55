#include "jobs/array.h"

#include <gtest/gtest.h>

#include "jobs/testing/job_examples.h"

namespace trainyard::jobs {
namespace {

using namespace std::chrono_literals;
using testing::kStart;

Job array_of(std::int64_t count, std::int64_t max_running = 0) {
  Job parent = testing::queued_job();
  parent.spec.array = JobArray{count, max_running};
  parent.spec.after = {{3, "ok"}};
  parent.spec.hold = true;
  parent.spec.env = {{"A", "1"}};
  parent.owner = "ann";
  parent.priority = 4;
  return parent;
}

Job ended_element(std::int64_t index, JobState state) {
  Job element = testing::queued_job();
  element.array_index = index;
  element.state = state;
  return element;
}

TEST(Array, element_is_a_job_of_its_own_with_its_index_in_the_environment) {
  Job parent = array_of(3);
  make_element(parent, JobId(8), kStart + 1min);
  const Job element = make_element(parent, JobId(9), kStart + 1min);
  EXPECT_EQ(parent.array.created, 2);
  EXPECT_EQ(element.id, JobId(9));
  EXPECT_FALSE(is_array(element));
  EXPECT_EQ(element.array_parent, parent.id);
  EXPECT_EQ(element.array_index, 1);
  EXPECT_EQ(element.spec.name, "work[1]");
  EXPECT_EQ(element.spec.env.at("TRAINYARD_ARRAY_INDEX"), "1");
  EXPECT_EQ(element.spec.env.at("TRAINYARD_ARRAY_COUNT"), "3");
  EXPECT_EQ(element.spec.env.at("A"), "1");
  EXPECT_TRUE(element.spec.after.empty());
  EXPECT_FALSE(element.spec.hold);
  EXPECT_EQ(element.owner, "ann");
  EXPECT_EQ(priority_of(element), 4);
  EXPECT_EQ(element.queued_at, parent.queued_at) << "the place of the array";
  EXPECT_EQ(element.submitted_at, kStart + 1min);
}

TEST(Array, element_made_after_the_wall_clock_was_set_back_may_start_at_once) {
  Job parent = array_of(3);
  EXPECT_EQ(make_element(parent, JobId(8), kStart - 1h).eligible_at, kStart - 1h);
}

TEST(Array, elements_are_made_in_bounds) {
  Job parent = array_of(1000, 64);
  EXPECT_EQ(elements_to_make(parent, {0, 0}, 256), 64);
  EXPECT_EQ(elements_to_make(parent, {60, 10}, 256), 4);
  EXPECT_EQ(elements_to_make(parent, {64, 0}, 256), 0);
  parent.spec.array->max_running = 0;
  EXPECT_EQ(elements_to_make(parent, {5000, 6}, 256), 250);
  EXPECT_EQ(elements_to_make(parent, {300, 300}, 256), 0);
  EXPECT_EQ(elements_to_make(parent, {0, 0}, 1), 1);
  parent.array.created = 998;
  EXPECT_EQ(elements_to_make(parent, {0, 0}, 256), 2);
}

TEST(Array, nothing_is_made_while_it_is_held_waits_for_others_or_stops) {
  const Job parent = array_of(10);
  Job held = parent, waiting = parent, stopping = parent;
  held.hold = Hold{"ann", kStart};
  waiting.waits_for = {{3, "ok"}};
  stopping.state = JobState::kStopping;
  for (const Job& job : {held, waiting, stopping}) EXPECT_EQ(elements_to_make(job, {0, 0}, 256), 0);
}

TEST(Array, runs_from_its_first_start_and_succeeds_when_all_have) {
  Job parent = array_of(2);
  make_element(parent, JobId(8), kStart);
  make_element(parent, JobId(9), kStart);
  EXPECT_TRUE(element_started(parent, kStart + 1s));
  EXPECT_FALSE(element_started(parent, kStart + 2s));
  EXPECT_EQ(parent.state, JobState::kRunning);
  EXPECT_EQ(parent.started_at, kStart + 1s);
  EXPECT_FALSE(element_ended(parent, ended_element(1, JobState::kSucceeded), 1, kStart + 3s));
  EXPECT_TRUE(element_ended(parent, ended_element(0, JobState::kSucceeded), 0, kStart + 4s));
  EXPECT_EQ(parent.state, JobState::kSucceeded);
  EXPECT_EQ(parent.reason_code, ReasonCode::kSucceeded);
  EXPECT_EQ(parent.ended_at, kStart + 4s);
}

TEST(Array, does_not_end_while_elements_are_to_be_made) {
  Job parent = array_of(2, 1);
  make_element(parent, JobId(8), kStart);
  element_started(parent, kStart);
  EXPECT_FALSE(element_ended(parent, ended_element(0, JobState::kSucceeded), 0, kStart));
  EXPECT_EQ(parent.state, JobState::kRunning);
}

TEST(Array, one_that_did_not_succeed_fails_the_whole_and_is_named) {
  Job parent = array_of(3);
  for (std::uint64_t id = 8; id < 11; ++id) make_element(parent, JobId(id), kStart);
  element_started(parent, kStart);
  element_ended(parent, ended_element(2, JobState::kTimedOut), 2, kStart);
  element_ended(parent, ended_element(1, JobState::kFailed), 1, kStart);
  EXPECT_TRUE(element_ended(parent, ended_element(0, JobState::kSucceeded), 0, kStart));
  EXPECT_EQ(parent.state, JobState::kFailed);
  EXPECT_EQ(parent.reason_code, ReasonCode::kElementsFailed);
  EXPECT_EQ(parent.reason, "2 of 3 elements did not succeed, the first is [1]");
  EXPECT_EQ(parent.array.not_succeeded, (std::vector<std::int64_t>{2, 1}));
  EXPECT_EQ(parent.array.timed_out, 1);
}

TEST(Array, list_of_failures_is_bounded_and_counts_are_not) {
  Job parent = array_of(1000);
  parent.array.created = 1000;
  for (std::int64_t i = 0; i < 1000; ++i) element_ended(parent, ended_element(i, JobState::kFailed), 999 - i, kStart);
  EXPECT_EQ(parent.array.not_succeeded.size(), kArrayIndicesMax);
  EXPECT_EQ(parent.array.failed, 1000);
  EXPECT_EQ(parent.state, JobState::kFailed);
}

TEST(Array, elements_that_are_withdrawn_are_never_made_and_count_as_cancelled) {
  Job parent = array_of(10);
  parent.hold.reset();
  parent.waits_for.clear();
  parent.array.created = 2;
  EXPECT_FALSE(withdraw_elements(parent, 0, 1)) << "they are made";
  EXPECT_TRUE(withdraw_elements(parent, 5, 6));
  EXPECT_TRUE(withdraw_elements(parent, 7, 7));
  EXPECT_FALSE(withdraw_elements(parent, 5, 7)) << "they are withdrawn";
  EXPECT_EQ(elements_to_make(parent, {}, 100), 3) << "up to the first that is withdrawn";
  parent.array.created = 5;
  EXPECT_FALSE(pass_withdrawn(parent, 5, kStart));
  EXPECT_EQ(parent.array.created, 8);
  EXPECT_EQ(parent.array.cancelled, 3);
  EXPECT_EQ(parent.array.not_succeeded, (std::vector<std::int64_t>{5, 6, 7}));
  EXPECT_EQ(elements_to_make(parent, {}, 100), 2);
  EXPECT_TRUE(withdraw_elements(parent, 8, 99));
  parent.array.succeeded = 5;
  EXPECT_TRUE(pass_withdrawn(parent, 0, kStart + 1min)) << "they were the last";
  EXPECT_EQ(parent.state, JobState::kFailed);
  EXPECT_EQ(parent.ended_at, kStart + 1min);
}

TEST(Array, cancel_waits_for_live_elements_and_drops_the_rest) {
  Job parent = array_of(100);
  make_element(parent, JobId(8), kStart);
  EXPECT_TRUE(cancel_array(parent, "enough", ReasonCode::kCancelled, 1, kStart));
  EXPECT_EQ(parent.state, JobState::kStopping);
  EXPECT_FALSE(cancel_array(parent, "again", ReasonCode::kCancelled, 1, kStart));
  EXPECT_TRUE(element_ended(parent, ended_element(0, JobState::kCancelled), 0, kStart + 1s));
  EXPECT_EQ(parent.state, JobState::kCancelled);
  EXPECT_EQ(parent.reason, "enough");
  EXPECT_FALSE(cancel_array(parent, "late", ReasonCode::kCancelled, 0, kStart));
}

TEST(Array, cancel_without_live_elements_ends_at_once) {
  Job parent = array_of(100);
  EXPECT_TRUE(cancel_array(parent, "enough", ReasonCode::kDependencyFailed, 0, kStart + 1s));
  EXPECT_EQ(parent.state, JobState::kCancelled);
  EXPECT_EQ(parent.reason_code, ReasonCode::kDependencyFailed);
  EXPECT_EQ(parent.ended_at, kStart + 1s);
}

}  // namespace
}  // namespace trainyard::jobs
