#include "api/platform/models.h"

#include <gtest/gtest.h>

#include "base/testing/manual_executor.h"
#include "net/testing/api_conformance.h"
#include "net/testing/fake_responder.h"
#include "track/testing/tracking_fixture.h"

namespace trainyard::api {
namespace {

class TrackingRoutesTest : public track::testing::TrackingTest {
 protected:
  void SetUp() override {
    TrackingTest::SetUp();
    add_run_routes(router, {blocking, tracking});
    add_model_routes(router, {blocking, tracking});
  }

  net::Response call(std::string method, std::string_view target, std::string body = {}) {
    const net::testing::FakeAnswerPtr answer =
        net::testing::start_call(router, net::testing::make_request(method, target, std::move(body)));
    blocking.run_ready();
    const net::Response response = answer->wait().value();
    EXPECT_EQ(net::testing::ApiConformance(router).fault(net::testing::make_request(method, target), response), "");
    return response;
  }
  Document json(std::string method, std::string_view target, std::string body = {}) {
    return parse_json(call(std::move(method), target, std::move(body)).body).value();
  }

  trainyard::testing::ManualExecutor blocking{clock};
  net::testing::FakeAuthorizer authorizer;
  net::Router router{authorizer};
};

TEST_F(TrackingRoutesTest, run_is_shown_with_its_metrics_and_history) {
  track::NewRun asked;
  asked.experiment = {"0"};
  asked.name = "train";
  asked.name_space = "vision";
  asked.job = JobId{17};
  const RunId run = make(asked);
  track::RunBatch batch;
  batch.metrics = {{"loss", {0.5, 1, 1000}}, {"loss", {0.25, 2, 2000}}};
  ASSERT_TRUE(tracking.runs().log(run, batch).ok());
  const Document shown = json("GET", "/api/v1/runs/" + run.text);
  EXPECT_EQ(shown["name"].as_string().value(), "train");
  EXPECT_EQ(shown["namespace"].as_string().value(), "vision");
  EXPECT_EQ(shown["metrics"]["loss"]["value"].as_double().value(), 0.25);
  EXPECT_EQ(shown["links"]["job"].as_string().value(), "/api/v1/jobs/17");
  EXPECT_EQ(json("GET", "/api/v1/runs")["runs"].items().size(), 1u);
  EXPECT_EQ(json("GET", "/api/v1/runs/" + run.text + "/metrics?key=loss")["points"].items().size(), 2u);
  const std::string link = json("GET", "/api/v1/runs/" + run.text + "/metrics")["histories"]["loss"].text();
  EXPECT_EQ(json("GET", link)["points"].items().size(), 2u);
  EXPECT_EQ(call("GET", "/api/v1/runs/none").status, 404);
  EXPECT_EQ(call("GET", "/api/v1/runs?limit=0").status, 400);
  EXPECT_EQ(call("GET", "/api/v1/runs?filter=a").status, 400);
}

TEST_F(TrackingRoutesTest, listing_of_runs_goes_on_at_the_cursor) {
  for (int i = 0; i < 3; ++i) make_run();
  const Document first = json("GET", "/api/v1/runs?limit=2");
  EXPECT_EQ(first["runs"].items().size(), 2u);
  const Document second = json("GET", "/api/v1/runs?limit=2&cursor=" + net::percent_encode(first["next_cursor"].as_string().value()));
  EXPECT_EQ(second["runs"].items().size(), 1u);
  EXPECT_EQ(second.find("next_cursor"), nullptr);
}

TEST_F(TrackingRoutesTest, version_is_registered_once_for_one_key_and_aliased) {
  const RunId run = make_run({{"trainyard.dataset", "fashion@3/curated"}});
  const std::string body = R"({"source":"ty://models/x.onnx","run_id":")" + run.text + R"(","alias":"champion","idempotency_key":"k"})";
  const net::Response created = call("POST", "/api/v1/models/fashion/versions", body);
  EXPECT_EQ(created.status, 201) << created.body;
  call("POST", "/api/v1/models/fashion/versions", body);
  const Document model = json("GET", "/api/v1/models/fashion");
  ASSERT_EQ(model["versions"].items().size(), 1u);
  EXPECT_EQ(model["aliases"]["champion"].as_int().value(), 1);
  EXPECT_EQ(model["versions"].items()[0]["lineage"]["dataset"].as_string().value(), "fashion@3/curated");
  EXPECT_EQ(json("GET", "/api/v1/models")["models"].items().size(), 1u);
}

TEST_F(TrackingRoutesTest, alias_moves_and_unknown_things_are_refused) {
  call("POST", "/api/v1/models/m/versions", R"({"source":"ty://models/x.onnx"})");
  EXPECT_EQ(call("PUT", "/api/v1/models/m/aliases/prod", R"({"version":1})").status, 200);
  EXPECT_EQ(call("PUT", "/api/v1/models/m/aliases/prod", R"({"version":2})").status, 404);
  EXPECT_EQ(call("PUT", "/api/v1/models/m/aliases/latest", R"({"version":1})").status, 400);
  EXPECT_EQ(call("POST", "/api/v1/models/m/versions", R"({"sorce":"ty://models/x.onnx"})").status, 400);
  EXPECT_EQ(call("GET", "/api/v1/models/none").status, 404);
}

TEST_F(TrackingRoutesTest, model_of_synthetic_data_is_refused_with_the_reason) {
  const RunId run = make_run({{"synthetic", "true"}});
  const net::Response refused =
      call("POST", "/api/v1/models/m/versions", R"({"source":"ty://models/x.onnx","run_id":")" + run.text + R"("})");
  EXPECT_GE(refused.status, 400);
  EXPECT_EQ(parse_json(refused.body).value()["code"].as_string().value(), "registry.synthetic");
}

}  // namespace
}  // namespace trainyard::api
