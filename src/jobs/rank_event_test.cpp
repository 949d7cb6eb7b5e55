#include <gtest/gtest.h>

#include <string>

#include "jobs/testing/job_examples.h"
#include "jobs/transitions.h"

namespace trainyard::jobs {
namespace {

/// A running gang of two that got these event lines from `rank`.
Job job_after_events(std::uint32_t rank, const std::vector<std::string>& lines) {
  Job job = testing::running_job(2);
  for (const std::string& line : lines) apply_rank_event(job, rank, parse_json(line).value(), testing::kStart);
  return job;
}

TEST(RankEvent, metric_keeps_its_latest_value_step_and_time) {
  const Job job = job_after_events(0, {R"({"event":"metric","key":"loss","value":0.5,"step":10,"time_us":1700000000000001})",
                                       R"({"event":"metric","key":"loss","value":0.25,"step":20})"});
  ASSERT_EQ(job.metrics.size(), 1u);
  EXPECT_EQ(job.metrics.at("loss").value, 0.25);
  EXPECT_EQ(job.metrics.at("loss").step, 20);
  EXPECT_EQ(job.metrics.at("loss").time, testing::kStart);
}

TEST(RankEvent, any_rank_reports_metrics_but_only_the_first_reports_the_rest) {
  const std::vector<std::string> lines{
      R"({"event":"metric","key":"loss","value":1})",        R"({"event":"progress","done":1,"total":2,"message":"half"})",
      R"({"event":"checkpoint","step":5,"manifest":"m"})",   R"({"event":"ready","url":"http://x"})",
      R"({"event":"artifact","name":"a","uri":"ty://b/k"})", R"({"event":"result","values":{"acc":0.9}})"};
  const Job first = job_after_events(0, lines);
  EXPECT_EQ(first.metrics.size(), 1u);
  EXPECT_EQ(first.progress->done, 1);
  EXPECT_EQ(first.progress->message, "half");
  EXPECT_EQ(first.checkpoint->step, 5);
  EXPECT_EQ(first.checkpoint->manifest, "m");
  EXPECT_EQ(first.ready_url, "http://x");
  EXPECT_EQ(first.artifacts.items().size(), 1u);
  EXPECT_EQ(to_json(first.result), R"({"acc":0.9})");
  const Job second = job_after_events(1, lines);
  EXPECT_EQ(second.metrics.size(), 1u);
  EXPECT_FALSE(second.progress.has_value());
  EXPECT_FALSE(second.checkpoint.has_value());
  EXPECT_EQ(second.ready_url, "");
  EXPECT_TRUE(second.artifacts.items().empty());
  EXPECT_TRUE(second.result.is_null());
}

TEST(RankEvent, unknown_events_and_wrong_types_are_ignored) {
  const Job before = job_after_events(0, {R"({"event":"ready","url":"http://x"})", R"({"event":"result","values":{"a":1}})"});
  Job job = before;
  for (const char* line :
       {R"({"event":"party"})", R"({"event":7})", R"({})", R"([])", R"("metric")", R"(null)", R"({"event":"metric","key":"a"})",
        R"({"event":"metric","key":1,"value":1})", R"({"event":"metric","key":"a","value":"high"})",
        R"({"event":"metric","key":"a","value":1,"step":"x"})", R"({"event":"progress","done":"x"})", R"({"event":"progress","message":1})",
        R"({"event":"checkpoint","step":1})", R"({"event":"checkpoint","manifest":"m"})", R"({"event":"ready","url":5})",
        R"({"event":"ready"})", R"({"event":"result","values":5})", R"({"event":"result"})"}) {
    apply_rank_event(job, 0, parse_json(line).value(), testing::kStart);
    ASSERT_EQ(encode_job(job), encode_job(before)) << line;
  }
}

TEST(RankEvent, number_of_metrics_artifacts_and_rungs_on_a_job_is_bounded) {
  Job job = testing::running_job();
  for (int i = 0; i < 1000; ++i) {
    const std::string number = std::to_string(i);
    apply_rank_event(job, 0, parse_json(R"({"event":"metric","key":"k)" + number + R"(","value":1})").value(), testing::kStart);
    apply_rank_event(job, 0, parse_json(R"({"event":"artifact","name":"a)" + number + R"("})").value(), testing::kStart);
    apply_rank_event(job, 0, parse_json(R"({"event":"metric","key":"rung_accuracy","value":1,"step":)" + number + "}").value(),
                     testing::kStart);
  }
  EXPECT_LE(job.metrics.size(), kJobMetricsMax);
  EXPECT_LE(job.artifacts.items().size(), kJobArtifactsMax);
  EXPECT_LE(job.rungs.size(), kJobRungsMax);
  apply_rank_event(job, 0, parse_json(R"({"event":"metric","key":"k0","value":2})").value(), testing::kStart);
  EXPECT_EQ(job.metrics.at("k0").value, 2) << "a known key is still updated";
}

// Whatever a program sends, the job must stay readable: a server that cannot read its ledger does not start.
TEST(RankEvent, job_stays_readable_whatever_values_a_program_sends) {
  std::string deep = "1";
  for (int i = 0; i < 62; ++i) deep = "[" + deep + "]";
  for (const std::string& line :
       {std::string(R"({"event":"metric","key":"t","value":1,"time_us":9223372036854775807})"),
        std::string(R"({"event":"metric","key":"t","value":1,"time_us":-9223372036854775808})"),
        std::string(R"({"event":"metric","key":"t","value":1,"time_us":300000000000000000})"),
        std::string(R"({"event":"metric","key":"t","value":1,"time_us":-1})"), std::string(R"({"event":"metric","key":"","value":"NaN"})"),
        std::string(R"({"event":"metric","key":"n","value":"-Infinity","step":-9223372036854775808})"),
        std::string(R"({"event":"progress","done":"Infinity","total":1e308})"),
        R"({"event":"progress","message":")" + std::string(511, 'x') + "\xC3\xA9\"}", R"({"event":"artifact","x":)" + deep + "}",
        R"({"event":"result","values":{"x":)" + deep.substr(1, deep.size() - 2) + "}}"}) {
    const Job job = job_after_events(0, {line});
    const Result<Job> back = decode_job(encode_job(job));
    ASSERT_TRUE(back.ok()) << line.substr(0, 100) << ": " << back.error().describe();
    EXPECT_EQ(encode_job(*back), encode_job(job)) << line.substr(0, 100);
  }
}

TEST(RankEvent, job_gets_further_by_more_done_or_a_later_step_and_by_nothing_else) {
  Job job = testing::running_job(2);
  const auto further = [&job](const char* line, std::uint32_t rank = 0) {
    return apply_rank_event(job, rank, parse_json(line).value(), testing::kStart);
  };
  EXPECT_TRUE(further(R"({"event":"progress","done":0})")) << "the first says that it has begun";
  EXPECT_FALSE(further(R"({"event":"progress","done":0})"));
  EXPECT_TRUE(further(R"({"event":"progress","done":0.5})"));
  EXPECT_FALSE(further(R"({"event":"progress","done":0.25})"));
  EXPECT_TRUE(further(R"({"event":"metric","key":"loss","value":1,"step":3})"));
  EXPECT_FALSE(further(R"({"event":"metric","key":"loss","value":2,"step":3})"));
  EXPECT_TRUE(further(R"({"event":"metric","key":"loss","value":2,"step":4})", 1)) << "of any rank";
  EXPECT_FALSE(further(R"({"event":"progress","done":9})", 1)) << "progress is that of rank 0";
  EXPECT_FALSE(further(R"({"event":"checkpoint","step":5,"manifest":"m"})"));
  EXPECT_FALSE(further(R"({"event":"whatever"})"));
}

}  // namespace
}  // namespace trainyard::jobs
