#include "api/platform/runs.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "api/platform/models.h"
#include "base/testing/manual_executor.h"
#include "net/testing/api_conformance.h"
#include "net/testing/fake_responder.h"
#include "track/testing/tracking_fixture.h"

namespace trainyard::api {
namespace {

/// Takes every request for whoever is set.
class RunAuthorizer final : public net::Authorizer {
 public:
  Result<net::Principal> authenticate(const net::Request&) override { return principal; }
  net::Principal principal;
};

/// A run of job 17 in the namespace "vision", and callers of many kinds.
class RunNamespacesTest : public track::testing::TrackingTest {
 protected:
  void SetUp() override {
    TrackingTest::SetUp();
    add_run_routes(router, {blocking, tracking});
    add_model_routes(router, {blocking, tracking});
    run = make_run_in("vision", JobId{17});
  }

  net::Response call(const net::Principal& caller, std::string method, const std::string& target, std::string body = {}) {
    callers.principal = caller;
    const net::testing::FakeAnswerPtr answer =
        net::testing::start_call(router, net::testing::make_request(method, target, std::move(body)));
    blocking.run_ready();
    const net::Response response = answer->wait().value();
    EXPECT_EQ(net::testing::ApiConformance(router).fault(net::testing::make_request(method, target), response), "");
    return response;
  }
  Document json(const net::Principal& caller, const std::string& target) { return parse_json(call(caller, "GET", target).body).value(); }
  std::string path(const std::string& rest = "") const { return "/api/v1/runs/" + run.text + rest; }

  const net::Principal stranger{"eve", {}, {{"text", "admin"}}};
  const net::Principal onlooker{"joe", {}, {{"vision", "viewer"}, {"text", "runner"}}};
  const net::Principal attempt{"job:18/1", {}, {{"vision", "runner"}}};

  trainyard::testing::ManualExecutor blocking{clock};
  RunAuthorizer callers;
  net::Router router{callers};
  RunId run;
};

TEST_F(RunNamespacesTest, run_of_another_namespace_does_not_exist) {
  for (const std::string rest : {"", "/metrics", "/metrics?key=loss"}) {
    const net::Response refused = call(stranger, "GET", path(rest));
    EXPECT_EQ(refused.status, 404) << rest;
    EXPECT_EQ(parse_json(refused.body).value()["code"].as_string().value(), "track.unknown_run") << rest;
    EXPECT_EQ(call(onlooker, "GET", path(rest)).status, 200) << rest;
    EXPECT_EQ(call(attempt, "GET", path(rest)).status, 200) << rest;
  }
}

TEST_F(RunNamespacesTest, listing_goes_over_the_runs_that_the_caller_sees) {
  for (int i = 0; i < 3; ++i) make_run_in("text");
  EXPECT_EQ(json(attempt, "/api/v1/runs")["runs"].items().size(), 1u);
  std::set<std::string> found;
  const Document first = json(stranger, "/api/v1/runs?limit=2");
  const Document second = json(stranger, "/api/v1/runs?limit=2&cursor=" + net::percent_encode(first["next_cursor"].as_string().value()));
  EXPECT_EQ(second.find("next_cursor"), nullptr);
  for (const Document* page : {&first, &second}) {
    for (const Document& entry : (*page)["runs"].items()) {
      EXPECT_EQ(entry["namespace"].text(), "text");
      found.insert(entry["id"].text());
    }
  }
  EXPECT_EQ(found.size(), 3u);
}

TEST_F(RunNamespacesTest, model_is_registered_out_of_a_run_that_the_caller_may_write) {
  const std::string body = R"({"source":"ty://models/x.onnx","run_id":")" + run.text + R"("})";
  EXPECT_EQ(call(stranger, "POST", "/api/v1/models/m/versions", body).status, 404);
  EXPECT_EQ(call(onlooker, "POST", "/api/v1/models/m/versions", body).status, 403);
  EXPECT_EQ(call(attempt, "POST", "/api/v1/models/m/versions", body).status, 201);
}

}  // namespace
}  // namespace trainyard::api
