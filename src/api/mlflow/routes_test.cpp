#include "api/mlflow/routes.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/testing/manual_executor.h"
#include "net/testing/fake_responder.h"
#include "track/testing/tracking_fixture.h"

namespace trainyard::api::mlflow {
namespace {

class MlflowRoutesTest : public track::testing::TrackingTest {
 protected:
  void SetUp() override {
    TrackingTest::SetUp();
    add_mlflow_tracking_routes(router, {blocking, bulk, run_writer, tracking, clock, {}});
    add_mlflow_registry_routes(router, {blocking, bulk, run_writer, tracking, clock, {}});
  }

  net::Response send(net::Request request) {
    const net::testing::FakeAnswerPtr answer = net::testing::start_call(router, std::move(request));
    blocking.run_ready();
    bulk.run_ready();
    run_writer.run_ready();
    return answer->wait().value();
  }
  net::Response call(std::string method, std::string_view target, std::string body = {}, std::string_view type = "application/json") {
    net::Request request = net::testing::make_request(std::move(method), target, std::move(body));
    if (!type.empty()) request.headers.add("Content-Type", std::string(type));
    return send(std::move(request));
  }
  /// The message of a call below /api/2.0/mlflow/ that must succeed.
  Document good(std::string method, const std::string& path, std::string body = {}) {
    const net::Response response = call(std::move(method), "/api/2.0/mlflow/" + path, std::move(body));
    EXPECT_EQ(response.status, 200) << response.body;
    return parse_json(response.body).value();
  }
  /// "STATUS CODE: message" of a call that must fail.
  std::string bad(std::string method, const std::string& path, std::string body = {}) {
    const net::Response response = call(std::move(method), "/api/2.0/mlflow/" + path, std::move(body));
    const Document error = parse_json(response.body).value();
    return std::to_string(response.status) + " " + error["error_code"].as_string().value_or("?") + ": " +
           error["message"].as_string().value_or("?");
  }
  std::string new_run() {
    return good("POST", "runs/create", R"({"experiment_id":"0","start_time":5})")["run"]["info"]["run_id"].as_string().value();
  }

  trainyard::testing::ManualExecutor blocking{clock};
  trainyard::testing::ManualExecutor bulk{clock};
  trainyard::testing::ManualExecutor run_writer{clock};
  net::testing::FakeAuthorizer authorizer;
  net::Router router{authorizer};
};

TEST_F(MlflowRoutesTest, run_is_created_logged_and_read_back) {
  const std::string id = new_run();
  good("POST", "runs/log-metric", R"({"run_uuid":")" + id + R"(","key":"loss","value":0.5,"timestamp":"10","step":1})");
  good("POST", "runs/log-batch",
       R"({"run_id":")" + id +
           R"(","metrics":[{"key":"loss","value":"NaN","timestamp":20,"step":2}],)"
           R"("params":[{"key":"lr","value":"0.1"}],"tags":[{"key":"team","value":"a"}]})");
  good("POST", "runs/update", R"({"run_id":")" + id + R"(","status":"FINISHED","end_time":99})");
  const Document run = good("GET", "runs/get?run_id=" + id)["run"];
  EXPECT_EQ(run["info"]["run_uuid"].as_string().value(), id);
  EXPECT_EQ(run["info"]["status"].as_string().value(), "FINISHED");
  EXPECT_EQ(run["info"]["end_time"].as_int().value(), 99);
  EXPECT_EQ(to_json(run["data"]["metrics"]), R"([{"key":"loss","value":"NaN","timestamp":20,"step":2}])");
  EXPECT_EQ(to_json(run["data"]["params"]), R"([{"key":"lr","value":"0.1"}])");
  EXPECT_EQ(to_json(run["inputs"]), "{}");
  EXPECT_EQ(good("GET", "metrics/get-history?run_id=" + id + "&metric_key=loss")["metrics"].items().size(), 2u);
  EXPECT_EQ(to_json(good("GET", "metrics/get-history?run_id=" + id + "&metric_key=none")), "{}");
  const Document page = good("GET", "metrics/get-history?run_id=" + id + "&metric_key=loss&max_results=1");
  EXPECT_EQ(page["metrics"].items().size(), 1u);
  const std::string rest = "metrics/get-history?run_id=" + id +
                           "&metric_key=loss&max_results=1&page_token=" + net::percent_encode(page["next_page_token"].as_string().value());
  EXPECT_EQ(good("GET", rest)["metrics"].items()[0]["step"].as_int().value(), 2);
}

TEST_F(MlflowRoutesTest, wire_rules_of_protobuf_are_followed) {
  EXPECT_EQ(good("POST", "experiments/create", R"("{\"name\":\"twice\"}")")["experiment_id"].as_string().value(), "1");
  EXPECT_EQ(good("POST", "experiments/create", R"({"name":"camel","artifactLocation":"s3://b/x","tags":null,"unknown":1})")["experiment_id"]
                .as_string()
                .value(),
            "2");
  EXPECT_EQ(good("GET", "experiments/get?experiment_id=2")["experiment"]["artifact_location"].as_string().value(), "s3://b/x");
  EXPECT_NE(bad("POST", "experiments/create", R"({"name":"x","artifact_location":"a","artifactLocation":"b"})").find("400"),
            std::string::npos);
  EXPECT_EQ(call("POST", "/api/2.0/mlflow/experiments/create", R"({"name":"y"})", "text/plain").body,
            R"({"error_code":"INVALID_PARAMETER_VALUE","message":"Bad Request. Content-Type must be one of ['application/json']."})");
  EXPECT_EQ(call("POST", "/ajax-api/2.0/mlflow/experiments/create", R"({"name":"z"})", "application/json; charset=utf-8").status, 200);
}

TEST_F(MlflowRoutesTest, unfit_filter_is_refused_where_there_are_no_runs) {
  for (const char* filter : {"metrics.loss = 'x'", "params.depth > 3", "params.depth = 3", "attributes.unknown = 'x'"}) {
    EXPECT_EQ(bad("POST", "runs/search", fmt::format(R"({{"experiment_ids":["0"],"filter":"{}"}})", filter)).substr(0, 27),
              "400 INVALID_PARAMETER_VALUE")
        << filter;
  }
}

TEST_F(MlflowRoutesTest, errors_have_the_names_and_texts_clients_match_on) {
  EXPECT_EQ(bad("POST", "experiments/create", R"({"name":"Default"})"),
            "400 RESOURCE_ALREADY_EXISTS: Experiment(name=Default) already exists.");
  EXPECT_EQ(bad("GET", "experiments/get-by-name?experiment_name=n"),
            "404 RESOURCE_DOES_NOT_EXIST: Could not find experiment with name 'n'");
  EXPECT_EQ(bad("GET", "runs/get?run_id=r"), "404 RESOURCE_DOES_NOT_EXIST: Run with id=r not found");
  EXPECT_EQ(
      bad("POST", "runs/log-metric", R"({"run_id":"r","key":"k","value":1})"),
      "400 INVALID_PARAMETER_VALUE: Missing value for required parameter 'timestamp'. See the API docs for more information about request "
      "parameters.");
  EXPECT_NE(bad("POST", "runs/log-batch", R"({"run_id":"r","metrics":[{"key":"k","value":1}]})").find("'metrics[0].timestamp'"),
            std::string::npos);
  EXPECT_EQ(bad("POST", "runs/log-metric", R"({"run_id":[],"key":"k"})"),
            "400 INVALID_PARAMETER_VALUE: Invalid value [] for parameter 'run_id' supplied:  Hint: Value was of type 'list'. See the API "
            "docs for "
            "more information about request parameters.");
  EXPECT_EQ(bad("GET", "model-versions/get?name=m&version=x"),
            "400 INVALID_PARAMETER_VALUE: Parameter 'version' must be an integer, got 'x'.");
  EXPECT_EQ(bad("GET", "no-such-thing").substr(0, 23), "404 ENDPOINT_NOT_FOUND:");
  EXPECT_EQ(bad("POST", "runs/create", "{").substr(0, 27), "400 INVALID_PARAMETER_VALUE");
}

TEST_F(MlflowRoutesTest, batch_beyond_its_limits_is_refused) {
  std::string metrics;
  for (int i = 0; i <= 1000; ++i) metrics += R"({"key":"k","value":1,"timestamp":1},)";
  metrics.pop_back();
  EXPECT_NE(bad("POST", "runs/log-batch", R"({"run_id":"r","metrics":[)" + metrics + "]}")
                .find("A batch logging request can contain at most 1000 metrics. Got 1001 metrics."),
            std::string::npos);
}

TEST_F(MlflowRoutesTest, runs_are_found_by_filter) {
  const std::string id = new_run();
  good("POST", "runs/set-tag", R"({"run_id":")" + id + R"(","key":"team","value":"a"})");
  new_run();
  EXPECT_EQ(good("POST", "runs/search", R"({"experiment_ids":["0"],"filter":"tags.team = 'a'"})")["runs"].items().size(), 1u);
  EXPECT_EQ(good("POST", "runs/search", R"({"experiment_ids":["0"],"max_results":1})").find("next_page_token") != nullptr, true);
  EXPECT_EQ(bad("POST", "runs/search", R"({"experiment_ids":["0"],"filter":"a = 'b' OR c = 'd'"})"),
            "400 INVALID_PARAMETER_VALUE: Invalid clause(s) in filter string: 'OR'");
}

TEST_F(MlflowRoutesTest, artifacts_are_put_listed_ranged_and_removed) {
  const std::string id = new_run();
  const std::string root = "/api/2.0/mlflow-artifacts/artifacts/0/" + id + "/artifacts/";
  EXPECT_EQ(call("PUT", root + "model/a%20b.txt", "hello", "").body, "{}");
  EXPECT_EQ(call("PUT", root + "top.bin", std::string("\0\xff", 2), "").status, 200);
  const net::Response whole = call("GET", root + "model/a%20b.txt");
  EXPECT_EQ(whole.body, "hello");
  EXPECT_EQ(whole.headers.get("X-Content-Type-Options"), "nosniff");
  net::Request ranged = net::testing::make_request("GET", root + "model/a%20b.txt");
  ranged.headers.add("Range", "bytes=1-2");
  const net::Response part = send(std::move(ranged));
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.body, "el");
  EXPECT_EQ(part.headers.get("Content-Range"), "bytes 1-2/5");
  EXPECT_EQ(call("GET", "/api/2.0/mlflow-artifacts/artifacts?path=0/" + id + "/artifacts/model").body,
            R"({"files":[{"path":"a b.txt","is_dir":false,"file_size":5}]})");
  EXPECT_EQ(to_json(good("GET", "artifacts/list?run_id=" + id)["files"]),
            R"([{"path":"model","is_dir":true},{"path":"top.bin","is_dir":false,"file_size":2}])");
  EXPECT_EQ(good("GET", "artifacts/list?run_id=" + id + "&path=model")["files"].items()[0]["path"].as_string().value(), "model/a b.txt");
  EXPECT_EQ(call("GET", root + "none").status, 404);
  EXPECT_EQ(call("GET", root + "model").status, 400);
  EXPECT_EQ(call("DELETE", root + "model").body, "{}");
  EXPECT_EQ(call("GET", root + "model/a%20b.txt").status, 404);
  EXPECT_EQ(call("POST", "/api/2.0/mlflow-artifacts/mpu/create/x", "{}").status, 501);
}

TEST_F(MlflowRoutesTest, stored_bytes_hold_up_no_call) {
  const std::string id = new_run();
  const net::testing::FakeAnswerPtr put = net::testing::start_call(
      router, net::testing::make_request("PUT", "/api/2.0/mlflow-artifacts/artifacts/0/" + id + "/artifacts/a", "bytes"));
  const net::testing::FakeAnswerPtr get =
      net::testing::start_call(router, net::testing::make_request("GET", "/api/2.0/mlflow/runs/get?run_id=" + id));
  blocking.run_ready();
  EXPECT_FALSE(put->answered());
  EXPECT_TRUE(get->answered());
  bulk.run_ready();
  EXPECT_EQ(put->wait()->status, 200);
}

TEST_F(MlflowRoutesTest, job_that_is_faster_than_its_run_is_answered_behind_it) {
  net::testing::FakeAuthorizer job({"job:17/1", "runner"});
  net::Router jobs(job);
  add_mlflow_tracking_routes(jobs, {blocking, bulk, run_writer, tracking, clock, {}});
  add_mlflow_registry_routes(jobs, {blocking, bulk, run_writer, tracking, clock, {}});
  const RunId id{"00000000000000010000000000000011"};
  const auto log = [&] {
    net::Request request = net::testing::make_request("POST", "/api/2.0/mlflow/runs/log-metric",
                                                      R"({"run_id":")" + id.text + R"(","key":"loss","value":1,"timestamp":1})");
    request.headers.add("Content-Type", "application/json");
    return net::testing::start_call(jobs, std::move(request));
  };
  run_writer.post([this, id] {
    track::NewRun run;
    run.id = id;
    run.experiment = {"0"};
    run.job = JobId{17};
    EXPECT_TRUE(tracking.runs().create(run).ok());
  });
  const net::testing::FakeAnswerPtr early = log();
  blocking.run_ready();
  EXPECT_FALSE(early->answered());
  run_writer.run_ready();
  EXPECT_EQ(early->wait()->status, 200);
  EXPECT_EQ(tracking.runs().get(id)->metrics.size(), 1u);
}

TEST_F(MlflowRoutesTest, paths_cannot_leave_the_artifact_root) {
  for (const char* path : {"..%252f..%252fetc/passwd", "a%5cb", "%252e%252e/x", "x%23y"}) {
    const net::Response response = call("PUT", std::string("/api/2.0/mlflow-artifacts/artifacts/") + path, "x", "");
    EXPECT_EQ(response.status, 400) << path;
    EXPECT_EQ(response.body, R"({"error_code":"INVALID_PARAMETER_VALUE","message":"Invalid path"})") << path;
  }
  EXPECT_EQ(call("GET", "/api/2.0/mlflow-artifacts/artifacts?path=../x").status, 400);
}

TEST_F(MlflowRoutesTest, registry_keeps_versions_and_aliases) {
  const std::string id = new_run();
  good("POST", "registered-models/create", R"({"name":"m","description":"d"})");
  const std::string source = "mlflow-artifacts:/0/" + id + "/artifacts/model";
  const Document version =
      good("POST", "model-versions/create", R"({"name":"m","source":")" + source + R"(","run_id":")" + id + R"("})")["model_version"];
  EXPECT_EQ(version["version"].as_string().value(), "1");
  EXPECT_EQ(version["status"].as_string().value(), "READY");
  good("POST", "registered-models/alias", R"({"name":"m","alias":"champion","version":"1"})");
  EXPECT_EQ(good("GET", "registered-models/alias?name=m&alias=champion")["model_version"]["version"].as_string().value(), "1");
  const Document model = good("GET", "registered-models/get?name=m")["registered_model"];
  EXPECT_EQ(to_json(model["aliases"]), R"([{"alias":"champion","version":"1"}])");
  EXPECT_EQ(model["latest_versions"].items().size(), 1u);
  EXPECT_EQ(good("GET", "model-versions/get-download-uri?name=m&version=1")["artifact_uri"].as_string().value(), source);
  EXPECT_EQ(good("GET", "model-versions/search?filter=name%3D%27m%27")["model_versions"].items().size(), 1u);
  EXPECT_EQ(good("GET", "registered-models/search?max_results=10")["registered_models"].items().size(), 1u);
  good("DELETE", "registered-models/alias", R"({"name":"m","alias":"champion"})");
  EXPECT_EQ(bad("GET", "registered-models/alias?name=m&alias=champion"),
            "400 INVALID_PARAMETER_VALUE: Registered model alias champion not found.");
}

TEST_F(MlflowRoutesTest, root_level_answers_what_clients_probe) {
  EXPECT_EQ(call("GET", "/health").body, "OK");
  EXPECT_EQ(call("GET", "/version").body, "3.3.0");
  EXPECT_EQ(parse_json(call("GET", "/api/3.0/mlflow/server-info").body).value()["store_type"].as_string().value(), "SqlStore");
}

}  // namespace
}  // namespace trainyard::api::mlflow
