#include "net/openapi.h"

#include <gtest/gtest.h>

#include "net/testing/api_conformance.h"
#include "net/testing/fake_responder.h"

namespace trainyard::net {
namespace {

struct Thing {
  static constexpr std::string_view kSchemaName = "Thing";
  std::string name;
  std::int64_t size = 1;

  void describe(FieldVisitor& fields) {
    fields.field("name", name, "Its name.");
    fields.required();
    fields.field("size", size, {.min = 1, .max = 5}, "Its size.");
  }
};

struct Things {
  static constexpr std::string_view kSchemaName = "Things";
  std::vector<Thing> things;
  void describe(FieldVisitor& fields) { fields.field("things", things, "All of them."); }
};

class OpenApiTest : public ::testing::Test {
 protected:
  OpenApiTest() {
    router.add({"POST", "/api/v1/things", Permission::kOperator, reply(201, "application/json", R"({"name":"a","size":9})"), 1000,
                RouteDoc{.operation = "createThing",
                         .tag = "things",
                         .summary = "Makes a thing.",
                         .parameters = {header_text("Idempotency-Key", "Makes a repetition harmless.")},
                         .body = json_body<Thing>("The thing."),
                         .answers = {json_answer<Thing>(201, "The new thing.", {"Location"})},
                         .problems = {409}}});
    router.add({"GET", "/api/v1/things", Permission::kViewer, reply(200, "application/json", R"({"things":[{"name":"a","size":2}]})"), 1000,
                RouteDoc{.operation = "listThings",
                         .tag = "things",
                         .summary = "Lists things.",
                         .parameters = {query_integer("limit", {.min = 1, .max = 9}, 3, "How many."), query_flag("wide", "All of it.")},
                         .answers = {json_answer<Things>(200, "The things."), event_stream_answer("As they come.")},
                         .namespaced = true}});
    router.add({"GET", "/api/v1/files/{path*}", Permission::kViewer, reply(418, "text/plain", "tea"), 1000,
                RouteDoc{.operation = "getFile",
                         .tag = "files",
                         .summary = "One file.",
                         .parameters = {path_text("path", "Its path.")},
                         .answers = {text_answer(200, "text/plain", "The bytes.")}}});
    router.add({"GET", "/healthz", Permission::kOpen, reply(200, "text/plain", "ok"), 1000,
                RouteDoc{.operation = "isHealthy",
                         .tag = "server",
                         .summary = "Whether it lives.",
                         .answers = {text_answer(200, "text/plain", "It does.")},
                         .rate = RateClass::kReserved}});
    router.add({"GET", "/api/2.0/foreign", Permission::kViewer, {}, 1000, RouteDoc{.operation = "foreign", .foreign = true}});
    router.add({"GET", "/page", Permission::kViewer, {}});
  }

  static Handler reply(int status, std::string type, std::string body) {
    return [=](const Request&, const ResponderPtr& responder) { responder->respond(text_response(status, body, type)); };
  }
  Document document() const { return openapi_document(router, {"Things", "1.0", "All about things."}); }
  std::string fault(const std::string& method, const std::string& target) {
    const Request request = testing::make_request(method, target);
    return testing::ApiConformance(router).fault(request, testing::call(router, request));
  }

  testing::FakeAuthorizer authorizer;
  Router router{authorizer};
};

TEST_F(OpenApiTest, described_routes_of_the_platform_are_listed_sorted_and_others_are_not) {
  const Document api = document();
  EXPECT_EQ(api["openapi"].text(), "3.1.0");
  std::vector<std::string> paths;
  for (const auto& [path, operations] : api["paths"].members()) paths.push_back(path);
  EXPECT_EQ(paths, (std::vector<std::string>{"/api/v1/files/{path}", "/api/v1/things", "/healthz"}));
  EXPECT_EQ(to_json(api["tags"]), R"([{"name":"files"},{"name":"server"},{"name":"things"}])");
  EXPECT_EQ(to_json(document()), to_json(api)) << "equal routes give an equal document";
}

TEST_F(OpenApiTest, operation_tells_parameters_body_answers_and_who_may) {
  const Document api = document();
  const Document& post = api["paths"]["/api/v1/things"]["post"];
  EXPECT_EQ(post["operationId"].text(), "createThing");
  EXPECT_EQ(post["x-permission"].text(), "operator");
  EXPECT_EQ(post["x-body-max"], Document(1000));
  EXPECT_EQ(to_json(post["security"]), R"([{"bearer":[]}])");
  EXPECT_EQ(to_json(post["requestBody"]["content"]["application/json"]["schema"]), R"({"$ref":"#/components/schemas/ThingInput"})");
  EXPECT_EQ(to_json(post["responses"]["201"]["content"]["application/json"]["schema"]), R"({"$ref":"#/components/schemas/Thing"})");
  EXPECT_NE(post["responses"]["201"]["headers"].find("Location"), nullptr);
  const Document& get = api["paths"]["/api/v1/things"]["get"];
  EXPECT_EQ(to_json(get["parameters"].items()[0]), R"({"name":"limit","in":"query","description":"How many.","required":false,"schema":)"
                                                   R"({"type":"integer","minimum":1,"maximum":9,"default":3}})");
  EXPECT_EQ(get["responses"]["200"]["content"].members().size(), 2u);
  EXPECT_EQ(get["x-namespaced"], Document(true));
}

TEST_F(OpenApiTest, refusals_are_listed_where_they_can_happen) {
  const Document api = document();
  const auto statuses = [&api](const char* path, const char* method) {
    std::string text;
    for (const auto& [status, answer] : api["paths"][path][method]["responses"].members()) text += status + " ";
    return text;
  };
  EXPECT_EQ(statuses("/api/v1/things", "post"), "201 400 401 403 409 413 415 429 503 ");
  EXPECT_EQ(statuses("/api/v1/things", "get"), "200 400 401 403 429 503 ");
  EXPECT_EQ(statuses("/api/v1/files/{path}", "get"), "200 400 401 403 404 429 503 ");
  EXPECT_EQ(statuses("/healthz", "get"), "200 400 403 503 ");
  const Document& wait = api["components"]["responses"]["Problem429"];
  EXPECT_NE(wait["headers"].find("Retry-After"), nullptr);
  EXPECT_NE(wait["content"].find("application/problem+json"), nullptr);
}

TEST_F(OpenApiTest, every_reference_leads_somewhere) {
  const Document api = document();
  const std::string text = to_json(api);
  std::size_t found = 0;
  for (std::size_t at = text.find("\"$ref\":\"#/"); at != std::string::npos; at = text.find("\"$ref\":\"#/", at + 1)) {
    const std::size_t begin = at + 10;
    std::string pointer = text.substr(begin, text.find('"', begin) - begin);
    const Document* node = &api;
    while (node != nullptr && !pointer.empty()) {
      const std::string key = pointer.substr(0, pointer.find('/'));
      pointer.erase(0, key.size() + 1);
      node = node->find(key);
    }
    EXPECT_NE(node, nullptr) << text.substr(begin, 60);
    ++found;
  }
  EXPECT_GT(found, 10u);
}

TEST_F(OpenApiTest, conformance_finds_answers_that_contradict_the_description) {
  EXPECT_EQ(fault("GET", "/api/v1/things"), "");
  EXPECT_NE(fault("POST", "/api/v1/things").find("above the maximum"), std::string::npos);
  EXPECT_NE(fault("GET", "/api/v1/files/a/b").find("status is not described"), std::string::npos);
  EXPECT_EQ(fault("GET", "/api/v1/things?limit=99"), "") << "a described refusal";
  EXPECT_EQ(fault("GET", "/healthz"), "");
}

}  // namespace
}  // namespace trainyard::net
