#include "api/oip/routes.h"

#include <gtest/gtest.h>

#include "api/oip/codec.h"
#include "base/testing/fake_clock.h"
#include "net/testing/fake_responder.h"
#include "serve/testing/fake_servable.h"

namespace trainyard::api::oip {
namespace {

using net::Request;
using net::Response;

/// "good" is the only token.
class OneToken final : public net::Authorizer {
 public:
  Result<net::Principal> authenticate(const Request& request) override {
    if (request.headers.get("Authorization") == "Bearer good") return net::Principal{"client", "viewer"};
    return Error{Category::kUnauthenticated, "auth.missing", "This server needs a token", {}, {}};
  }
};

class OipRoutesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    add_oip_routes(router, host, clock, {.server_version = "1.2"});
    ASSERT_TRUE(host.load("team/m", 1, {"/a"}).ok());
    ASSERT_TRUE(host.load("team/m", 2, {"/b"}).ok());
  }

  Response call(std::string method, std::string_view path, std::string body = {}, const net::Headers& headers = {}) {
    Request request = net::testing::make_request(std::move(method), path, std::move(body), token ? "good" : "");
    for (const auto& [name, value] : headers.fields()) request.headers.add(name, value);
    return net::testing::call(router, std::move(request));
  }

  OneToken authorizer;
  bool token = true;
  trainyard::testing::FakeClock clock;
  serve::testing::FakeModelLoader loader;
  serve::ModelHost host{{}, loader, clock};
  net::Router router{authorizer};
};

constexpr std::string_view kOneRow = R"({"id":"a","inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[1,2]}]})";

TEST_F(OipRoutesTest, health_is_open_and_says_both_words) {
  token = false;
  EXPECT_EQ(call("GET", "/v2/health/live").body, R"({"live":true,"ready":true})");
  EXPECT_EQ(call("HEAD", "/v2/health/ready").status, 200);
  host.unload("team/m", 1);
  host.unload("team/m", 2);
  EXPECT_EQ(call("GET", "/v2/health/live").status, 200);
  EXPECT_EQ(call("GET", "/v2/health/ready").status, 503);
}

TEST_F(OipRoutesTest, everything_else_needs_the_token) {
  token = false;
  for (const char* path : {"/v2", "/v2/models/team/m", "/v2/models/stats", "/metrics"}) EXPECT_EQ(call("GET", path).status, 401) << path;
  const Response refused = call("POST", "/v2/models/team/m/infer", std::string(kOneRow));
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.body, R"({"error":"This server needs a token"})");
}

TEST_F(OipRoutesTest, inference_without_content_type_is_answered) {
  const Response response = call("POST", "/v2/models/team/m/infer", std::string(kOneRow));
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(
      response.body,
      R"({"model_name":"team/m","model_version":"2","id":"a","outputs":[{"name":"y","datatype":"FP32","shape":[1,2],"data":[2,4]}]})");
  EXPECT_NE(call("POST", "/v2/models/team/m/versions/1/infer", std::string(kOneRow)).body.find(R"("model_version":"1")"),
            std::string::npos);
}

TEST_F(OipRoutesTest, binary_request_gets_a_binary_answer) {
  const std::vector<float> values{1, 2};
  const auto encoded = encode_infer_request({{"x", make_tensor<float>(DataType::kFp32, {1, 2}, values)}}, true);
  ASSERT_TRUE(encoded.ok());
  const auto outputs = decode_infer_response(call("POST", "/v2/models/team/m/infer", encoded->body, encoded->headers));
  ASSERT_TRUE(outputs.ok()) << outputs.error().describe();
  EXPECT_EQ(serve::testing::floats_of(outputs->at(0).tensor), (std::vector<float>{2, 4}));
}

TEST_F(OipRoutesTest, failures_have_their_status_and_only_the_error_text) {
  EXPECT_EQ(call("POST", "/v2/models/none/infer", std::string(kOneRow)).body, R"({"error":"Model is not served here: none"})");
  EXPECT_EQ(call("POST", "/v2/models/none/infer", std::string(kOneRow)).status, 404);
  EXPECT_EQ(call("POST", "/v2/models/team/m/versions/3/infer", std::string(kOneRow)).status, 404);
  EXPECT_EQ(call("POST", "/v2/models/team/m/versions/01/infer", std::string(kOneRow)).status, 404);
  EXPECT_EQ(call("POST", "/v2/models/team/m/infer", "{").status, 400);
  EXPECT_EQ(call("POST", "/v2/models/team/m/infer", R"({"inputs":[]})").body, R"({"error":"Input is missing: x"})");
  EXPECT_EQ(call("POST", "/v2/models/team/m/generate", "{}").status, 501);
  EXPECT_EQ(call("POST", "/v2/repository/models/x/load").status, 501);
  EXPECT_EQ(call("GET", "/v2/models/team/m/infer").status, 404);
  const Response unknown = call("GET", "/v2/nothing");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(parse_json(unknown.body).value().members().size(), 1u);
  EXPECT_TRUE(parse_json(unknown.body).value()["error"].is_string());
  host.unload("team/m", 2);
  const Response unloaded = call("POST", "/v2/models/team/m/versions/2/infer", std::string(kOneRow));
  EXPECT_EQ(unloaded.status, 503);
  EXPECT_TRUE(unloaded.headers.get("Retry-After").has_value());
}

TEST_F(OipRoutesTest, compressed_body_is_refused_in_words) {
  net::Headers headers;
  headers.add("Content-Encoding", "gzip");
  EXPECT_EQ(call("POST", "/v2/models/team/m/infer", "xx", headers).status, 501);
}

TEST_F(OipRoutesTest, model_that_fails_answers_with_its_error) {
  const Response response =
      call("POST", "/v2/models/team/m/infer", R"({"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[-1,2]}]})");
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(response.body, R"({"error":"Row starts with a negative value"})");
}

TEST_F(OipRoutesTest, metadata_lists_ready_versions_and_tensors) {
  EXPECT_EQ(call("GET", "/v2/models/team/m").body,
            R"({"name":"team/m","versions":["1","2"],"platform":"fake","inputs":[{"name":"x","datatype":"FP32","shape":[-1,2]}],)"
            R"("outputs":[{"name":"y","datatype":"FP32","shape":[-1,2]}]})");
  EXPECT_EQ(parse_json(call("GET", "/v2").body).value()["version"].as_string().value(), "1.2");
  EXPECT_EQ(call("GET", "/v2/models/team/m/versions/1/ready").body, R"({"name":"team/m","ready":true})");
  EXPECT_EQ(call("GET", "/v2/models/none/ready").status, 404);
  const Document config = parse_json(call("GET", "/v2/models/team/m/config").body).value();
  EXPECT_EQ(config["max_batch_size"].as_int().value(), 32);
  EXPECT_EQ(to_json(config["input"]), R"([{"name":"x","data_type":"TYPE_FP32","dims":[2]}])");
}

TEST_F(OipRoutesTest, index_lists_every_version_with_its_state) {
  host.unload("team/m", 1);
  EXPECT_EQ(call("POST", "/v2/repository/index").body, R"([{"name":"team/m","version":"1","state":"UNAVAILABLE","reason":"unloaded"},)"
                                                       R"({"name":"team/m","version":"2","state":"READY","reason":""}])");
  EXPECT_EQ(parse_json(call("POST", "/v2/repository/index", R"({"ready":true})").body).value().items().size(), 1u);
}

TEST_F(OipRoutesTest, statistics_count_rows_and_runs) {
  call("POST", "/v2/models/team/m/infer", std::string(kOneRow));
  const Document all = parse_json(call("GET", "/v2/models/stats").body).value();
  ASSERT_EQ(all["model_stats"].items().size(), 2u);
  const Document one = parse_json(call("GET", "/v2/models/team/m/versions/2/stats").body).value();
  const Document& entry = one["model_stats"].items().front();
  EXPECT_EQ(entry["inference_count"].as_int().value(), 1);
  EXPECT_EQ(entry["inference_stats"]["success"]["count"].as_int().value(), 1);
  EXPECT_EQ(entry["batch_stats"].items().size(), 1u);
  EXPECT_NE(call("GET", "/metrics").body.find("nv_inference_count{model=\"team/m\",version=\"2\"} 1\n"), std::string::npos);
}

}  // namespace
}  // namespace trainyard::api::oip
