#include "adapters/track_sink/track_sink.h"

#include <gtest/gtest.h>

#include "track/testing/tracking_fixture.h"

namespace trainyard::adapters::track_sink {
namespace {

class TrackSinkTest : public track::testing::TrackingTest {
 protected:
  void start(bool synthetic = false) {
    const TimePoint begin = time_from_micros(5'000'000);
    ASSERT_TRUE(sink.start_run({run, JobId{17}, "train-final", "train", "fashion@3/curated", synthetic, begin, "vision", "ann"}).ok());
  }
  Result<void> record(std::uint32_t attempt, std::vector<jobs::MetricPoint> points) {
    return sink.record_metrics(run, AttemptNumber{attempt}, points);
  }
  static jobs::MetricPoint point(std::string key, double value, std::int64_t step, std::int64_t second) {
    return {std::move(key), value, step, time_from_micros(second * 1'000'000)};
  }

  const RunId run{"00000000000000010000000000000011"};
  TrackSink sink{tracking};
};

TEST_F(TrackSinkTest, run_on_made_up_data_is_tagged) {
  start(true);
  const track::Run stored = tracking.runs().get(run).value();
  ASSERT_EQ(stored.tags.size(), 6u);
  EXPECT_EQ(stored.tags[1].key, track::kSyntheticTag);
  EXPECT_EQ(stored.tags[1].value, "true");
}

TEST_F(TrackSinkTest, run_of_a_job_starts_logs_and_ends) {
  start();
  ASSERT_TRUE(record(1, {point("loss", 0.5, 1, 6), point("loss", 0.25, 2, 7)}).ok());
  ASSERT_TRUE(sink.end_run(run, "FINISHED", time_from_micros(8'000'000)).ok());
  const track::Run stored = tracking.runs().get(run).value();
  EXPECT_EQ(stored.info.name, "train-final");
  EXPECT_EQ(stored.info.status, track::RunStatus::kFinished);
  EXPECT_EQ(stored.info.started_ms, 5000);
  EXPECT_EQ(stored.info.user, "ann");
  EXPECT_EQ(stored.info.name_space, "vision");
  EXPECT_EQ(stored.info.job, JobId{17});
  EXPECT_EQ(stored.info.ended_ms, 8000);
  EXPECT_EQ(stored.metrics.at(0).point.value, 0.25);
  ASSERT_EQ(stored.tags.size(), 5u);
  EXPECT_EQ(stored.tags[1].value, "fashion@3/curated");
  EXPECT_EQ(stored.tags[2].value, "17");
}

TEST_F(TrackSinkTest, every_call_may_be_repeated) {
  start();
  for (int i = 0; i < 2; ++i) {
    start();
    ASSERT_TRUE(record(1, {point("loss", 0.5, 1, 6)}).ok());
  }
  EXPECT_EQ(tracking.runs().history(run, "loss")->size(), 1u);
}

TEST_F(TrackSinkTest, later_attempt_replaces_the_steps_it_repeats) {
  start();
  ASSERT_TRUE(record(1, {point("loss", 1, 1, 1), point("loss", 2, 2, 2), point("loss", 3, 3, 3)}).ok());
  ASSERT_TRUE(sink.end_run(run, "FAILED", time_from_micros(4'000'000)).ok());
  start();
  ASSERT_TRUE(record(2, {point("loss", 20, 2, 5), point("loss", 30, 3, 6)}).ok());
  std::vector<double> values;
  const std::vector<track::MetricPoint> history = tracking.runs().history(run, "loss").value();
  for (const track::MetricPoint& stored : history) values.push_back(stored.value);
  EXPECT_EQ(values, (std::vector<double>{1, 20, 30}));
  EXPECT_EQ(tracking.runs().get(run)->metrics.at(0).point.value, 30);
  EXPECT_EQ(tracking.runs().get(run)->info.status, track::RunStatus::kRunning);
}

TEST_F(TrackSinkTest, writes_that_are_made_together_all_count_or_none) {
  const RunId other{"00000000000000010000000000000012"};
  const jobs::RunStart first{run, JobId{17}, "a", "train", "", false, time_from_micros(1), "vision", "ann"};
  const jobs::RunStart second{other, JobId{18}, "b", "train", "", false, time_from_micros(1), "vision", "ann"};
  const Result<void> failed = sink.together([&](jobs::AttemptSink& all) -> Result<void> {
    TRY(all.start_run(first));
    return unavailable("test.failed", "after the first");
  });
  EXPECT_EQ(failed.error().id, "test.failed");
  EXPECT_FALSE(tracking.runs().get(run).ok());
  const Result<void> done = sink.together([&](jobs::AttemptSink& all) -> Result<void> {
    TRY(all.start_run(first));
    TRY(all.start_run(second));
    return all.end_run(run, "FINISHED", time_from_micros(8'000'000));
  });
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(tracking.runs().get(run)->info.status, track::RunStatus::kFinished);
  EXPECT_EQ(tracking.runs().get(other)->info.status, track::RunStatus::kRunning);
}

TEST_F(TrackSinkTest, bad_key_is_stored_under_a_good_one) {
  start();
  ASSERT_TRUE(record(1, {point("a!b/../c", 1, 1, 1), point("", 2, 1, 1)}).ok());
  EXPECT_EQ(tracking.runs().get(run)->metrics.size(), 2u);
}

TEST_F(TrackSinkTest, points_of_a_deleted_run_are_dropped) {
  start();
  ASSERT_TRUE(tracking.runs().set_lifecycle(run, track::Lifecycle::kDeleted).ok());
  EXPECT_TRUE(record(1, {point("loss", 1, 1, 1)}).ok());
  EXPECT_TRUE(sink.end_run(run, "KILLED", time_from_micros(1)).ok());
}

}  // namespace
}  // namespace trainyard::adapters::track_sink
