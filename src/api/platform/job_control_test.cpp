#include "api/platform/job_control.h"

#include <gtest/gtest.h>

#include "api/platform/jobs.h"
#include "api/platform/testing/platform_world.h"

namespace trainyard::api {
namespace {

class JobControlTest : public testing::PlatformWorld {
 protected:
  JobControlTest() {
    add_job_routes(router, context());
    add_job_control_routes(router, context());
  }
  void submit(const std::string& fields = {}) { json("POST", "/api/v1/jobs", R"({"command":["work"])" + fields + "}"); }
};

TEST_F(JobControlTest, held_job_waits_until_it_is_released) {
  submit(R"(,"hold":true)");
  EXPECT_EQ(json("GET", "/api/v1/jobs/1")["state"].text(), "QUEUED");
  EXPECT_EQ(json("POST", "/api/v1/jobs/1/release")["state"].text(), "STARTING");
}

TEST_F(JobControlTest, priority_is_changed_and_checked) {
  submit(R"(,"hold":true)");
  EXPECT_EQ(json("POST", "/api/v1/jobs/1/priority", R"({"priority":7})")["priority"].as_int().value(), 7);
  EXPECT_EQ(call("POST", "/api/v1/jobs/1/priority", R"({"priority":"high"})").status, 400);
  EXPECT_EQ(call("POST", "/api/v1/jobs/1/priority", "{}").status, 400);
}

TEST_F(JobControlTest, ended_job_is_retried_as_a_new_one) {
  submit();
  const Document going_on = json("GET", "/api/v1/jobs/1/attempts")["attempts"];
  ASSERT_EQ(going_on.items().size(), 1u);
  EXPECT_EQ(going_on.items()[0].find("ended_at"), nullptr);
  EXPECT_EQ(call("POST", "/api/v1/jobs/1/retry").status, 409) << "it has not ended";
  json("DELETE", "/api/v1/jobs/1");
  exits(rank(JobId(1), 1), jobs::testing::exit_with(1));
  settle();
  const net::Response again = call("POST", "/api/v1/jobs/1/retry", "", {{"Idempotency-Key", "once more"}});
  EXPECT_EQ(again.status, 201) << again.body;
  const net::Response repeated = call("POST", "/api/v1/jobs/1/retry", "", {{"Idempotency-Key", "once more"}});
  EXPECT_EQ(parse_json(repeated.body).value()["id"].text(), parse_json(again.body).value()["id"].text());
  EXPECT_EQ(parse_json(again.body).value()["retried_from"].text(), "1");
  EXPECT_EQ(json("GET", "/api/v1/jobs/1/attempts")["attempts"].items().size(), 1u);
}

TEST_F(JobControlTest, batch_is_taken_whole_or_not_at_all) {
  const net::Response made = call("POST", "/api/v1/jobs:batch", R"({"jobs":[{"command":["a"]},{"command":["b"]}]})");
  EXPECT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(parse_json(made.body).value()["ids"].items().size(), 2u);
  EXPECT_EQ(call("POST", "/api/v1/jobs:batch", R"({"jobs":[{"command":["a"]},{"comand":["b"]}]})").status, 400);
  EXPECT_EQ(call("POST", "/api/v1/jobs:batch", R"({"jobs":[]})").status, 400);
  EXPECT_EQ(call("GET", "/api/v1/jobs/3").status, 404);
}

TEST_F(JobControlTest, batch_with_a_key_is_made_once) {
  const auto send = [this](const std::string& body) { return call("POST", "/api/v1/jobs:batch", body, {{"Idempotency-Key", "k"}}); };
  const std::string two = R"({"jobs":[{"command":["a"]},{"command":["b"]}]})";
  const net::Response first = send(two);
  EXPECT_EQ(first.status, 201);
  EXPECT_EQ(send(two).body, first.body);
  EXPECT_EQ(call("GET", "/api/v1/jobs/3").status, 404);
  EXPECT_EQ(send(R"({"jobs":[{"command":["a"]},{"command":["c"]}]})").status, 409);
}

TEST_F(JobControlTest, job_of_a_batch_may_wait_for_one_that_has_ended) {
  submit();
  runs(rank(JobId(1), 1));
  exits(rank(JobId(1), 1), jobs::testing::exit_with(0));
  settle();
  // A restart forgets what it knew of ends: only the ledger has them.
  crash();
  boot();
  net::Router fresh{authorizer};
  add_job_control_routes(fresh, context());
  const auto answer = net::testing::start_call(
      fresh, request("POST", "/api/v1/jobs:batch", R"({"jobs":[{"command":["a"],"after":["1"]},{"command":["b"],"after":["1:failed"]}]})"));
  settle();
  EXPECT_EQ(answer->wait()->status, 201) << answer->wait()->body;
}

TEST_F(JobControlTest, runner_controls_its_own_jobs_and_an_operator_those_of_others) {
  submit(R"(,"hold":true)");
  authorizer.principal = {.name = "bob", .role = "runner"};
  EXPECT_EQ(call("POST", "/api/v1/jobs/1/release").status, 403);
  EXPECT_EQ(call("DELETE", "/api/v1/jobs/1").status, 403);
  authorizer.principal = {.name = "bob", .role = "operator"};
  EXPECT_EQ(call("POST", "/api/v1/jobs/1/release").status, 200);
}

TEST_F(JobControlTest, attempts_submit_and_change_nothing) {
  submit();
  authorizer.principal = {.name = "job:1/1", .role = "runner"};
  EXPECT_EQ(call("POST", "/api/v1/jobs", R"({"command":["work"]})").status, 403);
  EXPECT_EQ(call("POST", "/api/v1/jobs:batch", R"({"jobs":[{"command":["a"]}]})").status, 403);
  EXPECT_EQ(call("DELETE", "/api/v1/jobs/1").status, 403);
  EXPECT_EQ(call("GET", "/api/v1/jobs/1").status, 200);
}

TEST_F(JobControlTest, job_of_another_namespace_is_unknown) {
  submit(R"(,"namespace":"vision")");
  authorizer.principal = {.name = "bob", .role = "agent", .grants = {{"nlp", "admin"}}};
  for (const char* verb : {"hold", "release", "checkpoint", "preempt", "retry"}) {
    EXPECT_EQ(call("POST", std::string("/api/v1/jobs/1/") + verb).status, 404) << verb;
  }
  EXPECT_EQ(call("GET", "/api/v1/jobs/1/attempts").status, 404);
}

TEST_F(JobControlTest, job_of_another_namespace_is_none_to_wait_for) {
  submit(R"(,"namespace":"vision","hold":true)");
  authorizer.principal = {.name = "bob", .role = "agent", .grants = {{"nlp", "admin"}}};
  const net::Response refused = call("POST", "/api/v1/jobs", R"({"command":["a"],"namespace":"nlp","after":["1"]})");
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(parse_json(refused.body).value()["code"].text(), "spec.unknown_dependency");
  EXPECT_EQ(refused.body.find("vision"), std::string::npos);
}

TEST_F(JobControlTest, idempotency_key_is_of_its_caller_alone) {
  const auto send = [this] { return call("POST", "/api/v1/jobs", R"({"command":["a"]})", {{"Idempotency-Key", "nightly"}}); };
  authorizer.principal = {.name = "ann", .role = "runner"};
  EXPECT_EQ(parse_json(send().body).value()["id"].text(), "1");
  authorizer.principal = {.name = "bob", .role = "runner"};
  EXPECT_EQ(parse_json(send().body).value()["id"].text(), "2");
  EXPECT_EQ(parse_json(send().body).value()["id"].text(), "2");
  for (const std::string& key : {std::string(), std::string(256, 'k'), std::string("\x01")}) {
    EXPECT_EQ(call("POST", "/api/v1/jobs", R"({"command":["a"]})", {{"Idempotency-Key", key}}).status, 400);
  }
}

TEST_F(JobControlTest, elements_of_an_array_are_cancelled_by_their_indices) {
  submit(R"(,"array":{"count":10},"hold":true)");
  EXPECT_EQ(call("POST", "/api/v1/jobs/1/cancel", R"({"elements":"3-1"})").status, 400);
  EXPECT_EQ(call("POST", "/api/v1/jobs/1/cancel", R"({"elements":"many"})").status, 400);
  EXPECT_EQ(call("POST", "/api/v1/jobs/1/cancel", R"({"elements":"4-10"})").status, 404);
  EXPECT_EQ(call("POST", "/api/v1/jobs/1/cancel", R"({"elements":"4-9","reason":"enough"})").status, 202);
  EXPECT_EQ(call("POST", "/api/v1/jobs/1/cancel", R"({"elements":"0"})").status, 202);
  EXPECT_EQ(json("POST", "/api/v1/jobs/1/release")["array"]["cancelled"].as_int().value(), 7);
}

}  // namespace
}  // namespace trainyard::api
