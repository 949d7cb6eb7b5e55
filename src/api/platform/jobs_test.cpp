#include "api/platform/jobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/platform/job_list.h"
#include "api/platform/testing/platform_world.h"

namespace trainyard::api {
namespace {

using ::testing::HasSubstr;

constexpr const char* kCommand = R"({"command":["work"],"resources":{"cpu":1}})";

class JobRoutesTest : public testing::PlatformWorld {
 protected:
  JobRoutesTest() {
    add_job_routes(router, context());
    add_job_list_route(router, context());
  }

  Document submit_json(const std::string& body = kCommand) { return json("POST", "/api/v1/jobs", body); }
  void end_first(int code = 0) {
    runs(rank(JobId(1), 1));
    exits(rank(JobId(1), 1), jobs::testing::exit_with(code));
    settle();
  }
};

TEST_F(JobRoutesTest, submit_answers_201_with_the_job_and_its_place) {
  const net::Response response = call("POST", "/api/v1/jobs", kCommand);
  EXPECT_EQ(response.status, 201) << response.body;
  EXPECT_EQ(response.headers.get("location"), "/api/v1/jobs/1");
  const Document job = parse_json(response.body).value();
  EXPECT_EQ(job["id"].text(), "1");
  EXPECT_EQ(job["owner"].text(), "ann");
  EXPECT_EQ(json("GET", "/api/v1/jobs/1")["id"].text(), "1");
}

TEST_F(JobRoutesTest, submit_is_answered_only_when_the_job_is_durable) {
  ledger.hold_commits();
  const net::testing::FakeAnswerPtr answer = begin(request("POST", "/api/v1/jobs", kCommand));
  EXPECT_FALSE(answer->answered());
  ledger.stop_holding();
  settle();
  ASSERT_TRUE(answer->answered());
  EXPECT_EQ(answer->wait()->status, 201);
}

TEST_F(JobRoutesTest, published_training_requests_are_accepted_as_printed) {
  const Document gang = submit_json(R"({"model_config": {"architecture": "resnet18", "num_classes": 10},
 "training_config": {"epochs": 10, "batch_size": 32, "learning_rate": 0.001, "world_size": 2},
 "dataset": "cifar10"})");
  EXPECT_EQ(gang["kind"].text(), "train");
  EXPECT_EQ(gang["spec"]["tasks"].as_int().value(), 2);
  const net::Response by_curl =
      call("POST", "/api/v1/jobs", R"({"training_config":{"epochs":2,"batch_size":32}})", {{"Content-Type", "application/json"}});
  EXPECT_EQ(by_curl.status, 201) << by_curl.body;
  EXPECT_EQ(parse_json(by_curl.body).value()["spec"]["inputs"]["data"].text(), "fashion");
}

TEST_F(JobRoutesTest, faulty_training_request_is_a_problem_with_pointer_and_next_step) {
  const net::Response response = call("POST", "/api/v1/jobs", R"({"training_config":{"epochs":2,"btch_size":32}})");
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(response.headers.get("content-type"), "application/problem+json");
  const Document problem = parse_json(response.body).value();
  EXPECT_EQ(problem["type"].text(), "urn:trainyard:error:spec.unknown_key");
  EXPECT_EQ(problem["title"].text(), "Bad Request");
  EXPECT_EQ(problem["status"].as_int().value(), 400);
  EXPECT_EQ(problem["code"].text(), "spec.unknown_key");
  EXPECT_EQ(problem["request_id"].text(), "test-request");
  EXPECT_EQ(problem["errors"].items().at(0)["pointer"].text(), "/training_config/btch_size");
  EXPECT_THAT(problem["detail"].text(), HasSubstr("did you mean \"batch_size\"?"));
}

TEST_F(JobRoutesTest, yaml_is_taken_and_its_faults_have_line_and_column) {
  EXPECT_EQ(submit_json("command: [echo, hello]\nname: greeting\n")["name"].text(), "greeting");
  const net::Response response = call("POST", "/api/v1/jobs?file=job.yaml", "command: [echo]\nresources:\n  cpus: 1\n");
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(parse_json(response.body).value()["errors"].items().at(0)["pointer"].text(), "job.yaml:3:3");
  const net::Response typed = call("POST", "/api/v1/jobs", R"({command: [echo]})", {{"Content-Type", "application/yaml"}});
  EXPECT_EQ(typed.status, 201) << typed.body;
}

TEST_F(JobRoutesTest, body_that_is_empty_or_no_document_is_refused) {
  for (const auto& [body, code] : {std::pair("", "spec.empty"), std::pair(" \n", "spec.empty"), std::pair("{", "json.malformed"),
                                   std::pair("[1]", "spec.type"), std::pair("{\"a\":1,\"a\":2}", "document.duplicate_key")}) {
    const net::Response response = call("POST", "/api/v1/jobs", body);
    EXPECT_EQ(response.status, 400) << body;
    EXPECT_EQ(parse_json(response.body).value()["code"].text(), code) << body;
  }
  EXPECT_TRUE(json("GET", "/api/v1/jobs")["jobs"].items().empty());
}

TEST_F(JobRoutesTest, dataset_that_is_unknown_and_job_that_never_fits_are_refused) {
  resolver.refusal = not_found("catalog.unknown_dataset", "no such dataset; to get it, ingest it");
  const net::Response unknown = call("POST", "/api/v1/jobs", kCommand);
  EXPECT_EQ(unknown.status, 404);
  EXPECT_THAT(unknown.body, HasSubstr("to get it"));
  resolver.refusal.reset();
  const net::Response impossible = call("POST", "/api/v1/jobs", R"({"command":["a"],"resources":{"cpu":400}})");
  EXPECT_EQ(impossible.status, 409);
  EXPECT_EQ(parse_json(impossible.body).value()["code"].text(), "spec.impossible_resources");
}

TEST_F(JobRoutesTest, same_idempotency_key_is_the_same_job_and_another_body_is_refused) {
  const auto send = [this](const std::string& body) { return call("POST", "/api/v1/jobs", body, {{"Idempotency-Key", "k"}}); };
  EXPECT_EQ(parse_json(send(kCommand).body).value()["id"].text(), "1");
  EXPECT_EQ(parse_json(send(kCommand).body).value()["id"].text(), "1");
  const net::Response other = send(R"({"command":["other"]})");
  EXPECT_EQ(other.status, 409);
  EXPECT_EQ(parse_json(other.body).value()["code"].text(), "idempotency.mismatch");
  EXPECT_EQ(json("GET", "/api/v1/jobs")["jobs"].items().size(), 1u);
}

TEST_F(JobRoutesTest, job_that_has_not_changed_is_not_sent_again) {
  const std::string path = "/api/v1/jobs/" + json("POST", "/api/v1/jobs", R"({"command":["a"],"hold":true})")["id"].text();
  const net::Response first = call("GET", path, "");
  const std::string tag(first.headers.get("ETag").value_or("none"));
  const net::Response again = call("GET", path, "", {{"If-None-Match", tag}});
  EXPECT_EQ(again.status, 304);
  EXPECT_EQ(again.body, "");
  ASSERT_EQ(call("DELETE", path).status, 202);
  EXPECT_EQ(call("GET", path, "", {{"If-None-Match", tag}}).status, 200);
}

TEST_F(JobRoutesTest, full_queue_is_429_with_what_to_do) {
  crash();
  settings.live_jobs_max = 1;
  boot();
  net::Router fresh{authorizer};
  add_job_routes(fresh, context());
  const auto send = [&] {
    const auto answer = net::testing::start_call(fresh, request("POST", "/api/v1/jobs", kCommand));
    settle();
    return *answer->wait();
  };
  EXPECT_EQ(send().status, 201);
  const net::Response refused = send();
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.headers.get("retry-after"), "1");
  EXPECT_THAT(refused.body, HasSubstr("wait for jobs to end or cancel some"));
}

TEST_F(JobRoutesTest, job_is_shown_with_its_metrics_live_and_ended) {
  submit_json();
  runs(rank(JobId(1), 1));
  ASSERT_TRUE(events(rank(JobId(1), 1), 0,
                     {R"({"event":"metric","key":"loss","value":0.5,"step":10,"time_us":1700000000000000})",
                      R"({"event":"metric","key":"loss","value":0.25,"step":20,"time_us":1700000001000000})",
                      R"({"event":"progress","done":3,"total":10,"message":"epoch 1"})",
                      R"({"event":"checkpoint","step":20,"manifest":"ty://c/20"})"})
                  .ok());
  const auto check = [this](const std::string& state) {
    const Document job = json("GET", "/api/v1/jobs/1");
    EXPECT_EQ(job["state"].text(), state);
    EXPECT_EQ(job["metrics"]["loss"]["value"].as_double().value(), 0.25);
    EXPECT_EQ(job["metrics"]["loss"]["step"].as_int().value(), 20);
    EXPECT_EQ(job["metrics"]["loss"]["time"].text(), "2023-11-14T22:13:21.000000Z");
    EXPECT_EQ(job["progress"]["done"].as_double().value(), 3);
    EXPECT_THAT(job["links"]["run"].text(), HasSubstr("/api/v1/runs/"));
    EXPECT_THAT(job["links"]["logs"].text(), HasSubstr("/api/v1/jobs/1/logs"));
    EXPECT_EQ(job["links"]["checkpoints"].text(), "/api/v1/jobs/1/events?type=checkpoint");
  };
  check("RUNNING");
  exits(rank(JobId(1), 1), jobs::testing::exit_with(0));
  check("SUCCEEDED");
}

TEST_F(JobRoutesTest, id_that_is_none_is_400_and_one_that_is_unknown_404) {
  for (const char* id : {"x", "0", "-1", "1x", "1-5", "99999999999999999999"}) {
    const net::Response response = call("GET", std::string("/api/v1/jobs/") + id);
    EXPECT_EQ(response.status, 400) << id;
    EXPECT_EQ(parse_json(response.body).value()["code"].text(), "job.id") << id;
    EXPECT_EQ(call("DELETE", std::string("/api/v1/jobs/") + id).status, 400) << id;
  }
  EXPECT_EQ(call("GET", "/api/v1/jobs/7").status, 404);
  EXPECT_EQ(call("DELETE", "/api/v1/jobs/7").status, 404);
  EXPECT_EQ(call("GET", "/api/v1/jobs/7/explain").status, 404);
  EXPECT_EQ(call("GET", "/api/v1/jobs/7?wait=5").status, 404);
  EXPECT_EQ(parse_json(call("GET", "/api/v1/jobs/7").body).value()["code"].text(), "job.unknown");
}

TEST_F(JobRoutesTest, cancel_stops_a_running_job_and_leaves_an_ended_one) {
  submit_json();
  runs(rank(JobId(1), 1));
  const net::Response cancelled = call("DELETE", "/api/v1/jobs/1");
  EXPECT_EQ(cancelled.status, 202);
  const Document job = parse_json(cancelled.body).value();
  EXPECT_EQ(job["state"].text(), "STOPPING");
  EXPECT_EQ(job["reason"].text(), "cancelled by ann");
  exits(rank(JobId(1), 1), jobs::testing::exit_with(143));
  EXPECT_EQ(json("GET", "/api/v1/jobs/1")["state"].text(), "CANCELLED");
  EXPECT_EQ(call("POST", "/api/v1/jobs/1/cancel").status, 202);
  EXPECT_EQ(json("GET", "/api/v1/jobs/1")["state"].text(), "CANCELLED");
}

TEST_F(JobRoutesTest, wait_is_answered_when_the_job_ends) {
  submit_json();
  const net::testing::FakeAnswerPtr answer = begin(request("GET", "/api/v1/jobs/1?wait=30"));
  EXPECT_FALSE(answer->answered());
  runs(rank(JobId(1), 1));
  settle();
  EXPECT_FALSE(answer->answered());
  exits(rank(JobId(1), 1), jobs::testing::exit_with(0));
  settle();
  ASSERT_TRUE(answer->answered());
  EXPECT_EQ(parse_json(answer->wait()->body).value()["state"].text(), "SUCCEEDED");
}

TEST_F(JobRoutesTest, wait_is_answered_when_its_time_is_over_and_never_waits_for_more_than_50_s) {
  submit_json();
  const net::testing::FakeAnswerPtr five = begin(request("GET", "/api/v1/jobs/1?wait=5"));
  const net::testing::FakeAnswerPtr long_one = begin(request("GET", "/api/v1/jobs/1?wait=3599"));
  const net::testing::FakeAnswerPtr hour = begin(request("GET", "/api/v1/jobs/1?wait=3600"));
  strand.advance(std::chrono::milliseconds(4'900));
  settle();
  EXPECT_FALSE(five->answered());
  strand.advance(std::chrono::milliseconds(200));
  settle();
  EXPECT_TRUE(five->answered());
  EXPECT_FALSE(hour->answered());
  EXPECT_FALSE(long_one->answered()) << "a huge wait is the longest wait";
  strand.advance(std::chrono::seconds(46));
  settle();
  EXPECT_TRUE(hour->answered());
  EXPECT_TRUE(long_one->answered());
}

TEST_F(JobRoutesTest, wait_for_a_job_that_ended_is_answered_at_once) {
  submit_json();
  end_first();
  EXPECT_EQ(call("GET", "/api/v1/jobs/1?wait=30").status, 200);
}

TEST_F(JobRoutesTest, wait_that_meets_the_commit_of_the_end_is_answered_with_it) {
  submit_json();
  runs(rank(JobId(1), 1));
  ledger.hold_commits();
  service->on_rank_exited(rank(JobId(1), 1), jobs::testing::exit_with(0));
  strand.run_ready();
  ASSERT_TRUE(ledger.commit_waits());
  const net::testing::FakeAnswerPtr answer = begin(request("GET", "/api/v1/jobs/1?wait=30"));
  ledger.stop_holding();
  settle();
  ASSERT_TRUE(answer->answered()) << "the end was told before the wait began";
  EXPECT_EQ(parse_json(answer->wait()->body).value()["state"].text(), "SUCCEEDED");
}

TEST_F(JobRoutesTest, explain_says_why_a_job_waits) {
  submit_json(R"({"command":["a"],"resources":{"cpu":4}})");
  submit_json(R"({"command":["a"],"resources":{"cpu":4}})");
  submit_json(R"({"command":["a"],"resources":{"cpu":4}})");
  const Document waiting = json("GET", "/api/v1/jobs/3/explain");
  EXPECT_EQ(waiting["state"].text(), "QUEUED");
  EXPECT_NE(waiting["code"].text(), "");
  EXPECT_NE(waiting["code"].text(), "QUEUED");
  EXPECT_NE(waiting["text"].text(), "");
  EXPECT_EQ(json("GET", "/api/v1/jobs/1/explain")["code"].text(), "STARTING");
}

TEST_F(JobRoutesTest, every_route_asks_for_its_role_and_a_viewer_cannot_submit) {
  EXPECT_EQ(statuses("POST", "/api/v1/jobs", kCommand), "401 403 201 201 201");
  EXPECT_EQ(statuses("GET", "/api/v1/jobs"), "401 200 200 200 200");
  EXPECT_EQ(statuses("GET", "/api/v1/jobs/1"), "401 200 200 200 200");
  EXPECT_EQ(statuses("GET", "/api/v1/jobs/1/explain"), "401 200 200 200 200");
  // The job is ann's own, and so is the role.
  EXPECT_EQ(statuses("DELETE", "/api/v1/jobs/1"), "401 403 202 202 202");
  EXPECT_EQ(statuses("POST", "/api/v1/jobs/1/cancel"), "401 403 202 202 202");
  EXPECT_EQ(router.routes().size(), 6u) << "a new route needs a line above";
  EXPECT_EQ(statuses("PUT", "/api/v1/jobs/1"), "405 405 405 405 405");
  EXPECT_EQ(statuses("GET", "/api/v1/secrets"), "404 404 404 404 404");
}

}  // namespace
}  // namespace trainyard::api
