#include "jobs/dependencies.h"

#include <gtest/gtest.h>

#include "jobs/testing/job_examples.h"

namespace trainyard::jobs {
namespace {

using namespace std::chrono_literals;
using testing::kStart;
using Outcome = DependencyOutcome;

Job waiting_for(std::vector<JobDependency> after) {
  Job job = testing::queued_job();
  job.spec.after = after;
  job.waits_for = std::move(after);
  return job;
}

TEST(Dependencies, each_condition_is_met_by_the_ends_it_names) {
  struct Case {
    JobState state;
    Outcome ok, any, failed;
  };
  for (const Case& c : {Case{JobState::kSucceeded, Outcome::kMet, Outcome::kMet, Outcome::kImpossible},
                        Case{JobState::kFailed, Outcome::kImpossible, Outcome::kMet, Outcome::kMet},
                        Case{JobState::kCancelled, Outcome::kImpossible, Outcome::kMet, Outcome::kMet},
                        Case{JobState::kTimedOut, Outcome::kImpossible, Outcome::kMet, Outcome::kMet},
                        Case{JobState::kQueued, Outcome::kWaiting, Outcome::kWaiting, Outcome::kWaiting},
                        Case{JobState::kStopping, Outcome::kWaiting, Outcome::kWaiting, Outcome::kWaiting}}) {
    EXPECT_EQ(judge({1, "ok"}, c.state), c.ok) << name_of(c.state);
    EXPECT_EQ(judge({1, "any"}, c.state), c.any) << name_of(c.state);
    EXPECT_EQ(judge({1, "failed"}, c.state), c.failed) << name_of(c.state);
  }
}

TEST(Dependencies, last_one_that_is_met_lets_the_job_wait_for_room_from_then_on) {
  Job job = waiting_for({{1, "ok"}, {2, "any"}});
  EXPECT_EQ(settle_dependency(job, JobId(2), JobState::kFailed, kStart + 1s), Outcome::kWaiting);
  EXPECT_FALSE(job.waits_since.has_value());
  EXPECT_EQ(settle_dependency(job, JobId(2), JobState::kFailed, kStart + 2s), Outcome::kWaiting) << "told twice";
  EXPECT_EQ(settle_dependency(job, JobId(1), JobState::kSucceeded, kStart + 3s), Outcome::kMet);
  EXPECT_TRUE(job.waits_for.empty());
  EXPECT_EQ(job.waits_since, kStart + 3s);
}

TEST(Dependencies, one_that_can_never_be_met_changes_nothing_and_is_named) {
  Job job = waiting_for({{1, "ok"}, {2, "failed"}});
  EXPECT_EQ(settle_dependency(job, JobId(1), JobState::kTimedOut, kStart), Outcome::kImpossible);
  EXPECT_EQ(job.waits_for.size(), 2u);
  EXPECT_NE(impossible_dependency_text(job, JobId(1), JobState::kTimedOut).find("job 1 to succeed, and that is TIMED_OUT"),
            std::string::npos);
  EXPECT_NE(impossible_dependency_text(job, JobId(2), JobState::kSucceeded).find("job 2 to fail"), std::string::npos);
}

TEST(DependencyIndex, jobs_are_taken_once_in_their_order) {
  DependencyIndex index;
  index.add(JobId(5), JobId(1));
  index.add(JobId(3), JobId(1));
  index.add(JobId(5), JobId(2));
  EXPECT_EQ(index.take(JobId(1)), (std::vector<JobId>{JobId(5), JobId(3)}));
  EXPECT_TRUE(index.take(JobId(1)).empty());
  EXPECT_EQ(index.take(JobId(2)), (std::vector<JobId>{JobId(5)}));
}

}  // namespace
}  // namespace trainyard::jobs
