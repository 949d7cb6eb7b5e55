#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>

#include "apps/cli/command_tree.h"
#include "apps/cli/testing/cli_over_fake_platform.h"
#include "base/file.h"

namespace trainyard::apps {
namespace {

using testing::CliRun;
using Lines = std::vector<std::string>;

class WriteRequestsTest : public testing::CliOverFakePlatform {};

TEST_F(WriteRequestsTest, actions_on_jobs_are_posted) {
  for (const char* verb : {"retry", "hold", "release", "checkpoint", "preempt", "cancel", "priority"}) {
    platform_.answer("POST", std::string("/api/v1/jobs/{id}/") + verb, R"({"id":"17","state":"QUEUED"})");
  }
  EXPECT_EQ(cli({"job", "hold", "17"}).out, "job 17 QUEUED\n");
  cli({"job", "release", "17"});
  cli({"job", "checkpoint", "17"});
  cli({"job", "preempt", "17"});
  cli({"job", "cancel", "17", "--reason", "wrong data"});
  cli({"job", "priority", "-5", "17"});
  EXPECT_EQ(platform_.lines(), (Lines{"POST /api/v1/jobs/17/hold", "POST /api/v1/jobs/17/release", "POST /api/v1/jobs/17/checkpoint",
                                      "POST /api/v1/jobs/17/preempt", "POST /api/v1/jobs/17/cancel", "POST /api/v1/jobs/17/priority"}));
  EXPECT_EQ(body(4), R"({"reason":"wrong data"})");
  EXPECT_EQ(body(5), R"({"priority":-5})");
}

TEST_F(WriteRequestsTest, several_jobs_give_a_line_each_and_the_worst_code) {
  platform_.answer("POST", "/api/v1/jobs/{id}/hold", [](const net::Request& request, const net::ResponderPtr& responder) {
    const std::string id = request.path_parameters.at("id");
    if (id == "2") return responder->respond(net::problem_response(not_found("job.unknown", "there is no job 2"), "req-2"));
    if (id == "3")
      return responder->respond(net::problem_response(Error{Category::kAborted, "job.conflict", "it changed", {}, {}}, "req-3"));
    responder->respond(net::json_response(200, Document::object({{"id", id}, {"state", "QUEUED"}})));
  });
  const CliRun run = cli({"job", "hold", "1-4"});
  EXPECT_EQ(run.code, kConflict);
  EXPECT_EQ(run.out, "job 1 QUEUED\njob 4 QUEUED\n");
  EXPECT_NE(run.err.find("there is no job 2"), std::string::npos) << run.err;
  EXPECT_NE(run.err.find("request: req-3"), std::string::npos) << run.err;
  EXPECT_EQ(parse_json(cli({"job", "hold", "1,4", "-o", "json"}).out).value()["jobs"].items().size(), 2U);
}

TEST_F(WriteRequestsTest, nothing_destructive_happens_without_a_yes) {
  platform_.answer("POST", "/api/v1/jobs/{id}/cancel", R"({"id":"1","state":"CANCELLED"})");
  platform_.answer("GET", "/api/v1/jobs/{id}", R"({"id":"1","state":"RUNNING"})");
  platform_.answer("POST", "/api/v1/nodes/{name}/drain", R"({"name":"a"})");
  platform_.answer("DELETE", "/api/v1/tokens/{id}", "{}");
  platform_.answer("DELETE", "/api/v1/users/{name}", "{}");
  for (const Lines& words :
       std::vector<Lines>{{"job", "cancel", "1-3"}, {"node", "drain", "a"}, {"token", "revoke", "4"}, {"user", "delete", "ada"}}) {
    const CliRun run = cli(words);
    EXPECT_EQ(run.code, kUsage) << words[0];
    EXPECT_NE(run.err.find("--yes"), std::string::npos) << run.err;
  }
  EXPECT_TRUE(platform_.lines().empty());
  EXPECT_EQ(cli({"job", "cancel", "1-2", "--dry-run"}).code, kOk);
  EXPECT_EQ(platform_.lines(), (Lines{"GET /api/v1/jobs/1", "GET /api/v1/jobs/2"}));
  EXPECT_EQ(cli({"job", "cancel", "1-2", "--yes"}).code, kOk);
  EXPECT_EQ(cli({"node", "drain", "a", "-y"}).out, "node a: drain\n");
  EXPECT_EQ(cli({"token", "revoke", "4", "-y"}).out, "token 4 revoked\n");
  EXPECT_EQ(cli({"user", "delete", "ada", "-y"}).out, "user ada deleted\n");
  EXPECT_EQ(platform_.lines().back(), "DELETE /api/v1/users/ada");
}

TEST_F(WriteRequestsTest, submit_sends_the_options_as_a_spec_and_a_key) {
  platform_.answer("POST", "/api/v1/jobs", R"({"id":"8","state":"QUEUED"})", 201);
  const CliRun run = cli({"job",          "submit", "--name",  "n",     "--cpu",   "500m", "--memory",   "1GiB",  "--gpu",   "1",
                          "--tasks",      "2",      "--queue", "v",     "-n",      "ns",   "--priority", "3",     "--retry", "2",
                          "--time-limit", "1h",     "--array", "0-9%2", "--after", "5",    "--after",    "6:any", "--hold",  "-l",
                          "a=b",          "-e",     "K=v=w",   "--",    "sh",      "-c",   "x"});
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(run.out, "job 8 QUEUED\n");
  EXPECT_EQ(parse_json(body(0)).value(),
            parse_json(R"({"command":["sh","-c","x"],"name":"n","queue":"v","namespace":"ns","array":"0-9%2","tasks":2,"priority":3,
                           "hold":true,
                           "resources":{"cpu":"500m","memory":"1GiB","gpu":"1"},"retry":{"user":2},"limits":{"attempt":"1h"},
                           "after":["5","6:any"],
                           "labels":{"a":"b"},"env":{"K":"v=w"}})")
                .value());
  EXPECT_GE(platform_.asked()[0].headers.get("Idempotency-Key").value_or("").size(), 32U);
  EXPECT_EQ(cli({"job", "submit", "-q", "--idempotency-key", "k", "--", "x"}).out, "8\n");
  EXPECT_EQ(platform_.asked()[1].headers.get("Idempotency-Key").value_or(""), "k");
}

TEST_F(WriteRequestsTest, submit_after_the_last_job_names_it) {
  platform_.answer("GET", "/api/v1/jobs", R"({"jobs":[{"id":"7"}]})");
  platform_.answer("GET", "/api/v1/jobs", R"({"jobs":[{"id":"7"}]})");
  platform_.answer("POST", "/api/v1/jobs", R"({"id":"8","state":"QUEUED"})", 201);
  const CliRun run = cli({"job", "submit", "--after", "last", "--after", "last:any", "--", "x"});
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(parse_json(platform_.asked().back().body)->find("after")->items().size(), 2U);
  EXPECT_EQ(to_json((*parse_json(platform_.asked().back().body))["after"]), R"(["7","7:any"])");
}

TEST_F(WriteRequestsTest, wrong_use_of_submit_is_told_before_anything_is_sent) {
  for (const Lines& words : std::vector<Lines>{{"job", "submit"},
                                               {"job", "submit", "job.yaml"},
                                               {"job", "submit", "-f", "x.yaml", "--queue", "v"},
                                               {"job", "submit", "-f", "x.yaml", "--", "ls"},
                                               {"job", "submit", "-l", "novalue", "--", "ls"}}) {
    EXPECT_EQ(cli(words).code, kUsage) << words.back();
  }
  EXPECT_TRUE(platform_.lines().empty());
}

TEST_F(WriteRequestsTest, dry_run_shows_the_plan) {
  platform_.answer("POST", "/api/v1/jobs", R"({"plan":{"starts_now":true,"placement":[{"node":"a"},{"node":"b"}]},"spec":{}})");
  platform_.answer("POST", "/api/v1/jobs",
                   R"({"plan":{"starts_now":false,"explanation":{"code":"WaitingForResources","text":"Too little is free.",
                                              "fix":[{"dimension":"cpu","text":"4 instead of 8"}]}},"spec":{}})");
  EXPECT_EQ(cli({"job", "submit", "--dry-run", "--", "x"}).out, "would start now on a, b\n");
  EXPECT_EQ(cli({"job", "submit", "--dry-run", "--", "x"}).out,
            "would wait: WaitingForResources: Too little is free.\n  starts now with: cpu 4 instead of 8\n");
  EXPECT_EQ(platform_.lines()[0], "POST /api/v1/jobs?dry_run=1");
  EXPECT_FALSE(platform_.asked()[0].headers.get("Idempotency-Key"));
}

TEST_F(WriteRequestsTest, queues_and_nodes_are_controlled) {
  platform_.answer("POST", "/api/v1/queues/{name}/stop", "{}");
  platform_.answer("POST", "/api/v1/queues/{name}/start", "{}");
  platform_.answer("POST", "/api/v1/nodes/{name}/cordon", R"({"name":"gpu 3"})");
  platform_.answer("POST", "/api/v1/nodes/{name}/uncordon", R"({"name":"gpu 3"})");
  EXPECT_EQ(cli({"queue", "stop", "v", "w", "--reason", "repair"}).out, "queue v: stop\nqueue w: stop\n");
  EXPECT_EQ(cli({"queue", "start", "v", "-q"}).out, "v\n");
  EXPECT_EQ(cli({"node", "cordon", "gpu 3"}).out, "node gpu 3: cordon\n");
  EXPECT_EQ(cli({"node", "uncordon", "gpu 3"}).code, 0);
  EXPECT_EQ(platform_.lines(), (Lines{"POST /api/v1/queues/v/stop", "POST /api/v1/queues/w/stop", "POST /api/v1/queues/v/start",
                                      "POST /api/v1/nodes/gpu 3/cordon", "POST /api/v1/nodes/gpu 3/uncordon"}));
  EXPECT_EQ(body(0), R"({"reason":"repair"})");
}

TEST_F(WriteRequestsTest, grants_are_set_and_taken_away_by_namespace) {
  platform_.answer("PUT", "/api/v1/users/{name}/grants", R"({"grants":[{"namespace":"b","role":"operator"}]})");
  platform_.answer("DELETE", "/api/v1/users/{name}/grants", R"({"grants":[]})");
  EXPECT_EQ(cli({"user", "grant", "ada", "operator", "-n", "b"}).out, "user ada: operator in b\n");
  EXPECT_EQ(body(0), R"({"namespace":"b","role":"operator"})");
  EXPECT_EQ(cli({"user", "grant", "ada", "none"}).out, "user ada: none in *\n");
  EXPECT_EQ(platform_.lines().back(), "DELETE /api/v1/users/ada/grants?namespace=*");
}

TEST_F(WriteRequestsTest, users_are_created_and_disabled) {
  platform_.answer("POST", "/api/v1/users", R"({"name":"ada"})", 201);
  platform_.answer("PATCH", "/api/v1/users/{name}", R"({"name":"ada"})");
  EXPECT_EQ(cli({"user", "create", "ada", "--role", "runner", "-n", "vision"}).out, "user ada\n");
  EXPECT_EQ(cli({"user", "disable", "ada"}).out, "user ada disabled\n");
  EXPECT_EQ(cli({"user", "enable", "ada", "-q"}).out, "ada\n");
  EXPECT_EQ(parse_json(body(0)).value(), parse_json(R"({"name":"ada","grants":[{"namespace":"vision","role":"runner"}]})").value());
  EXPECT_EQ(body(1), R"({"disabled":true})");
  EXPECT_EQ(body(2), R"({"disabled":false})");
}

TEST_F(WriteRequestsTest, new_token_goes_to_its_file_alone) {
  platform_.answer("POST", "/api/v1/tokens", R"({"token":{"id":"4","name":"ci"},"secret":"ty_secret"})", 201);
  platform_.answer("POST", "/api/v1/agents/join-tokens", R"({"id":"5","expires_at":"2030-01-01T00:00:00Z","secret":"ty_join"})", 201);
  const std::string directory = make_temporary_directory("trainyard-token-").value();
  const std::string file = directory + "/t";
  const CliRun run = cli({"token", "create", "--name", "ci", "--role", "runner", "--expires-in", "30d", "--out", file, "-o", "json"});
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_EQ((run.out + run.err).find("ty_secret"), std::string::npos);
  EXPECT_EQ(read_file(file).value(), "ty_secret\n");
  EXPECT_EQ(parse_json(run.out).value()["token"]["id"].text(), "4");
  EXPECT_EQ(body(0), R"({"name":"ci","role":"runner","expires_in":"30d"})");
  EXPECT_EQ(cli({"token", "join", "--pool", "gpu", "--node", "n1", "--uses", "3", "-l", "a=b"}).out, "ty_join\n");
  EXPECT_EQ(parse_json(body(1)).value(), parse_json(R"({"node":"n1","pool":"gpu","uses":3,"labels":{"a":"b"}})").value());
  ASSERT_TRUE(remove_tree(directory).ok());
}

TEST_F(WriteRequestsTest, apply_checks_every_document_before_it_sends_one) {
  platform_.answer("POST", "/api/v1/jobs", R"({"plan":{"starts_now":true},"spec":{}})");
  platform_.answer("POST", "/api/v1/jobs", R"({"plan":{"starts_now":true},"spec":{}})");
  platform_.answer("POST", "/api/v1/jobs", R"({"id":"8","state":"QUEUED"})", 201);
  platform_.answer("POST", "/api/v1/jobs", R"({"id":"9","state":"QUEUED"})", 201);
  const std::string directory = make_temporary_directory("trainyard-apply-").value();
  const std::string file = directory + "/jobs.yaml";
  ASSERT_TRUE(write_file_atomically(file, "command: [a]\n---\n# second\ncommand: [b]\n").ok());
  const CliRun run = cli({"apply", "-f", file});
  EXPECT_EQ(run.out, "job 8 QUEUED\njob 9 QUEUED\n") << run.err;
  const std::string target = "POST /api/v1/jobs?file=" + file;
  const std::string checked = "POST /api/v1/jobs?dry_run=1&file=" + file;
  EXPECT_EQ(platform_.lines(), (Lines{checked, checked, target, target}));
  EXPECT_EQ(body(3), "\n---\n# second\ncommand: [b]\n");
  ASSERT_TRUE(remove_tree(directory).ok());
}

TEST_F(WriteRequestsTest, apply_without_a_file_is_wrong_use) {
  const CliRun run = cli({"apply"});
  EXPECT_EQ(run.code, kUsage);
  EXPECT_NE(run.err.find("trainyard apply -f jobs.yaml"), std::string::npos) << run.err;
  EXPECT_TRUE(platform_.lines().empty());
}

TEST_F(WriteRequestsTest, apply_of_several_documents_is_one_list_for_programs) {
  const auto apply = [this](const std::string& text, const std::string& format, bool dry_run = false) {
    const std::string directory = make_temporary_directory("trainyard-apply-").value();
    EXPECT_TRUE(write_file_atomically(directory + "/jobs.yaml", text).ok());
    std::vector<std::string> words{"apply", "-f", directory + "/jobs.yaml", "-o", format};
    if (dry_run) words.emplace_back("--dry-run");
    const CliRun run = cli(words);
    EXPECT_TRUE(remove_tree(directory).ok());
    return run;
  };
  platform_.answer("POST", "/api/v1/workflows:run", R"({"id":"3","workflow":"w","state":"RUNNING"})", 201);
  platform_.answer("POST", "/api/v1/jobs", [](const net::Request& request, const net::ResponderPtr& responder) {
    if (request.query_value("dry_run")) return responder->respond(net::json_response(200, parse_json(R"({"plan":{}})").value()));
    if (request.body.find("[c]") != std::string::npos)
      return responder->respond(net::problem_response(Error{Category::kResourceExhausted, "quota.full", "it is full", {}, {}}, "r"));
    responder->respond(net::json_response(201, parse_json(R"({"id":"8","state":"QUEUED"})").value()));
  });
  const std::string mixed = "command: [a]\n---\nworkflow: w\n";
  const Document list = parse_json(R"([{"id":"8","state":"QUEUED"},{"id":"3","workflow":"w","state":"RUNNING"}])").value();
  EXPECT_EQ(parse_json(apply(mixed, "json").out).value(), list);
  EXPECT_EQ(parse_yaml(apply(mixed, "yaml").out, "y").value(), list);
  EXPECT_EQ(apply(mixed, "ndjson").out, to_json(list.items()[0]) + "\n" + to_json(list.items()[1]) + "\n");
  EXPECT_EQ(apply(mixed, "name").out, "job/8\nworkflow/3\n");
  EXPECT_EQ(apply(mixed, "jsonpath=[*].id").out, "8\n3\n");
  EXPECT_EQ(parse_json(apply("command: [a]\n", "json").out).value(), list.items()[0]);
  EXPECT_EQ(parse_json(apply("command: [a]\n---\ncommand: [b]\n", "json", true).out).value().items().size(), 2U);
  const CliRun stopped = apply("command: [a]\n---\ncommand: [c]\n---\ncommand: [b]\n", "json");
  EXPECT_EQ(stopped.code, kQuota);
  EXPECT_EQ(parse_json(stopped.out).value(), Document::array({list.items()[0]})) << "what was made before the failure is told";
}

TEST_F(WriteRequestsTest, answers_about_several_things_are_one_document_for_programs) {
  platform_.answer("POST", "/api/v1/queues/{name}/stop", "{}");
  platform_.answer("POST", "/api/v1/nodes/{name}/cordon", "{}");
  platform_.answer("DELETE", "/api/v1/tokens/{id}", "{}");
  platform_.answer("DELETE", "/api/v1/users/{name}", "{}");
  platform_.answer("POST", "/api/v1/jobs/{id}/hold", R"({"id":"1","state":"QUEUED"})");
  const std::pair<Lines, std::string> commands[] = {{{"queue", "stop", "v", "w"}, "queues"},
                                                    {{"node", "cordon", "a", "b"}, "nodes"},
                                                    {{"token", "revoke", "4", "5", "-y"}, "tokens"},
                                                    {{"user", "delete", "ada", "bob", "-y"}, "users"},
                                                    {{"job", "hold", "1", "2"}, "jobs"}};
  for (const auto& [words, plural] : commands) {
    Lines with = words;
    with.insert(with.end(), {"-o", "json"});
    const CliRun run = cli(with);
    const Result<Document> json = parse_json(run.out);
    ASSERT_TRUE(json.ok()) << plural << run.out << run.err;
    EXPECT_EQ((*json)[plural].items().size(), 2U) << plural << run.out;
    with.back() = "ndjson";
    const std::string lines = cli(with).out;
    EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 2) << plural << lines;
  }
}

TEST_F(WriteRequestsTest, quiet_wait_for_a_submitted_job_prints_its_id) {
  platform_.answer("POST", "/api/v1/jobs", R"({"id":"8","state":"QUEUED"})", 201);
  platform_.answer("GET", "/api/v1/jobs/{id}", R"({"id":"8","state":"FAILED","exit_code":9})");
  const CliRun run = cli({"job", "submit", "--wait", "-q", "--", "x"});
  EXPECT_EQ(run.out, "8\n");
  EXPECT_EQ(run.code, 9);
}

TEST_F(WriteRequestsTest, fault_in_a_file_is_shown_with_its_line) {
  platform_.answer("POST", "/api/v1/jobs", [](const net::Request& request, const net::ResponderPtr& responder) {
    const std::string file = request.query_value("file").value_or("");
    responder->respond(net::problem_response(invalid_argument("spec.unknown_key", "unknown key \"taskss\"", file + ":2:1"), "req-1"));
  });
  const std::string directory = make_temporary_directory("trainyard-spec-").value();
  const std::string file = directory + "/job.yaml";
  ASSERT_TRUE(write_file_atomically(file, "command: [a]\ntaskss: 2\n").ok());
  const CliRun run = cli({"job", "submit", "-f", file});
  EXPECT_EQ(run.code, kUsage);
  EXPECT_TRUE(run.err.starts_with("error: " + file + ":2:1: spec.unknown_key: unknown key \"taskss\"\n  2 | taskss: 2\n    | ^~~~~~\n"))
      << run.err;
  EXPECT_NE(run.err.find("  request: req-1\n"), std::string::npos) << run.err;
  ASSERT_TRUE(remove_tree(directory).ok());
}

}  // namespace
}  // namespace trainyard::apps
