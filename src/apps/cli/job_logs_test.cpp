#include <gtest/gtest.h>

#include <fmt/format.h>

#include "apps/cli/command_tree.h"
#include "apps/cli/testing/cli_over_fake_platform.h"

namespace trainyard::apps {
namespace {

using testing::CliRun;
using Lines = std::vector<std::string>;

/// Two lines of each job that name it, the second without an end.
void answer_lines(const net::Request& request, const net::ResponderPtr& responder) {
  const std::string id = request.path_parameters.at("id");
  const std::string log = fmt::format(R"({{"rank":0,"stream":"stdout","text":"job {}\nhalf"}})", id);
  responder->respond(net::text_response(200, net::sse_event("1/9", "log", log) + net::sse_event("1/9", "end", R"({"state":"SUCCEEDED"})"),
                                        "text/event-stream"));
}

class JobLogsTest : public testing::CliOverFakePlatform {
 protected:
  /// Array 17 with the elements 18, 19, ...
  void make_array(int elements) {
    std::string jobs;
    for (int i = elements - 1; i >= 0; --i)
      jobs += fmt::format(R"({}{{"id":"{}","array_parent":"17","array_index":{}}})", jobs.empty() ? "" : ",", 18 + i, i);
    platform_.answer("GET", "/api/v1/jobs", R"({"jobs":[)" + jobs + "]}");
    platform_.answer("GET", "/api/v1/jobs/{id}", [elements](const net::Request& request, const net::ResponderPtr& responder) {
      const std::string id = request.path_parameters.at("id");
      const Document array = Document::object({{"count", 2000}, {"created", elements}});
      const int index = std::stoi(id) - 18;
      const Document parent = Document::object({{"id", id}, {"state", "RUNNING"}, {"array", array}});
      const Document element = Document::object({{"id", id}, {"state", "RUNNING"}, {"array_parent", "17"}, {"array_index", index}});
      responder->respond(net::json_response(200, id == "17" ? parent : element));
    });
    platform_.answer("GET", "/api/v1/jobs/{id}/logs", answer_lines);
  }
};

TEST_F(JobLogsTest, log_of_an_array_is_that_of_its_elements_by_index) {
  make_array(2);
  const CliRun run = cli({"job", "logs", "17"});
  EXPECT_EQ(run.out, "17[0]: job 18\n17[0]: half\n17[1]: job 19\n17[1]: half\n");
  EXPECT_EQ(run.err, "");
  EXPECT_EQ(run.code, kOk);
}

TEST_F(JobLogsTest, logs_of_several_jobs_come_one_after_the_other) {
  make_array(3);
  EXPECT_EQ(cli({"job", "logs", "17[1-2]", "--grep", "job"}).out, "17[1]: job 19\n17[2]: job 20\n");
}

TEST_F(JobLogsTest, array_without_elements_is_told_with_the_next_step) {
  make_array(0);
  const CliRun run = cli({"job", "logs", "17"});
  EXPECT_EQ(run.code, kOk);
  EXPECT_EQ(run.out, "");
  EXPECT_NE(run.err.find("array"), std::string::npos) << run.err;
  EXPECT_NE(run.err.find("trainyard job explain 17"), std::string::npos) << run.err;
}

TEST_F(JobLogsTest, array_with_many_elements_says_how_to_read_some) {
  make_array(101);
  const CliRun run = cli({"job", "logs", "17"});
  EXPECT_EQ(run.code, kUsage);
  EXPECT_EQ(run.out, "");
  EXPECT_NE(run.err.find("trainyard job logs 17[0-99]"), std::string::npos) << run.err;
}

TEST_F(JobLogsTest, only_one_job_is_followed) {
  make_array(3);
  for (const char* several : {"17", "17[0-1]"}) {
    const CliRun run = cli({"job", "logs", "-f", several});
    EXPECT_EQ(run.code, kUsage) << several;
    EXPECT_EQ(run.out, "") << several;
    EXPECT_NE(run.err.find("17[0]"), std::string::npos) << run.err;
  }
}

TEST_F(JobLogsTest, failure_of_one_log_does_not_hold_up_the_others) {
  make_array(2);
  platform_.refuse("GET", "/api/v1/jobs/{id}/logs", not_found("log.unknown_attempt", "there is no attempt 2"));
  platform_.answer("GET", "/api/v1/jobs/{id}/logs", answer_lines);
  const CliRun first = cli({"job", "logs", "17"});
  EXPECT_EQ(first.code, kOwnFailure);
  EXPECT_EQ(first.out, "17[0]: job 18\n17[0]: half\n");
  EXPECT_NE(first.err.find("job 17[1]"), std::string::npos) << first.err;
}

TEST_F(JobLogsTest, tail_of_nothing_is_what_comes_from_now_on) {
  platform_.answer("GET", "/api/v1/jobs/{id}/logs", answer_lines);
  platform_.answer("GET", "/api/v1/jobs/{id}/logs", [](const net::Request&, const net::ResponderPtr& responder) {
    responder->respond(net::text_response(200,
                                          net::sse_event("1/12", "log", R"({"rank":0,"stream":"stdout","text":"new\n"})") +
                                              net::sse_event("1/12", "end", R"({"state":"FAILED","exit_code":4})"),
                                          "text/event-stream"));
  });
  const CliRun run = cli({"job", "logs", "-f", "7", "--tail", "0", "--since", "10m"});
  EXPECT_EQ(run.out, "new\n");
  EXPECT_EQ(run.code, 4) << run.err;
  EXPECT_EQ(platform_.lines(), (Lines{"GET /api/v1/jobs/7/logs?follow=0&since=10m&tail=1", "GET /api/v1/jobs/7/logs?follow=1"}));
  EXPECT_EQ(platform_.asked()[1].headers.get("Last-Event-ID").value_or(""), "1/9");
}

TEST_F(JobLogsTest, tail_of_nothing_without_following_prints_nothing) {
  platform_.answer("GET", "/api/v1/jobs/{id}/logs", answer_lines);
  platform_.refuse("GET", "/api/v1/jobs/{id}/logs", not_found("job.unknown", "there is no job 8"));
  const CliRun run = cli({"job", "logs", "7", "--tail", "0"});
  EXPECT_EQ(run.out, "");
  EXPECT_EQ(run.code, kOk) << run.err;
  EXPECT_EQ(cli({"job", "logs", "8", "--tail", "0"}).code, kOwnFailure);
}

TEST_F(JobLogsTest, tail_beyond_what_the_server_takes_is_refused_before_it_is_asked) {
  EXPECT_EQ(cli({"job", "logs", "7", "--tail", "1000001"}).code, kUsage);
}

TEST_F(JobLogsTest, submitted_array_is_waited_for_instead_of_followed) {
  platform_.answer("POST", "/api/v1/jobs", R"({"id":"17","state":"QUEUED","array":{"count":2}})", 201);
  platform_.answer("GET", "/api/v1/jobs/{id}", R"({"id":"17","state":"FAILED","reason":"so","array":{"count":2}})");
  const CliRun run = cli({"job", "submit", "--array", "0-1", "--follow", "--", "x"});
  EXPECT_EQ(run.code, kFailed);
  EXPECT_NE(run.err.find("`trainyard job logs 17`"), std::string::npos) << run.err;
  EXPECT_NE(run.err.find("job 17 FAILED: so"), std::string::npos) << run.err;
}

}  // namespace
}  // namespace trainyard::apps
