#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "api/mlflow/routes.h"
#include "base/file.h"
#include "base/testing/manual_executor.h"
#include "net/testing/fake_responder.h"
#include "track/testing/tracking_fixture.h"

namespace trainyard::api::mlflow {
namespace {

/// Takes every request for whoever is set.
class SwitchedAuthorizer final : public net::Authorizer {
 public:
  Result<net::Principal> authenticate(const net::Request&) override { return principal; }
  net::Principal principal;
};

/// A call that names a run; {} in target and body stands for the run's id.
struct RunCall {
  std::string method;
  std::string pattern;  ///< Of the route.
  std::string target;
  std::string body;
  bool writes = true;
};

const std::vector<RunCall>& run_calls() {
  static const std::vector<RunCall> calls{
      {"POST", "runs/update", "runs/update", R"({"run_id":"{}","end_time":9})"},
      {"POST", "runs/delete", "runs/delete", R"({"run_id":"{}"})"},
      {"POST", "runs/restore", "runs/restore", R"({"run_id":"{}"})"},
      {"POST", "runs/log-metric", "runs/log-metric", R"({"run_id":"{}","key":"m","value":1,"timestamp":1})"},
      {"POST", "runs/log-parameter", "runs/log-parameter", R"({"run_id":"{}","key":"p","value":"1"})"},
      {"POST", "runs/log-batch", "runs/log-batch", R"({"run_id":"{}","tags":[{"key":"t","value":"v"}]})"},
      {"POST", "runs/set-tag", "runs/set-tag", R"({"run_id":"{}","key":"t","value":"v"})"},
      {"POST", "runs/delete-tag", "runs/delete-tag", R"({"run_id":"{}","key":"t"})"},
      {"POST", "runs/log-model", "runs/log-model", R"({"run_id":"{}","model_json":"{}"})"},
      {"GET", "runs/get", "runs/get?run_id={}", "", false},
      {"GET", "metrics/get-history", "metrics/get-history?run_id={}&metric_key=m", "", false},
      {"GET", "artifacts/list", "artifacts/list?run_id={}", "", false},
  };
  return calls;
}

/// A run of job 17 in the namespace "vision", and callers of many kinds.
class MlflowNamespacesTest : public track::testing::TrackingTest {
 protected:
  void SetUp() override {
    TrackingTest::SetUp();
    add_mlflow_tracking_routes(router, {blocking, bulk, run_writer, tracking, clock, {}});
    add_mlflow_registry_routes(router, {blocking, bulk, run_writer, tracking, clock, {}});
    run = make_run_in("vision", JobId{17});
    ASSERT_TRUE(tracking.artifacts().put(root() + "/f", as_bytes("f")).ok());
  }

  std::string root() const { return "0/" + run.text + "/artifacts"; }

  net::Response call(const net::Principal& caller, const std::string& method, const std::string& target, const std::string& body = {}) {
    callers.principal = caller;
    net::Request request = net::testing::make_request(method, target, body);
    request.headers.add("Content-Type", "application/json");
    const net::testing::FakeAnswerPtr answer = net::testing::start_call(router, std::move(request));
    for (int round = 0; round < 2; ++round) {
      blocking.run_ready();
      bulk.run_ready();
      run_writer.run_ready();
    }
    return answer->wait().value();
  }
  net::Response call_run(const net::Principal& caller, const RunCall& asked) {
    return call(caller, asked.method, "/api/2.0/mlflow/" + with_run(asked.target), with_run(asked.body));
  }
  /// The first "{}" becomes the run's id.
  std::string with_run(std::string text) const {
    const std::size_t at = text.find("{}");
    return at == std::string::npos ? text : text.replace(at, 2, run.text);
  }
  static std::string code_of(const net::Response& response) {
    return response.status == 200 ? "" : parse_json(response.body).value()["error_code"].as_string().value_or("?");
  }
  std::vector<std::string> found(const net::Principal& caller, const std::string& filter = "") {
    const net::Response response =
        call(caller, "POST", "/api/2.0/mlflow/runs/search", fmt::format(R"({{"experiment_ids":["0"],"filter":"{}"}})", filter));
    std::vector<std::string> ids;
    const Document page = parse_json(response.body).value();
    const Document* const runs = page.find("runs");
    if (runs == nullptr) return ids;
    for (const Document& entry : runs->items()) ids.push_back(entry["info"]["run_id"].as_string().value());
    return ids;
  }

  const net::Principal stranger{"eve", {}, {{"text", "admin"}}};
  const net::Principal onlooker{"joe", {}, {{"vision", "viewer"}, {"text", "runner"}}};
  const net::Principal owner{"ann", {}, {{"vision", "runner"}}};
  const net::Principal own_attempt{"job:17/2", {}, {{"vision", "runner"}}};
  const net::Principal other_attempt{"job:18/1", {}, {{"vision", "runner"}}};
  const net::Principal foreign_attempt{"job:19/1", {}, {{"text", "runner"}}};

  trainyard::testing::ManualExecutor blocking{clock};
  trainyard::testing::ManualExecutor bulk{clock};
  trainyard::testing::ManualExecutor run_writer{clock};
  SwitchedAuthorizer callers;
  net::Router router{callers};
  RunId run;
};

TEST_F(MlflowNamespacesTest, every_route_that_names_a_run_is_known_to_these_tests) {
  std::set<std::string> known{"POST runs/create", "POST runs/search"};
  for (const RunCall& asked : run_calls()) known.insert(asked.method + " " + asked.pattern);
  const std::string prefix = "/api/2.0/mlflow/";
  std::set<std::string> served;
  for (const net::Route& route : router.routes()) {
    for (const char* group : {"runs/", "metrics/", "artifacts/"}) {
      if (route.pattern.starts_with(prefix + group)) served.insert(route.method + " " + route.pattern.substr(prefix.size()));
    }
  }
  EXPECT_EQ(served, known);
}

TEST_F(MlflowNamespacesTest, run_of_another_namespace_does_not_exist) {
  for (const RunCall& asked : run_calls()) {
    for (const net::Principal& caller : {stranger, foreign_attempt}) {
      const net::Response response = call_run(caller, asked);
      EXPECT_EQ(response.status, 404) << caller.name << " " << asked.target;
      EXPECT_EQ(code_of(response), "RESOURCE_DOES_NOT_EXIST") << caller.name << " " << asked.target;
      EXPECT_EQ(parse_json(response.body).value()["message"].as_string().value(), "Run with id=" + run.text + " not found");
    }
  }
  EXPECT_TRUE(found(stranger).empty());
  EXPECT_TRUE(found(foreign_attempt).empty());
}

TEST_F(MlflowNamespacesTest, run_that_is_seen_is_read_and_not_written) {
  for (const RunCall& asked : run_calls()) {
    for (const net::Principal& caller : {onlooker, other_attempt}) {
      EXPECT_EQ(code_of(call_run(caller, asked)), asked.writes ? "PERMISSION_DENIED" : "") << caller.name << " " << asked.target;
    }
  }
  EXPECT_EQ(found(onlooker), std::vector<std::string>{run.text});
  EXPECT_EQ(found(other_attempt), std::vector<std::string>{run.text});
}

TEST_F(MlflowNamespacesTest, runner_and_the_jobs_own_attempt_do_everything) {
  for (const net::Principal& caller : {owner, own_attempt}) {
    for (const RunCall& asked : run_calls()) {
      // After the call that deletes it the run is restored by the next.
      EXPECT_EQ(code_of(call_run(caller, asked)), "") << caller.name << " " << asked.target;
    }
  }
}

TEST_F(MlflowNamespacesTest, artifact_proxy_asks_for_the_run_in_the_path) {
  const std::string base = "/api/2.0/mlflow-artifacts/artifacts";
  const std::string file = base + "/" + root() + "/f";
  const std::string listing = base + "?path=" + root();
  for (const net::Principal& caller : {stranger, foreign_attempt}) {
    EXPECT_EQ(call(caller, "GET", file).status, 404) << caller.name;
    EXPECT_EQ(call(caller, "PUT", file, "x").status, 404) << caller.name;
    EXPECT_EQ(call(caller, "DELETE", file).status, 404) << caller.name;
    EXPECT_EQ(call(caller, "DELETE", base + "/0").status, 404) << caller.name;
    EXPECT_EQ(call(caller, "GET", listing).body, "{}") << caller.name;
    // Quoting hides no run.
    for (const char* between : {"%252fartifacts%252f", "/%252e/artifacts/", "%252f%252fartifacts/%252e%252f"}) {
      EXPECT_EQ(call(caller, "PUT", base + "/0/" + run.text + between + "f", "x").status, 404) << caller.name << " " << between;
    }
  }
  for (const net::Principal& caller : {onlooker, other_attempt}) {
    EXPECT_EQ(call(caller, "GET", file).body, "f") << caller.name;
    EXPECT_EQ(code_of(call(caller, "PUT", file, "x")), "PERMISSION_DENIED") << caller.name;
    EXPECT_EQ(code_of(call(caller, "DELETE", file)), "PERMISSION_DENIED") << caller.name;
    EXPECT_NE(call(caller, "GET", listing).body, "{}") << caller.name;
  }
  for (const net::Principal& caller : {owner, own_attempt}) {
    EXPECT_EQ(call(caller, "PUT", file, "f").status, 200) << caller.name;
    EXPECT_EQ(call(caller, "DELETE", file).status, 200) << caller.name;
  }
}

TEST_F(MlflowNamespacesTest, job_makes_child_runs_and_writes_them_in_its_later_attempts) {
  const std::string body = R"({"experiment_id":"0","tags":[{"key":"mlflow.parentRunId","value":")" + run.text + R"("}]})";
  const net::Response made = call({"job:17/1", {}, {{"vision", "runner"}}}, "POST", "/api/2.0/mlflow/runs/create", body);
  ASSERT_EQ(made.status, 200) << made.body;
  run.text = parse_json(made.body).value()["run"]["info"]["run_id"].as_string().value();
  EXPECT_EQ(tracking.runs().get(run)->info.name_space, "vision");
  for (const RunCall& asked : run_calls()) {
    EXPECT_EQ(code_of(call_run(own_attempt, asked)), "") << asked.target;
    EXPECT_EQ(code_of(call_run(other_attempt, asked)), asked.writes ? "PERMISSION_DENIED" : "") << asked.target;
  }
}

TEST_F(MlflowNamespacesTest, new_run_lies_in_the_namespace_that_its_tag_asks_for) {
  const auto create = [this](const net::Principal& caller, const std::string& name_space) {
    return call(caller, "POST", "/api/2.0/mlflow/runs/create",
                R"({"experiment_id":"0","tags":[{"key":"trainyard.namespace","value":")" + name_space + R"("}]})");
  };
  EXPECT_EQ(create(owner, "vision").status, 200);
  EXPECT_EQ(code_of(create(owner, "text")), "PERMISSION_DENIED");
  EXPECT_EQ(code_of(create(onlooker, "vision")), "PERMISSION_DENIED");
  EXPECT_EQ(code_of(create(other_attempt, "text")), "PERMISSION_DENIED");
  EXPECT_EQ(found(owner, "tags.`trainyard.namespace` = 'vision'").size(), 2u);
  EXPECT_TRUE(found(stranger).empty());
}

TEST_F(MlflowNamespacesTest, version_is_registered_out_of_a_run_that_the_caller_may_write) {
  ASSERT_TRUE(tracking.models().create_model("m", "", {}).ok());
  const std::string body = R"({"name":"m","source":"mlflow-artifacts:/)" + root() + R"(/f","run_id":")" + run.text + R"("})";
  const auto register_as = [&](const net::Principal& caller) {
    return code_of(call(caller, "POST", "/api/2.0/mlflow/model-versions/create", body));
  };
  EXPECT_EQ(register_as(stranger), "RESOURCE_DOES_NOT_EXIST");
  EXPECT_EQ(register_as(onlooker), "PERMISSION_DENIED");
  EXPECT_EQ(register_as(owner), "");
  EXPECT_EQ(call(stranger, "GET", "/api/2.0/mlflow-artifacts/artifacts/" + root() + "/f").body, "f");
}

TEST_F(MlflowNamespacesTest, file_of_a_job_that_is_faster_than_its_run_is_stored_behind_it) {
  const RunId late{"00000000000000010000000000000012"};
  const std::string target = "/api/2.0/mlflow-artifacts/artifacts/0/" + late.text + "/artifacts/f";
  callers.principal = other_attempt;
  const net::testing::FakeAnswerPtr early = net::testing::start_call(router, net::testing::make_request("PUT", target, "bytes"));
  bulk.run_ready();
  EXPECT_FALSE(early->answered());
  track::NewRun opened;
  opened.id = late;
  opened.experiment = {"0"};
  opened.name_space = "vision";
  opened.job = JobId{18};
  make(opened);
  run_writer.run_ready();
  bulk.run_ready();
  EXPECT_EQ(early->wait()->status, 200);
  EXPECT_EQ(call(other_attempt, "GET", target).body, "bytes");
}

}  // namespace
}  // namespace trainyard::api::mlflow
