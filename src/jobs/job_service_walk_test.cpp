#include <gtest/gtest.h>

#include "jobs/testing/service_walk.h"

namespace trainyard::jobs {
namespace {

class JobServiceWalk : public testing::ServiceWalk, public ::testing::WithParamInterface<std::uint64_t> {
 protected:
  void check_all() {
    std::uint64_t next = 1;
    for (const auto& [id, job] : jobs) {
      ASSERT_EQ(id.value, next++) << "ids are dense";
      if (is_array(job)) check_array(job);
      check_dependencies(job);
      EXPECT_FALSE(is_terminal(job.state) && job.reason_code == ReasonCode::kNone);
    }
    EXPECT_EQ(service->live_count(), live_count());
  }

  std::size_t live_count() const {
    return static_cast<std::size_t>(
        std::count_if(jobs.begin(), jobs.end(), [](const auto& entry) { return !is_terminal(entry.second.state); }));
  }

  /// Every index became a job once, and the parent's counts are those of its elements.
  void check_array(const Job& parent) {
    std::set<std::int64_t> indices;
    std::map<JobState, std::int64_t> ends;
    std::int64_t live = 0, started_once = 0;
    for (const auto& [id, job] : jobs) {
      if (job.array_parent != parent.id) continue;
      EXPECT_TRUE(indices.insert(job.array_index).second) << "index " << job.array_index << " of array " << parent.id.text();
      if (is_terminal(job.state)) ++ends[job.state];
      live += is_terminal(job.state) ? 0 : 1;
      started_once += job.attempt.number.valid() ? 1 : 0;
    }
    const ArrayProgress& array = parent.array;
    EXPECT_EQ(array.created, static_cast<std::int64_t>(indices.size()));
    EXPECT_TRUE(indices.empty() || *indices.rbegin() == array.created - 1);
    EXPECT_LE(array.created, parent.spec.array->count);
    EXPECT_EQ(array.started, started_once);
    EXPECT_EQ(array.succeeded, ends[JobState::kSucceeded]);
    EXPECT_EQ(array.failed, ends[JobState::kFailed]);
    EXPECT_EQ(array.cancelled, ends[JobState::kCancelled]);
    EXPECT_EQ(array.timed_out, ends[JobState::kTimedOut]);
    EXPECT_TRUE(parent.spec.array->max_running == 0 || live <= parent.spec.array->max_running);
    EXPECT_FALSE(is_terminal(parent.state) && live > 0) << "array " << parent.id.text() << " ended before its elements";
    EXPECT_EQ(parent.state == JobState::kSucceeded, array.succeeded == parent.spec.array->count);
    EXPECT_TRUE(parent.state != JobState::kFailed || array.ended() == parent.spec.array->count);
  }

  void check_dependencies(const Job& job) {
    bool impossible = false;
    for (const JobDependency& dependency : job.spec.after) {
      const JobState state = jobs.at(JobId(static_cast<std::uint64_t>(dependency.job))).state;
      const DependencyOutcome outcome = judge(dependency, state);
      impossible = impossible || outcome == DependencyOutcome::kImpossible;
      const bool waits = std::find(job.waits_for.begin(), job.waits_for.end(), dependency) != job.waits_for.end();
      if (is_terminal(job.state)) continue;
      EXPECT_EQ(waits, outcome == DependencyOutcome::kWaiting) << "job " << job.id.text() << " and job " << dependency.job;
    }
    EXPECT_TRUE(job.reason_code != ReasonCode::kDependencyFailed || impossible);
    EXPECT_FALSE(impossible && !is_terminal(job.state) && !is_array(job)) << "job " << job.id.text() << " waits for what cannot come";
    EXPECT_FALSE(job.attempt.number.valid() && !job.waits_for.empty());
  }
};

TEST_P(JobServiceWalk, random_lives_with_crashes_keep_every_promise_and_come_to_an_end) {
  SCOPED_TRACE("seed " + std::to_string(GetParam()));
  begin(GetParam());
  for (int i = 0; i < 150 && !HasFailure(); ++i) {
    step();
    check_all();
  }
  if (!HasFailure()) bring_to_an_end();
  if (!HasFailure()) check_all();
}

INSTANTIATE_TEST_SUITE_P(Seeds, JobServiceWalk, ::testing::Range<std::uint64_t>(1, 25));

}  // namespace
}  // namespace trainyard::jobs
