#include "api/platform/what_if.h"

#include <gmock/gmock.h>

#include "api/platform/jobs.h"
#include "api/platform/testing/platform_world.h"

namespace trainyard::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

/// Two nodes of four cores.
class WhatIfRoutesTest : public testing::PlatformWorld {
 protected:
  WhatIfRoutesTest() {
    add_job_routes(router, context());
    add_what_if_route(router, context());
  }

  static std::string spec(int cores, const std::string& more = "") {
    return R"({"command":["work"],"name":"tried","resources":{"cpu":)" + std::to_string(cores) + "}" + more + "}";
  }
  Document dry(const std::string& body) { return json("POST", "/api/v1/jobs?dry_run=1", body); }
  Document ask(const std::string& body) { return json("POST", "/api/v1/what-if", body); }
  JobId submit_in(const std::string& name_space, std::int64_t cores) {
    jobs::Submission made = submission(cores);
    made.spec.name_space = name_space;
    made.spec.name = "of " + name_space;
    return submit(std::move(made));
  }
  std::string code_of(const net::Response& response) { return parse_json(response.body).value()["code"].text(); }
  void sees_only(const std::string& name_space) { authorizer.principal = {"bob", "", {{name_space, "viewer"}}, ""}; }
};

TEST_F(WhatIfRoutesTest, dry_run_of_a_job_that_fits_says_where_and_stores_nothing) {
  const Document answer = dry(spec(3, R"(,"tasks":2)"));
  EXPECT_TRUE(answer["plan"]["starts_now"].as_bool().value());
  ASSERT_EQ(answer["plan"]["placement"].items().size(), 2u);
  EXPECT_EQ(answer["plan"]["placement"].items()[0].text(), "a");
  EXPECT_EQ(answer["plan"]["placement"].items()[1].text(), "b");
  EXPECT_EQ(answer["spec"]["tasks"].as_int().value(), 2);
  EXPECT_EQ(service->live_count(), 0u);
  EXPECT_TRUE(backend.calls.empty());
  EXPECT_EQ(service->last_event().value, 0u);
  EXPECT_EQ(json("POST", "/api/v1/jobs", spec(1))["id"].text(), "1");
}

TEST_F(WhatIfRoutesTest, dry_run_of_a_job_that_waits_says_why_and_what_would_help) {
  submit(submission(4));
  submit(submission(3));
  const Document plan = dry(spec(2))["plan"];
  EXPECT_FALSE(plan["starts_now"].as_bool().value());
  EXPECT_EQ(plan["explanation"]["id"].text(), "new");
  EXPECT_EQ(plan["explanation"]["code"].text(), "WaitingForResources");
  std::string cpu;
  for (const Document& fix : plan["explanation"]["fix"].items()) {
    if (fix["dimension"].text() == "cpu") cpu = fix["text"].text();
  }
  EXPECT_EQ(cpu, "2 -> 1 cpu");
}

TEST_F(WhatIfRoutesTest, dry_run_of_held_dependent_and_doomed_jobs_says_so) {
  const JobId first = submit(submission(1));
  EXPECT_EQ(dry(spec(1, R"(,"hold":true)"))["plan"]["explanation"]["code"].text(), "Suspended");
  const Document waits = dry(spec(1, R"(,"after":[1])"))["plan"];
  EXPECT_EQ(waits["explanation"]["code"].text(), "DependencyNotMet");
  ASSERT_TRUE(stop(first).ok());
  exits(rank(first, 1), jobs::testing::killed_exit());
  settle();
  const Document doomed = dry(spec(1, R"(,"after":[1])"))["plan"];
  EXPECT_FALSE(doomed["starts_now"].as_bool().value());
  EXPECT_EQ(doomed["explanation"]["code"].text(), "CANCELLED");
}

TEST_F(WhatIfRoutesTest, dry_run_of_an_array_is_that_of_its_first_element) {
  EXPECT_TRUE(dry(spec(4, R"(,"array":"0-99")"))["plan"]["starts_now"].as_bool().value());
}

TEST_F(WhatIfRoutesTest, dry_run_is_refused_as_the_submit_would_be) {
  for (const char* target : {"/api/v1/jobs", "/api/v1/jobs?dry_run=1"}) {
    EXPECT_EQ(code_of(call("POST", target, R"({"comand":["a"]})")), "spec.unknown_key") << target;
    EXPECT_EQ(code_of(call("POST", target, spec(400))), "spec.impossible_resources") << target;
    EXPECT_EQ(code_of(call("POST", target, spec(1, R"(,"queue":"nowhere")"))), "queue.unknown") << target;
    EXPECT_EQ(code_of(call("POST", target, spec(1, R"(,"after":[99])"))), "spec.unknown_dependency") << target;
    resolver.refusal = not_found("catalog.unknown_dataset", "no such dataset");
    EXPECT_EQ(code_of(call("POST", target, spec(1))), "catalog.unknown_dataset") << target;
    resolver.refusal.reset();
    sees_only("default");
    EXPECT_EQ(call("POST", target, spec(1)).status, 403) << target;
    authorizer.principal = {"ann", "operator", {}, ""};
  }
}

TEST_F(WhatIfRoutesTest, dry_run_of_a_full_queue_is_429) {
  crash();
  settings.live_jobs_max = 0;
  boot();
  net::Router fresh{authorizer};
  add_job_routes(fresh, context());
  const net::testing::FakeAnswerPtr answer = net::testing::start_call(fresh, request("POST", "/api/v1/jobs?dry_run=1", spec(1)));
  settle();
  EXPECT_EQ(answer->wait()->status, 429);
}

TEST_F(WhatIfRoutesTest, dry_run_uses_up_no_idempotency_key) {
  const std::vector<std::pair<std::string, std::string>> key{{"Idempotency-Key", "k"}};
  EXPECT_EQ(call("POST", "/api/v1/jobs?dry_run=1", spec(1), key).status, 200);
  EXPECT_EQ(call("POST", "/api/v1/jobs", spec(2), key).status, 201) << "another body under the same key";
  EXPECT_EQ(call("POST", "/api/v1/jobs?dry_run=1", spec(3), key).status, 200);
}

TEST_F(WhatIfRoutesTest, added_nodes_start_what_waits) {
  submit(submission(4));
  submit(submission(4));
  const JobId waits = submit(submission(4));
  const Document answer = ask(R"({"add_nodes":{"count":2,"cpu":"4","memory":"64GiB"}})");
  ASSERT_EQ(answer["starts"].items().size(), 1u);
  const Document& start = answer["starts"].items()[0];
  EXPECT_EQ(start["job"].text(), waits.text());
  EXPECT_EQ(start["name"].text(), "work");
  EXPECT_EQ(start.find("before"), nullptr);
  EXPECT_EQ(start["after"].text(), to_rfc3339(clock.now()));
  EXPECT_EQ(start["nodes"].items().size(), 1u);
  EXPECT_EQ(job(waits).state, JobState::kQueued) << "nothing has changed";
  EXPECT_TRUE(ask(R"({"add_nodes":{"count":2,"cpu":"2","memory":"64GiB"}})")["starts"].items().empty());
}

TEST_F(WhatIfRoutesTest, cancelled_job_makes_room) {
  const JobId runs = submit(submission(4));
  submit(submission(4));
  const JobId waits = submit(submission(4));
  const Document answer = ask(R"({"cancel":{"job":"1"}})");
  ASSERT_EQ(answer["starts"].items().size(), 1u);
  EXPECT_EQ(answer["starts"].items()[0]["job"].text(), waits.text());
  EXPECT_EQ(answer["starts"].items()[0]["nodes"].items()[0].text(), job(runs).attempt.ranks[0].node.text);
  EXPECT_EQ(answer["stops"].items()[0]["job"].text(), runs.text());
}

TEST_F(WhatIfRoutesTest, drained_node_stops_what_runs_there) {
  const JobId first = submit(submission(3));
  const JobId second = submit(submission(3));
  const std::string node = job(first).attempt.ranks[0].node.text;
  const Document stays = ask(R"({"drain":{"node":")" + node + R"("}})");
  ASSERT_EQ(stays["stops"].items().size(), 1u);
  EXPECT_EQ(stays["stops"].items()[0]["job"].text(), first.text());
  EXPECT_TRUE(stays["starts"].items().empty()) << "the other node has no room for it";
  ASSERT_TRUE(stop(second).ok());
  exits(rank(second, 1), jobs::testing::exit_with(0));
  const Document moves = ask(R"({"drain":{"node":")" + node + R"("}})");
  EXPECT_EQ(moves["starts"].items()[0]["job"].text(), first.text());
  EXPECT_EQ(job(first).state, JobState::kStarting) << "nothing has changed";
}

TEST_F(WhatIfRoutesTest, submitted_job_is_planned_beside_the_others) {
  const Document answer = ask(R"({"submit":)" + spec(4) + "}");
  EXPECT_TRUE(answer["plan"]["starts_now"].as_bool().value());
  EXPECT_EQ(answer["starts"].items()[0]["job"].text(), "new");
  EXPECT_EQ(answer["starts"].items()[0]["name"].text(), "tried");
  EXPECT_EQ(service->live_count(), 0u);
}

TEST_F(WhatIfRoutesTest, faulty_questions_are_refused_with_their_place) {
  EXPECT_EQ(code_of(call("POST", "/api/v1/what-if", "{}")), "what_if.question");
  EXPECT_EQ(code_of(call("POST", "/api/v1/what-if", R"({"cancel":null})")), "what_if.question");
  EXPECT_EQ(code_of(call("POST", "/api/v1/what-if", R"({"cancel":{"job":"1"},"drain":{"node":"a"}})")), "what_if.question");
  EXPECT_EQ(call("POST", "/api/v1/what-if", R"({"cancel":{"job":"7"}})").status, 404);
  EXPECT_EQ(call("POST", "/api/v1/what-if", R"({"drain":{"node":"nowhere"}})").status, 404);
  EXPECT_EQ(call("POST", "/api/v1/what-if", R"({"add_nodes":{"count":0,"cpu":1,"memory":"1GiB"}})").status, 400);
  EXPECT_EQ(call("POST", "/api/v1/what-if", R"({"add_nodes":{"cpu":1,"memory":"1GiB","gpu":100000}})").status, 400);
  EXPECT_EQ(call("POST", "/api/v1/what-if", R"({"add_nodes":{"count":1000,"cpu":1,"memory":"100PiB"}})").status, 400);
  EXPECT_EQ(call("POST", "/api/v1/what-if", R"({"add_nodes":{"cpu":0,"memory":"1GiB"}})").status, 400);
  const net::Response place = call("POST", "/api/v1/what-if", R"({"submit":{"command":["a"],"taks":1}})");
  EXPECT_EQ(parse_json(place.body).value()["errors"].items().at(0)["pointer"].text(), "/submit/taks");
}

TEST_F(WhatIfRoutesTest, jobs_of_other_namespaces_are_counted_and_not_told) {
  submit_in("hidden", 4);
  submit_in("hidden", 4);
  const JobId waits = submit_in("hidden", 4);
  submit_in("seen", 4);
  sees_only("seen");
  const std::string nodes = R"({"add_nodes":{"count":2,"cpu":4,"memory":"64GiB"}})";
  const net::Response added = call("POST", "/api/v1/what-if", nodes);
  EXPECT_THAT(added.body, Not(HasSubstr("hidden")));
  const Document answer = parse_json(added.body).value();
  ASSERT_EQ(answer["starts"].items().size(), 1u);
  EXPECT_EQ(answer["starts"].items()[0]["name"].text(), "of seen");
  EXPECT_EQ(answer["others"].as_int().value(), 1);
  EXPECT_EQ(call("POST", "/api/v1/what-if", R"({"cancel":{"job":"1"}})").status, 404) << "as if it were not there";

  const net::Response submitted = call("POST", "/api/v1/what-if", R"({"submit":)" + spec(4, R"(,"namespace":"seen")") + "}");
  const Document why = parse_json(submitted.body).value()["plan"]["explanation"];
  EXPECT_TRUE(why["blocking"].items().empty()) << submitted.body;
  EXPECT_THAT(why["text"].text(), Not(HasSubstr("Job " + waits.text()))) << submitted.body;
  EXPECT_EQ(call("POST", "/api/v1/what-if", R"({"submit":)" + spec(4, R"(,"namespace":"hidden")") + "}").status, 403);
  EXPECT_THAT(call("GET", "/api/v1/jobs/4/explain").body, Not(HasSubstr("Job " + waits.text())));
}

TEST_F(WhatIfRoutesTest, question_is_for_viewers) {
  EXPECT_EQ(statuses("POST", "/api/v1/what-if", R"({"add_nodes":{"cpu":4,"memory":"64GiB"}})"), "401 200 200 200 200");
  EXPECT_EQ(statuses("POST", "/api/v1/jobs?dry_run=1", spec(1)), "401 403 200 200 200");
}

TEST_F(WhatIfRoutesTest, many_questions_at_once_are_put_off) {
  std::vector<net::testing::FakeAnswerPtr> answers;
  for (int i = 0; i < 12; ++i) answers.push_back(net::testing::start_call(router, request("POST", "/api/v1/jobs?dry_run=1", spec(1))));
  while (reads.run_ready() > 0) continue;
  int put_off = 0;
  for (const net::testing::FakeAnswerPtr& answer : answers) put_off += answer->answered() && answer->wait()->status == 429 ? 1 : 0;
  EXPECT_EQ(put_off, 8);
  settle();
  EXPECT_TRUE(dry(spec(1))["plan"]["starts_now"].as_bool().value()) << "the turns were given back";
}

}  // namespace
}  // namespace trainyard::api
