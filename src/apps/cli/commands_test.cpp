#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "apps/cli/command_tree.h"
#include "apps/cli/testing/cli_over_fake_platform.h"
#include "base/document.h"

namespace trainyard::apps {
namespace {

using testing::CliRun;
using Lines = std::vector<std::string>;

class CommandsTest : public testing::CliOverFakePlatform {};

struct Listing {
  std::vector<std::string> words;
  std::string path;
  std::string plural;
  std::string item;
};

const std::vector<Listing>& listings() {
  static const std::vector<Listing> table{
      {{"job", "ls"}, "/api/v1/jobs", "jobs", R"({"id":"7","name":"n","kind":"command","state":"RUNNING"})"},
      {{"ps"}, "/api/v1/jobs", "jobs", R"({"id":"7","state":"RUNNING"})"},
      {{"job", "attempts", "7"}, "/api/v1/jobs/7/attempts", "attempts", R"({"number":1,"nodes":["a"],"exit_code":3,"cause":"user"})"},
      {{"job", "events", "7"},
       "/api/v1/jobs/7/events",
       "events",
       R"({"number":"9","type":"running","job":"7","values":{"state":"RUNNING"}})"},
      {{"workflow", "ls"}, "/api/v1/workflows", "workflows", R"({"id":"1","workflow":"w","state":"RUNNING"})"},
      {{"queue", "ls"}, "/api/v1/queues", "queues", R"({"name":"vision","pending":3,"running":1,"share":0.5,"stopped":false})"},
      {{"node", "ls"}, "/api/v1/nodes", "nodes", R"({"name":"gpu-03","state":"ready","cpu":8,"memory":"8GiB","labels":{"a":"b"}})"},
      {{"pool", "ls"}, "/api/v1/pools", "pools", R"({"name":"gpu","backend":"agents","nodes":3})"},
      {{"usage"}, "/api/v1/usage", "usage", R"({"key":"ada","jobs":1,"cpu_seconds":10})"},
      {{"user", "ls"}, "/api/v1/users", "users", R"({"name":"ada","grants":[{"namespace":"vision","role":"runner"}]})"},
      {{"token", "ls"}, "/api/v1/tokens", "tokens", R"({"id":"4","name":"ci","user":"ada"})"},
      {{"run", "ls"}, "/api/v1/runs", "runs", R"({"id":"r1","name":"n","status":"FINISHED"})"},
      {{"model", "ls"}, "/api/v1/models", "models", R"({"name":"m","latest_version":2})"},
      {{"dataset", "ls"}, "/api/v1/datasets", "datasets", R"({"name":"d","layers":[]})"},
  };
  return table;
}

TEST_F(CommandsTest, every_list_comes_in_every_format) {
  std::set<std::string> routes;
  for (const Listing& listing : listings()) {
    if (routes.insert(listing.path).second)
      platform_.answer("GET", listing.path, fmt::format(R"({{"{}":[{}]}})", listing.plural, listing.item));
  }
  for (const Listing& listing : listings()) {
    const std::string name = fmt::format("{}", fmt::join(listing.words, " "));
    const auto with = [&](std::vector<std::string> more) {
      more.insert(more.begin(), listing.words.begin(), listing.words.end());
      const CliRun run = cli(more);
      EXPECT_EQ(run.code, 0) << name << run.err;
      EXPECT_EQ(run.err, "") << name;
      return run.out;
    };
    const Result<Document> json = parse_json(with({"-o", "json"}));
    ASSERT_TRUE(json.ok()) << name;
    EXPECT_EQ((*json)[listing.plural].items().size(), 1U) << name;
    EXPECT_EQ(parse_yaml(with({"-o", "yaml"}), "y").value(), *json) << name;
    EXPECT_EQ(parse_json(with({"-o", "ndjson"})).value(), (*json)[listing.plural].items()[0]) << name;
    const std::string id = with({"-q"});
    EXPECT_EQ(std::count(id.begin(), id.end(), '\n'), 1) << name;
    EXPECT_TRUE(with({"-o", "name"}).ends_with("/" + id)) << name;
    const std::string table = with({});
    EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 2) << name << table;
    EXPECT_NE(with({"-o", "wide"}).find(id.substr(0, id.size() - 1)), std::string::npos) << name;
    EXPECT_EQ(with({"-o", "jsonpath=." + listing.plural + "[0]"}), to_json((*json)[listing.plural].items()[0]) + "\n") << name;
  }
}

TEST_F(CommandsTest, filters_of_a_list_reach_the_server) {
  platform_.answer("GET", "/api/v1/jobs", R"({"jobs":[]})");
  const CliRun run = cli({"job",     "ls",
                          "--state", "running,@failed",
                          "--queue", "v",
                          "--owner", "ada",
                          "-n",      "ns",
                          "--kind",  "train",
                          "--name",  "x y",
                          "-l",      "a=b",
                          "-l",      "c=d",
                          "--array", "17",
                          "--since", "2026-01-02T03:04:05Z",
                          "--limit", "5"});
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(run.err, "there are none yet\n");
  EXPECT_EQ(platform_.lines(),
            (Lines{"GET /api/v1/jobs?array=17&fields=id,name,kind,state,held,attempt,progress,array,array_parent,array_index,submitted_at,"
                   "queue,priority,owner,namespace,started_at,ended_at,exit_code,reason&kind=train&label=a=b&label=c=d&limit=5&name=x "
                   "y&namespace=ns&owner=ada&queue=v"
                   "&since=2026-01-02T03:04:05Z&state=RUNNING,FAILED,TIMED_OUT"}));
  EXPECT_EQ(cli({"job", "ls", "--state", "sleeping"}).code, kUsage);
  EXPECT_EQ(cli({"job", "ls", "--since", "yesterday"}).code, kUsage);
}

TEST_F(CommandsTest, long_list_says_that_there_is_more) {
  platform_.answer("GET", "/api/v1/jobs", R"({"jobs":[{"id":"2"},{"id":"1"}],"next_cursor":"c"})");
  const CliRun run = cli({"job", "ls", "--limit", "2"});
  EXPECT_NE(run.err.find("--limit"), std::string::npos);
  EXPECT_EQ(parse_json(cli({"job", "ls", "--limit", "2", "-o", "json"}).out).value()["next_cursor"].text(), "c");
}

TEST_F(CommandsTest, waiting_returns_the_code_of_the_job) {
  platform_.answer("GET", "/api/v1/jobs/{id}", R"({"id":"7","state":"RUNNING"})");
  platform_.answer("GET", "/api/v1/jobs/{id}", R"({"id":"7","state":"FAILED","exit_code":9,"reason":"so"})");
  const CliRun run = cli({"job", "wait", "7"});
  EXPECT_EQ(run.code, 9);
  EXPECT_EQ(run.out, "job 7 FAILED: so\n");
}

TEST_F(CommandsTest, wait_for_several_is_one_document_for_programs) {
  platform_.answer("GET", "/api/v1/jobs/{id}", R"({"id":"7","state":"SUCCEEDED"})");
  const CliRun run = cli({"job", "wait", "7,8", "-o", "json"});
  EXPECT_EQ(run.code, 0) << run.err;
  ASSERT_TRUE(parse_json(run.out).ok()) << run.out;
  EXPECT_EQ(parse_json(run.out).value()["jobs"].items().size(), 2U);
  EXPECT_EQ(cli({"job", "wait", "7,8", "-o", "jsonpath=.jobs[*].state"}).out, "SUCCEEDED\nSUCCEEDED\n");
}

TEST_F(CommandsTest, time_limit_of_a_wait_is_an_own_failure) {
  platform_.answer("GET", "/api/v1/jobs/{id}", R"({"id":"7","state":"RUNNING"})");
  const CliRun run = cli({"job", "wait", "7", "--timeout", "1ms"});
  EXPECT_EQ(run.code, kOwnFailure);
  EXPECT_NE(run.err.find("cli.wait_timeout"), std::string::npos);
}

TEST_F(CommandsTest, log_goes_on_behind_the_last_line_after_a_break) {
  platform_.answer("GET", "/api/v1/jobs/{id}/logs", [](const net::Request&, const net::ResponderPtr& responder) {
    net::Response head;
    head.headers.set("Content-Type", "text/event-stream");
    const auto stream = responder->stream(std::move(head));
    stream->write(net::sse_event("1/2", "log", R"({"rank":0,"stream":"stdout","text":"one\n"})"));
    stream->write(net::sse_event("1/4", "log", R"({"rank":0,"stream":"stdout","text":"two\n"})"));
    stream->write("id: 1/6\nevent: log\ndata: {\"rank\":0,\"stream\":\"stdout\",");
    stream->close();
  });
  platform_.answer("GET", "/api/v1/jobs/{id}/logs", [](const net::Request&, const net::ResponderPtr& responder) {
    responder->respond(net::text_response(200,
                                          net::sse_event("1/6", "log", R"({"rank":0,"stream":"stdout","text":"three\n"})") +
                                              net::sse_event("1/6", "end", R"({"state":"FAILED","exit_code":4})"),
                                          "text/event-stream"));
  });
  const CliRun run = cli({"job", "logs", "-f", "7", "--tail", "2", "--rank", "0"});
  EXPECT_EQ(run.out, "one\ntwo\nthree\n");
  EXPECT_EQ(run.code, 4);
  EXPECT_EQ(platform_.lines(), (Lines{"GET /api/v1/jobs/7/logs?follow=1&rank=0&tail=2", "GET /api/v1/jobs/7/logs?follow=1&rank=0&tail=2"}));
  EXPECT_EQ(platform_.asked()[1].headers.get("Last-Event-ID").value_or(""), "1/4");
}

TEST_F(CommandsTest, explanation_is_told_in_sentences) {
  platform_.answer("GET", "/api/v1/jobs/{id}/explain",
                   R"({"state":"QUEUED","code":"WaitingForQuota","text":"The queue is full.","position":3,
                                                          "fix":[{"dimension":"cpu","from":"8","to":"4","text":"4 cpu"}]})");
  platform_.answer("GET", "/api/v1/jobs/{id}/explain", R"({"state":"QUEUED","code":"Planned","text":"Soon.","position":0})");
  EXPECT_EQ(cli({"job", "explain", "7"}).out,
            "QUEUED: WaitingForQuota: The queue is full.\n3 jobs are before it in its queue.\nAny one of these would start it now:\n  cpu  "
            "     4 cpu\n");
  EXPECT_EQ(cli({"job", "explain", "8"}).out, "QUEUED: Planned: Soon.\nIt is the first in its queue.\n");
}

TEST_F(CommandsTest, can_i_answers_with_its_exit_code) {
  platform_.answer("GET", "/api/v1/can-i", R"({"allowed":true})");
  platform_.answer("GET", "/api/v1/can-i", R"({"allowed":false,"needs":"operator"})");
  EXPECT_EQ(cli({"can-i", "submitJob", "-n", "v"}).out, "yes\n");
  const CliRun run = cli({"can-i", "submitJob"});
  EXPECT_EQ(run.out, "no: it needs the role operator\n");
  EXPECT_EQ(run.code, kFailed);
}

TEST_F(CommandsTest, question_what_if_is_asked_and_answered) {
  platform_.answer("POST", "/api/v1/what-if", R"({"starts":[{"job":"17","before":null,"after":"2026-01-01T00:00:00Z"}]})");
  platform_.answer("POST", "/api/v1/what-if",
                   R"({"starts":[],"stops":[{"job":"3","name":"long"}],"others":2,"plan":{"starts_now":true,"placement":["a","b"]}})");
  EXPECT_NE(cli({"what-if", "--add-nodes", "2", "--cpu", "32", "--memory", "256GiB"}).out.find("17"), std::string::npos);
  EXPECT_EQ(body(0), R"({"add_nodes":{"count":2,"cpu":"32","memory":"256GiB"}})");
  EXPECT_EQ(cli({"what-if", "--drain", "a"}).out,
            "would start now on a, b\njob 3 (long) would leave its nodes\nand 2 more in namespaces that you do not see\n");
  EXPECT_EQ(cli({"what-if"}).code, kUsage);
  EXPECT_EQ(cli({"what-if", "--drain", "a", "--cancel", "3"}).code, kUsage);
}

TEST_F(CommandsTest, one_picture_of_top_is_printed_off_a_terminal) {
  platform_.answer("GET", "/api/v1/jobs", R"({"jobs":[{"id":"7","name":"n","kind":"command","state":"RUNNING","reason":"running"}]})");
  platform_.answer("GET", "/api/v1/nodes", R"({"nodes":[{"name":"gpu-03","state":"ready","cpu":8,"memory":"8GiB"}]})");
  platform_.answer("GET", "/api/v1/jobs/{id}/logs", [](const net::Request&, const net::ResponderPtr& responder) {
    responder->respond(
        net::text_response(200, net::sse_event("1", "log", R"({"text":"hello\n"})") + net::sse_event("1", "end", R"({"state":"RUNNING"})"),
                           "text/event-stream"));
  });
  const CliRun run = cli({"top"});
  EXPECT_EQ(run.code, 0) << run.err;
  for (const char* part : {"gpu-03", "JOBS", "RUNNING", "LOG of job 7", "hello"})
    EXPECT_NE(run.out.find(part), std::string::npos) << run.out;
  EXPECT_EQ(run.out.find('\x1b'), std::string::npos);
  EXPECT_EQ(parse_json(cli({"top", "-o", "json"}).out).value()["nodes"].items().size(), 1U);
}

TEST_F(CommandsTest, refusals_have_the_documented_codes) {
  const std::pair<Category, int> codes[] = {{Category::kInvalidArgument, 2},  {Category::kNotFound, 3},
                                            {Category::kPermissionDenied, 4}, {Category::kUnauthenticated, 4},
                                            {Category::kAlreadyExists, 5},    {Category::kFailedPrecondition, 5},
                                            {Category::kUnavailable, 6},      {Category::kResourceExhausted, 7}};
  for (const auto& [category, code] : codes) platform_.refuse("GET", "/api/v1/nodes", Error{category, "some.id", "refused", {}, {}});
  for (const auto& [category, code] : codes) EXPECT_EQ(cli({"node", "ls"}).code, code) << name_of(category);
}

TEST(Offline, help_and_its_like_need_no_server) {
  for (const Lines& words : std::vector<Lines>{{"help"},
                                               {"help", "job", "submit"},
                                               {"help", "--markdown"},
                                               {"version"},
                                               {"--version"},
                                               {"completion", "bash"},
                                               {"completion", "zsh"},
                                               {"completion", "fish"},
                                               {"man"},
                                               {"config", "explain"},
                                               {"job", "--help"}}) {
    const CliRun run = testing::run_words(words);
    EXPECT_EQ(run.code, 0) << fmt::format("{}", fmt::join(words, " ")) << run.err;
    EXPECT_NE(run.out, "");
    EXPECT_EQ(run.err, "");
  }
  EXPECT_EQ(testing::run_words({"completion", "tcsh"}).code, kUsage);
  EXPECT_EQ(testing::run_words({"help", "jbo"}).code, kUsage);
  EXPECT_EQ(testing::run_words({}).code, kUsage);
  EXPECT_EQ(testing::run_words({"version", "-o", "json"}).out, "{\n  \"version\": \"9.8.7\"\n}\n");
}

TEST(Offline, every_command_with_a_server_says_that_there_is_none) {
  for (const CommandSpec& command : command_tree()) {
    if (command.run == nullptr || command.offline || command.exits.size() < 7) continue;
    Lines words;
    for (std::size_t begin = 0; begin < command.path.size();) {
      const std::size_t end = std::min(command.path.find(' ', begin), command.path.size());
      words.push_back(command.path.substr(begin, end - begin));
      begin = end + 1;
    }
    for (const ArgumentSpec& argument : command.arguments) {
      if (argument.required || argument.repeated) words.emplace_back(argument.names == Names::kFile ? "/dev/null" : "1");
    }
    if (find_option(command, "--yes") != nullptr) words.emplace_back("--yes");
    if (command.path == "apply" || command.path == "what-if") continue;  // They read their files first.
    if (command.path == "user grant") words[3] = "viewer";
    const CliRun run = testing::run_words(words);
    EXPECT_EQ(run.code, kUnavailable) << command.path << "\n" << run.err;
    EXPECT_NE(run.err.find("client.no_server"), std::string::npos) << command.path << run.err;
  }
}

}  // namespace
}  // namespace trainyard::apps
