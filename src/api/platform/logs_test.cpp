#include "api/platform/logs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/platform/testing/platform_world.h"
#include "store/testing/log_records.h"

namespace trainyard::api {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class LogRoutesTest : public testing::PlatformWorld {
 protected:
  LogRoutesTest() { add_log_routes(router, context(), logs); }
  ~LogRoutesTest() override {
    for (const auto& stream : open_streams) stream->hang_up();
    settle();
  }

  void append(const RankKey& key, const std::string& text, store::LogStream stream = store::LogStream::kStdout) {
    ASSERT_TRUE(
        logs.append(key, stored_logs.end_offset(key).value(), store::testing::encoded_line(1'700'000'000'000'000, text, stream)).ok());
  }
  net::testing::FakeStreamPtr open(std::string_view target, const std::string& last_event_id = {}) {
    open_streams.push_back(follow(target, last_event_id));
    return open_streams.back();
  }
  /// The texts of the records in a stream, and "end STATE" for its last event.
  static std::string texts(const net::testing::FakeStreamPtr& stream) {
    std::string out;
    const std::string body = stream->body();
    for (std::size_t at = body.find("data: "); at != std::string::npos; at = body.find("data: ", at + 1)) {
      const Document data = parse_json(body.substr(at + 6, body.find('\n', at) - at - 6)).value();
      out += data.find("text") != nullptr ? data["text"].text() : "end " + data["state"].text();
    }
    return out;
  }
  std::string plain(const std::string& target) { return call("GET", target).body; }
  JobId running_job(std::int64_t tasks = 1) {
    const JobId id = submit(submission(1, tasks));
    for (std::uint32_t i = 0; i < tasks; ++i) runs(rank(id, 1, i));
    return id;
  }

  /// Job 1, which a failure starts again.
  void start_retrying_job() {
    jobs::Submission job = submission();
    job.spec.retry.user = 1;
    submit(std::move(job));
    runs(rank(JobId(1), 1));
  }

  std::vector<net::testing::FakeStreamPtr> open_streams;
};

TEST_F(LogRoutesTest, plain_text_is_rank_by_rank_or_of_one_rank) {
  const JobId id = running_job(2);
  append(rank(id, 1, 0), "zero\n");
  append(rank(id, 1, 1), "one\n", store::LogStream::kStderr);
  append(rank(id, 1, 0), "more\n");
  const net::Response response = call("GET", "/api/v1/jobs/1/logs");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.get("content-type"), "text/plain; charset=utf-8");
  EXPECT_EQ(response.body, "zero\nmore\none\n");
  EXPECT_EQ(plain("/api/v1/jobs/1/logs?rank=1"), "one\n");
}

TEST_F(LogRoutesTest, plain_text_follows_until_the_job_has_ended) {
  const JobId id = running_job();
  append(rank(id, 1, 0), "first\n");
  const net::testing::FakeAnswerPtr answer = begin(request("GET", "/api/v1/jobs/1/logs?follow=1", {}, {{"Accept", "text/plain"}}));
  ASSERT_TRUE(answer->answered());
  EXPECT_EQ(answer->wait()->headers.get("content-type"), "text/plain; charset=utf-8");
  open_streams.push_back(answer->stream());
  EXPECT_EQ(open_streams.back()->body(), "first\n");
  append(rank(id, 1, 0), "second\n");
  settle();
  EXPECT_EQ(open_streams.back()->body(), "first\nsecond\n");
  exits(rank(id, 1), jobs::testing::exit_with(0));
  settle();
  EXPECT_FALSE(open_streams.back()->open());
  EXPECT_EQ(open_streams.back()->body(), "first\nsecond\n");
}

TEST_F(LogRoutesTest, range_of_one_rank_is_answered_alone) {
  const JobId id = running_job(2);
  append(rank(id, 1, 0), "0123456789");
  append(rank(id, 1, 0), "abcdef");
  append(rank(id, 1, 1), "other");
  const auto part = [this](const std::string& target, const std::string& range) {
    const net::Response response = call("GET", target, {}, {{"Range", range}});
    return std::to_string(response.status) + " " + std::string(response.headers.get("content-range").value_or("-")) + " " +
           (response.status < 300 ? response.body : "");
  };
  const std::string zero = "/api/v1/jobs/1/logs?rank=0";
  EXPECT_EQ(part(zero, "bytes=0-3"), "206 bytes 0-3/16 0123");
  EXPECT_EQ(part(zero, "bytes=8-11"), "206 bytes 8-11/16 89ab");
  EXPECT_EQ(part(zero, "bytes=12-"), "206 bytes 12-15/16 cdef");
  EXPECT_EQ(part(zero, "bytes=12-999"), "206 bytes 12-15/16 cdef");
  EXPECT_EQ(part(zero, "bytes=-3"), "206 bytes 13-15/16 def");
  EXPECT_EQ(part(zero, "bytes=-99"), "206 bytes 0-15/16 0123456789abcdef");
  EXPECT_EQ(part(zero, "bytes=16-"), "416 bytes */16 ");
  EXPECT_EQ(part(zero, "bytes=-0"), "416 bytes */16 ");
  EXPECT_EQ(part(zero, "bytes=0-18446744073709551615"), "206 bytes 0-15/16 0123456789abcdef");
  for (const char* ignored : {"bytes=3-1", "bytes=0-1,3-4", "lines=0-1", "bytes=", "bytes=-", "bytes=a-b", ""}) {
    EXPECT_EQ(part(zero, ignored), "200 - 0123456789abcdef") << ignored;
  }
  EXPECT_EQ(part("/api/v1/jobs/1/logs", "bytes=0-3"), "200 - 0123456789abcdefother") << "not of one rank";
  EXPECT_EQ(part(zero + "&tail=1", "bytes=0-3").substr(0, 5), "200 -");
}

TEST_F(LogRoutesTest, tail_is_the_last_lines_of_each_rank_in_text_and_stream) {
  const JobId id = running_job(2);
  append(rank(id, 1, 0), "a\nb\n");
  append(rank(id, 1, 0), "c\nd\ne\n");
  append(rank(id, 1, 1), "one\n");
  EXPECT_EQ(plain("/api/v1/jobs/1/logs?tail=2"), "d\ne\none\n");
  EXPECT_EQ(plain("/api/v1/jobs/1/logs?tail=4&rank=0"), "b\nc\nd\ne\n");
  EXPECT_EQ(plain("/api/v1/jobs/1/logs?tail=99&rank=0"), "a\nb\nc\nd\ne\n");
  const auto stream = open("/api/v1/jobs/1/logs?tail=1&follow=1&rank=0");
  EXPECT_EQ(texts(stream), "e\n");
  append(rank(id, 1, 0), "f\n");
  settle();
  EXPECT_EQ(texts(stream), "e\nf\n");
}

TEST_F(LogRoutesTest, since_leaves_out_what_is_older) {
  const JobId id = running_job();
  append(rank(id, 1, 0), "old\n");
  EXPECT_EQ(plain("/api/v1/jobs/1/logs?since=2023-11-14T00:00:00Z"), "old\n");
  EXPECT_EQ(plain("/api/v1/jobs/1/logs?since=2023-11-15T00:00:00Z"), "");
  EXPECT_EQ(call("GET", "/api/v1/jobs/1/logs?since=yesterday").status, 400);
}

TEST_F(LogRoutesTest, plain_text_is_of_the_newest_attempt_unless_another_is_asked_for) {
  start_retrying_job();
  append(rank(JobId(1), 1), "first\n");
  exits(rank(JobId(1), 1), jobs::testing::exit_with(1));
  strand.advance(std::chrono::minutes(2));
  runs(rank(JobId(1), 2));
  append(rank(JobId(1), 2), "second\n");
  EXPECT_EQ(plain("/api/v1/jobs/1/logs"), "second\n");
  EXPECT_EQ(plain("/api/v1/jobs/1/logs?attempt=1"), "first\n");
}

TEST_F(LogRoutesTest, stream_without_follow_is_what_there_is_and_then_the_end) {
  const JobId id = running_job();
  append(rank(id, 1), "line\n", store::LogStream::kStderr);
  const auto stream = open("/api/v1/jobs/1/logs");
  EXPECT_EQ(texts(stream), "line\nend RUNNING");
  EXPECT_FALSE(stream->open());
  EXPECT_THAT(stream->body(),
              HasSubstr(R"({"attempt":1,"rank":0,"stream":"stderr","time":"2023-11-14T22:13:20.000000Z","text":"line\n"})"));
}

TEST_F(LogRoutesTest, follower_hears_new_lines_and_the_end_of_the_job) {
  const JobId id = running_job();
  const auto stream = open("/api/v1/jobs/1/logs?follow=1");
  EXPECT_EQ(texts(stream), "");
  append(rank(id, 1), "one\n");
  settle();
  append(rank(id, 1), "two\n");
  settle();
  EXPECT_EQ(texts(stream), "one\ntwo\n");
  EXPECT_TRUE(stream->open());
  exits(rank(id, 1), jobs::testing::exit_with(3));
  settle();
  EXPECT_EQ(texts(stream), "one\ntwo\nend FAILED");
  EXPECT_THAT(stream->body(), HasSubstr(R"("exit_code":3)"));
  EXPECT_FALSE(stream->open());
}

TEST_F(LogRoutesTest, follower_of_a_queued_job_waits_for_its_first_line) {
  submit(submission(4, 2));
  const JobId id = submit();
  const auto stream = open("/api/v1/jobs/2/logs?follow=1");
  EXPECT_EQ(stream->body(), "");
  ASSERT_TRUE(stop(JobId(1)).ok());
  exits(rank(JobId(1), 1, 0), jobs::testing::exit_with(143));
  exits(rank(JobId(1), 1, 1), jobs::testing::exit_with(143));
  runs(rank(id, 1));
  append(rank(id, 1), "late\n");
  settle();
  EXPECT_EQ(texts(stream), "late\n");
}

TEST_F(LogRoutesTest, follower_goes_on_with_the_next_attempt) {
  start_retrying_job();
  const auto stream = open("/api/v1/jobs/1/logs?follow=1");
  append(rank(JobId(1), 1), "first\n");
  settle();
  exits(rank(JobId(1), 1), jobs::testing::exit_with(1));
  strand.advance(std::chrono::minutes(2));
  runs(rank(JobId(1), 2));
  append(rank(JobId(1), 2), "second\n");
  settle();
  EXPECT_EQ(texts(stream), "first\nsecond\n");
  EXPECT_THAT(stream->body(), HasSubstr(R"({"attempt":2,"rank":0)"));
}

TEST_F(LogRoutesTest, stream_resumes_at_every_record_without_a_gap_or_a_repetition) {
  const JobId id = running_job(2);
  for (int i = 0; i < 4; ++i) append(rank(id, 1, i % 2), std::to_string(i) + "\n");
  const auto whole = open("/api/v1/jobs/1/logs?follow=1");
  const std::string all = texts(whole);
  EXPECT_EQ(all, "0\n2\n1\n3\n");
  const std::vector<std::string> ids = testing::ids_of(whole->body());
  ASSERT_EQ(ids.size(), 4u);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    EXPECT_EQ(texts(open("/api/v1/jobs/1/logs?follow=1", ids[i])), all.substr(2 * (i + 1))) << ids[i];
  }
}

TEST_F(LogRoutesTest, stream_resumes_in_an_earlier_attempt) {
  start_retrying_job();
  append(rank(JobId(1), 1), "a\n");
  append(rank(JobId(1), 1), "b\n");
  const std::string place = testing::ids_of(open("/api/v1/jobs/1/logs?follow=1")->body()).at(0);
  exits(rank(JobId(1), 1), jobs::testing::exit_with(1));
  strand.advance(std::chrono::minutes(2));
  runs(rank(JobId(1), 2));
  append(rank(JobId(1), 2), "c\n");
  EXPECT_EQ(texts(open("/api/v1/jobs/1/logs?follow=1", place)), "b\nc\n");
}

TEST_F(LogRoutesTest, end_of_a_job_that_falls_into_a_round_is_not_missed) {
  const JobId id = running_job();
  const auto stream = open("/api/v1/jobs/1/logs?follow=1");
  append(rank(id, 1), "last\n");
  strand.run_ready();                               // The follower looked at the job, which runs, and is about to read the log ...
  exits(rank(id, 1), jobs::testing::exit_with(0));  // ... when it ends.
  settle();
  EXPECT_EQ(texts(stream), "last\nend SUCCEEDED");
}

TEST_F(LogRoutesTest, client_that_does_not_read_or_leaves_is_let_go) {
  const JobId id = running_job();
  const auto slow = open("/api/v1/jobs/1/logs?follow=1");
  slow->stall();
  const auto gone = open("/api/v1/jobs/1/logs?follow=1");
  gone->hang_up();
  settle();
  append(rank(id, 1), "line\n");
  settle();
  EXPECT_FALSE(slow->open());
  slow->hang_up();
  settle();
  open_streams.clear();
  EXPECT_EQ(slow.use_count(), 1) << "the handler still holds the stream";
  EXPECT_EQ(gone.use_count(), 1) << "the handler still holds the stream";
}

TEST_F(LogRoutesTest, reader_of_a_long_log_gets_it_as_fast_as_it_reads) {
  const JobId id = running_job();
  const auto stream = open("/api/v1/jobs/1/logs?follow=1");
  stream->set_full(true);
  std::string all;
  for (int line = 0; line < 3000; ++line) {
    append(rank(id, 1), "line " + std::to_string(line) + "\n");
    all += "line " + std::to_string(line) + "\n";
  }
  exits(rank(id, 1), jobs::testing::exit_with(0));
  settle();
  EXPECT_EQ(stream->body().size(), 0u) << "nothing is written while the client does not read";
  stream->fill_after(100'000);
  stream->set_full(false);
  settle();
  const std::size_t first = stream->body().size();
  EXPECT_GE(first, 100'000u);
  EXPECT_LT(first, 200'000u);
  stream->fill_after(std::numeric_limits<std::size_t>::max());
  stream->set_full(false);
  settle();
  EXPECT_TRUE(texts(stream) == all + "end SUCCEEDED") << stream->body().size();
}

TEST_F(LogRoutesTest, line_that_came_in_pieces_counts_once_in_the_tail) {
  const JobId id = running_job();
  for (const char* piece : {"one\n", "tw", "o", "\nth", "ree\n", "fo"}) append(rank(id, 1), piece);
  EXPECT_EQ(plain("/api/v1/jobs/1/logs?tail=0"), "");
  EXPECT_EQ(plain("/api/v1/jobs/1/logs?tail=1"), "fo");
  EXPECT_EQ(plain("/api/v1/jobs/1/logs?tail=2"), "three\nfo");
  EXPECT_EQ(plain("/api/v1/jobs/1/logs?tail=3"), "two\nthree\nfo");
  EXPECT_EQ(plain("/api/v1/jobs/1/logs?tail=4"), "one\ntwo\nthree\nfo");
  append(rank(id, 1), "ur\n");
  EXPECT_EQ(plain("/api/v1/jobs/1/logs?tail=1"), "four\n");
  EXPECT_EQ(plain("/api/v1/jobs/1/logs?tail=9"), "one\ntwo\nthree\nfour\n");
}

TEST_F(LogRoutesTest, stream_goes_on_between_records_only) {
  const JobId id = running_job();
  append(rank(id, 1), "first\n");
  append(rank(id, 1), "second\n");
  net::Request inside = request("GET", "/api/v1/jobs/1/logs");
  inside.headers.set("Accept", "text/event-stream");
  inside.headers.set("Last-Event-ID", "1/3");
  const net::Response refused = call(inside);
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, HasSubstr("log.position"));
}

TEST_F(LogRoutesTest, faulty_requests_are_refused) {
  running_job();
  EXPECT_EQ(call("GET", "/api/v1/jobs/9/logs").status, 404);
  EXPECT_EQ(call("GET", "/api/v1/jobs/x/logs").status, 400);
  for (const char* query : {"rank=x", "rank=-1", "attempt=1.5", "rank=4294967296"}) {
    EXPECT_EQ(call("GET", std::string("/api/v1/jobs/1/logs?") + query).status, 400) << query;
  }
}

TEST_F(LogRoutesTest, attempt_or_rank_that_never_was_is_not_an_empty_log) {
  running_job();
  EXPECT_EQ(call("GET", "/api/v1/jobs/1/logs?attempt=1&rank=0").status, 200);
  for (const char* query : {"attempt=0", "attempt=2", "rank=5000"}) {
    EXPECT_EQ(call("GET", std::string("/api/v1/jobs/1/logs?") + query).status, 404) << query;
  }
}

TEST_F(LogRoutesTest, place_that_cannot_be_read_begins_anew) {
  const JobId id = running_job();
  append(rank(id, 1), "line\n");
  for (const char* place : {"x", "1", "1/", "1/x", "/5", "1/5,", "1/-1"}) {
    EXPECT_EQ(texts(open("/api/v1/jobs/1/logs", place)), "line\nend RUNNING") << place;
  }
}

TEST_F(LogRoutesTest, logs_are_for_viewers) {
  running_job();
  EXPECT_EQ(statuses("GET", "/api/v1/jobs/1/logs"), "401 200 200 200 200");
  EXPECT_EQ(router.routes().size(), 1u) << "a new route needs a line above";
}

}  // namespace
}  // namespace trainyard::api
