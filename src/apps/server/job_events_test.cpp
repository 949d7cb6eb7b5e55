#include "apps/server/job_events.h"

#include <gtest/gtest.h>

#include "jobs/testing/service_world.h"

namespace trainyard::apps {
namespace {

/// Keeps the points it is given; fails when told to.
class FakeSink final : public jobs::AttemptSink {
 public:
  std::optional<Error> failure;
  std::vector<std::string> recorded;  ///< "RUN ATTEMPT key=value@step".

  bool has_run = true;

  Result<void> start_run(const jobs::RunStart&) override {
    if (failure) return *failure;
    has_run = true;
    return {};
  }
  Result<void> record_metrics(const RunId& run, AttemptNumber attempt, const std::vector<jobs::MetricPoint>& points) override {
    if (!has_run) return not_found("track.run", "there is no such run");
    if (failure) return *failure;
    for (const jobs::MetricPoint& point : points) {
      recorded.push_back(run.text.substr(0, 4) + " " + attempt.text() + " " + point.key + "=" + to_json(Document(point.value)) + "@" +
                         std::to_string(point.step));
    }
    return {};
  }
  Result<void> end_run(const RunId&, std::string_view, TimePoint) override { return {}; }
};

class JobEventsTest : public jobs::testing::ServiceWorld {
 protected:
  JobEventsTest() {
    id = submit();
    runs(rank(id, 1));
    run = job(id).run.text.substr(0, 4);
  }
  void settle() {
    while (strand.run_ready() + writes.run_ready() > 0) continue;
  }
  Result<std::uint64_t> append(std::uint64_t first, std::vector<std::string> lines, std::uint32_t attempt = 1) {
    std::optional<Result<std::uint64_t>> answer;
    sink.append(rank(id, attempt), first, std::move(lines), [&answer](Result<std::uint64_t> result) { answer = std::move(result); });
    settle();
    return answer.value_or(internal_error("test.no_answer", "no answer"));
  }
  static std::string metric(const std::string& value, int step) {
    return R"({"event":"metric","key":"loss","value":)" + value + R"(,"step":)" + std::to_string(step) + "}";
  }

  trainyard::testing::ManualExecutor writes{clock};
  FakeSink tracking;
  JobEvents sink{{.strand = strand, .writes = writes, .jobs = *service, .tracking = &tracking}};
  JobId id;
  std::string run;
};

// Whoever is refused drops its output, so what refuses must not be lost in a crash.
TEST_F(JobEventsTest, rank_is_refused_only_once_everything_is_durable) {
  ledger.hold_commits();
  service->stop(id, StopIntent::kCancel, "asked", [](const Result<void>&) {});
  EXPECT_EQ(sink.taken(rank(id, 2)).error().id, "events.unsettled");
  strand.run_ready();
  while (ledger.release()) strand.run_ready();
  EXPECT_EQ(sink.taken(rank(id, 2)).error().id, "lease.fenced");
}

TEST_F(JobEventsTest, metrics_reach_tracking_and_the_job) {
  EXPECT_EQ(append(0, {metric("0.5", 1), R"({"event":"progress","done":1,"total":2})", metric("0.25", 2)}).value(), 3u);
  EXPECT_EQ(tracking.recorded, (std::vector<std::string>{run + " 1 loss=0.5@1", run + " 1 loss=0.25@2"}));
  EXPECT_EQ(job(id).metrics.at("loss").value, 0.25);
  EXPECT_EQ(job(id).progress->done, 1);
  EXPECT_EQ(sink.taken(rank(id, 1)).value(), 3u);
}

TEST_F(JobEventsTest, run_that_is_missing_is_opened_by_the_first_metrics) {
  tracking.has_run = false;
  EXPECT_EQ(append(0, {metric("0.5", 1)}).value(), 1u);
  EXPECT_EQ(tracking.recorded, std::vector<std::string>{run + " 1 loss=0.5@1"});
}

TEST_F(JobEventsTest, metrics_are_sent_again_while_a_missing_run_cannot_be_opened) {
  tracking.has_run = false;
  tracking.failure = unavailable("database.busy", "the database is busy");
  EXPECT_EQ(append(0, {metric("0.5", 1)}).error().id, "database.busy");
  EXPECT_EQ(sink.taken(rank(id, 1)).value(), 0u);
}

TEST_F(JobEventsTest, line_is_counted_only_after_tracking_has_its_metric) {
  bool answered = false;
  sink.append(rank(id, 1), 0, {metric("0.5", 1)}, [&answered](const Result<std::uint64_t>&) { answered = true; });
  strand.run_ready();
  EXPECT_FALSE(answered);
  EXPECT_EQ(sink.taken(rank(id, 1)).value(), 0u);
  settle();
  EXPECT_TRUE(answered);
  EXPECT_EQ(sink.taken(rank(id, 1)).value(), 1u);
}

TEST_F(JobEventsTest, tracking_that_is_away_takes_nothing_and_the_line_is_sent_again) {
  tracking.failure = unavailable("db.busy", "later");
  EXPECT_EQ(append(0, {metric("0.5", 1)}).error().id, "db.busy");
  EXPECT_EQ(sink.taken(rank(id, 1)).value(), 0u);
  EXPECT_TRUE(job(id).metrics.empty());
  tracking.failure.reset();
  EXPECT_EQ(append(0, {metric("0.5", 1)}).value(), 1u);
  EXPECT_EQ(tracking.recorded.size(), 1u);
}

TEST_F(JobEventsTest, metric_that_tracking_will_never_take_holds_nothing_up) {
  tracking.failure = invalid_argument("track.bad_key", "no");
  EXPECT_EQ(append(0, {metric("0.5", 1), R"({"event":"ready","url":"http://h:1"})"}).value(), 2u);
  EXPECT_EQ(job(id).ready_url, "http://h:1");
}

TEST_F(JobEventsTest, damaged_line_counts_and_changes_nothing) {
  EXPECT_EQ(
      append(0, {"{", R"({"event":"metric","key":"loss"})", R"({"event":"metric","key":"","value":1})", "[]", metric("0.5", 1)}).value(),
      5u);
  EXPECT_EQ(tracking.recorded, (std::vector<std::string>{run + " 1 loss=0.5@1"}));
}

TEST_F(JobEventsTest, stale_attempt_is_fenced_and_records_nothing) {
  const Result<std::uint64_t> stale = append(0, {metric("0.5", 1)}, 2);
  ASSERT_FALSE(stale.ok());
  EXPECT_EQ(stale.error().id, "lease.fenced");
  EXPECT_TRUE(tracking.recorded.empty());
  EXPECT_EQ(sink.taken(rank(id, 2)).error().id, "lease.fenced");
}

TEST_F(JobEventsTest, gap_is_refused_and_overlap_ignored) {
  EXPECT_EQ(append(0, {metric("0.5", 1)}).value(), 1u);
  EXPECT_EQ(append(5, {metric("0.1", 9)}).error().id, "events.gap");
  EXPECT_EQ(append(0, {metric("0.5", 1), metric("0.25", 2)}).value(), 2u);
  EXPECT_EQ(job(id).metrics.at("loss").value, 0.25);
}

TEST_F(JobEventsTest, without_tracking_metrics_stay_on_the_job) {
  JobEvents bare{{.strand = strand, .writes = writes, .jobs = *service, .tracking = nullptr}};
  std::optional<Result<std::uint64_t>> answer;
  bare.append(rank(id, 1), 0, {metric("0.5", 1)}, [&answer](Result<std::uint64_t> result) { answer = std::move(result); });
  settle();
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->value(), 1u);
  EXPECT_EQ(job(id).metrics.at("loss").value, 0.5);
}

}  // namespace
}  // namespace trainyard::apps
