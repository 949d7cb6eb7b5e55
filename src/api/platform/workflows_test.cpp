#include "api/platform/workflows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/platform/testing/platform_world.h"
#include "net/testing/api_conformance.h"
#include "workflow/testing/workflow_world.h"

namespace trainyard::api {
namespace {

using ::testing::HasSubstr;

constexpr const char* kFlow = "workflow: flow\ntasks:\n  a: {fake: {}}\n  b: {after: a, fake: {}}\n";

class WorkflowRoutesTest : public workflow::testing::WorkflowWorld {
 protected:
  WorkflowRoutesTest() { add_workflow_routes(router, {strand, reads, clock, *service, repository}); }

  void settle_all() {
    while (strand.run_ready() + writes.run_ready() + reads.run_ready() > 0) continue;
  }
  net::testing::FakeAnswerPtr begin(std::string method, std::string_view target, std::string body = {}) {
    net::testing::FakeAnswerPtr answer =
        net::testing::start_call(router, net::testing::make_request(std::move(method), target, std::move(body)));
    settle_all();
    return answer;
  }
  net::Response call(std::string method, std::string_view target, std::string body = {}) {
    const net::testing::FakeAnswerPtr answer = begin(method, target, std::move(body));
    EXPECT_TRUE(answer->answered()) << "the call waits";
    if (!answer->answered()) return {0, {}, ""};
    EXPECT_EQ(net::testing::ApiConformance(router).fault(net::testing::make_request(method, target), *answer->wait()), "");
    return *answer->wait();
  }
  Document json(std::string method, std::string_view target, std::string body = {}) {
    return parse_json(call(std::move(method), target, std::move(body)).body).value();
  }
  std::string statuses(const std::string& method, const std::string& target, const std::string& body = {}) {
    std::string text;
    for (const char* role : {"", "viewer", "runner", "operator", "admin"}) {
      authorizer.principal.role = role;
      text += (text.empty() ? "" : " ") + std::to_string(call(method, target, body).status);
    }
    return text;
  }

  trainyard::testing::ManualExecutor reads{clock};
  testing::SwitchAuthorizer authorizer;
  net::Router router{authorizer};
};

TEST_F(WorkflowRoutesTest, workflow_is_run_shown_and_listed) {
  const net::Response response = call("POST", "/api/v1/workflows:run", kFlow);
  EXPECT_EQ(response.status, 201) << response.body;
  const Document run = parse_json(response.body).value();
  EXPECT_EQ(run["id"].text(), "1");
  EXPECT_EQ(run["workflow"].text(), "flow");
  EXPECT_EQ(run["owner"].text(), "ann");
  EXPECT_EQ(run["tasks"].items().at(0)["state"].text(), "RUNNING");
  EXPECT_EQ(run["tasks"].items().at(0)["kind"].text(), "fake");
  EXPECT_EQ(json("GET", "/api/v1/workflows/1"), run);
  call("POST", "/api/v1/workflows:run", R"({"workflow":"json","tasks":{"x":{"fake":{}}}})");
  const Document list = json("GET", "/api/v1/workflows");
  ASSERT_EQ(list["workflows"].items().size(), 2u);
  EXPECT_EQ(list["workflows"].items()[0]["id"].text(), "2");
}

TEST_F(WorkflowRoutesTest, faulty_workflow_is_a_problem_with_file_line_and_column) {
  const auto fault = [this](const std::string& body, const std::string& query = "?file=p.yaml") {
    const net::Response response = call("POST", "/api/v1/workflows:run" + query, body);
    EXPECT_EQ(response.status, 400) << body;
    return parse_json(response.body).value();
  };
  const Document kind = fault("workflow: w\ntasks:\n  a: {fkae: {}}\n");
  EXPECT_EQ(kind["code"].text(), "workflow.kind");
  EXPECT_THAT(kind["detail"].text(), HasSubstr("did you mean \"fake\"?"));
  EXPECT_THAT(kind["errors"].items().at(0)["pointer"].text(), HasSubstr("p.yaml:3:"));
  EXPECT_EQ(fault("workflow: w\ntasks:\n  a: {after: b, fake: {}}\n  b: {after: a, fake: {}}\n")["code"].text(), "workflow.cycle");
  EXPECT_EQ(fault("a: [\n")["code"].text(), "yaml.malformed");
  EXPECT_EQ(fault("")["status"].as_int().value(), 400);
  EXPECT_THAT(fault("workflow: w\n", "")["errors"].items().at(0)["pointer"].text(), HasSubstr("workflow.yaml:1"));
  EXPECT_TRUE(repository.list(10)->empty());
}

TEST_F(WorkflowRoutesTest, directory_of_the_file_is_filled_in) {
  const std::string body = "workflow: w\ntasks:\n  a: {fake: {path: \"${workflow.directory}/x.csv\"}}\n";
  EXPECT_EQ(call("POST", "/api/v1/workflows:run?directory=%2Fhome%2Fann", body).status, 201);
  EXPECT_EQ(world.tasks.at("a").body["path"].text(), "/home/ann/x.csv");
  const net::Response unknown = call("POST", "/api/v1/workflows:run", body);
  EXPECT_EQ(unknown.status, 400);
  EXPECT_THAT(unknown.body, HasSubstr("send the query parameter directory="));
}

TEST_F(WorkflowRoutesTest, wait_is_answered_with_the_next_change_or_when_its_time_is_over) {
  call("POST", "/api/v1/workflows:run", kFlow);
  const net::testing::FakeAnswerPtr changed = begin("GET", "/api/v1/workflows/1?wait=30");
  EXPECT_FALSE(changed->answered());
  finish("a");
  settle_all();
  ASSERT_TRUE(changed->answered());
  EXPECT_EQ(parse_json(changed->wait()->body).value()["tasks"].items().at(0)["state"].text(), "SUCCEEDED");
  const net::testing::FakeAnswerPtr over = begin("GET", "/api/v1/workflows/1?wait=5");
  const net::testing::FakeAnswerPtr huge = begin("GET", "/api/v1/workflows/1?wait=3600");
  strand.advance(std::chrono::seconds(6));
  settle_all();
  EXPECT_TRUE(over->answered());
  EXPECT_FALSE(huge->answered()) << "a huge wait is the longest wait";
  finish("b");
  settle_all();
  EXPECT_TRUE(huge->answered());
  EXPECT_EQ(call("GET", "/api/v1/workflows/1?wait=30").status, 200) << "it has ended: at once";
}

TEST_F(WorkflowRoutesTest, cancel_answers_202_with_the_run_and_an_ended_run_stays) {
  call("POST", "/api/v1/workflows:run", kFlow);
  const net::Response response = call("DELETE", "/api/v1/workflows/1");
  EXPECT_EQ(response.status, 202);
  EXPECT_EQ(parse_json(response.body).value()["state"].text(), "CANCELLING");
  finish("a", {workflow::TaskState::kCancelled, "", Document::object()});
  settle_all();
  const net::Response again = call("DELETE", "/api/v1/workflows/1");
  EXPECT_EQ(again.status, 202);
  EXPECT_EQ(parse_json(again.body).value()["state"].text(), "CANCELLED");
}

TEST_F(WorkflowRoutesTest, unknown_run_is_404_and_what_is_no_id_400) {
  EXPECT_EQ(call("GET", "/api/v1/workflows/5").status, 404);
  EXPECT_EQ(call("GET", "/api/v1/workflows/5?wait=30").status, 404);
  EXPECT_EQ(call("DELETE", "/api/v1/workflows/5").status, 404);
  EXPECT_EQ(parse_json(call("GET", "/api/v1/workflows/5").body).value()["code"].text(), "workflow.unknown_run");
  for (const char* id : {"x", "-1", "1x"}) EXPECT_EQ(call("GET", std::string("/api/v1/workflows/") + id).status, 400) << id;
  EXPECT_EQ(call("GET", "/api/v1/workflows/1?wait=x").status, 400);
}

TEST_F(WorkflowRoutesTest, every_route_asks_for_its_role_and_a_viewer_cannot_run) {
  EXPECT_EQ(statuses("POST", "/api/v1/workflows:run", kFlow), "401 403 403 201 201");
  EXPECT_EQ(statuses("GET", "/api/v1/workflows"), "401 200 200 200 200");
  EXPECT_EQ(statuses("GET", "/api/v1/workflows/1"), "401 200 200 200 200");
  EXPECT_EQ(statuses("DELETE", "/api/v1/workflows/1"), "401 403 403 202 202");
  EXPECT_EQ(router.routes().size(), 4u) << "a new route needs a line above";
}

}  // namespace
}  // namespace trainyard::api
