#include "base/log.h"

#include <gtest/gtest.h>

#include <string>

#include "base/time.h"

namespace trainyard {
namespace {

TEST(StderrLogSink, event_is_one_json_object_on_one_line) {
  StderrLogSink sink(LogLevel::kInfo);
  ::testing::internal::CaptureStderr();
  sink.write({LogLevel::kWarning, "jobs.rank_lost", {{"job", "7"}, {"why", "two\nlines"}, {"rank", 1}}});
  const std::string text = ::testing::internal::GetCapturedStderr();
  ASSERT_FALSE(text.empty());
  EXPECT_EQ(text.find('\n'), text.size() - 1);
  const Result<Document> line = parse_json(text);
  ASSERT_TRUE(line.ok()) << text;
  EXPECT_EQ((*line)["level"].text(), "warning");
  EXPECT_EQ((*line)["event"].text(), "jobs.rank_lost");
  EXPECT_EQ((*line)["why"].text(), "two\nlines");
  EXPECT_EQ((*line)["rank"].as_int().value(), 1);
  EXPECT_TRUE(parse_rfc3339((*line)["time"].text()).ok());
}

TEST(StderrLogSink, event_below_the_threshold_is_dropped) {
  StderrLogSink sink(LogLevel::kWarning);
  ::testing::internal::CaptureStderr();
  sink.write({LogLevel::kInfo, "quiet", {}});
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace trainyard
