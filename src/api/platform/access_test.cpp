#include "api/platform/access.h"

#include <gtest/gtest.h>

#include "access/token_authorizer.h"
#include "adapters/sqlite/testing/temporary_database.h"
#include "api/platform/openapi.h"
#include "base/testing/fake_clock.h"
#include "base/testing/manual_executor.h"
#include "net/testing/api_conformance.h"
#include "net/testing/fake_responder.h"

namespace trainyard::api {
namespace {

using namespace std::chrono_literals;

class AccessRoutesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(store::migrate(files.database(), "access", access::access_migrations()).ok());
    authorizer.add_token(kAdmin, {"admin", "admin"});
    add_access_routes(router, {reads, writes, service});
    add_openapi_route(router);
  }

  net::Response call(std::string method, std::string_view target, const std::string& token, std::string body = {},
                     const std::vector<std::pair<std::string, std::string>>& headers = {}) {
    net::Request request = net::testing::make_request(std::move(method), target, std::move(body), token);
    for (const auto& [name, value] : headers) request.headers.add(name, value);
    request.peer = "10.0.0.7";
    const net::testing::FakeAnswerPtr answer = net::testing::start_call(router, request);
    while (reads.run_ready() + writes.run_ready() > 0) continue;
    EXPECT_TRUE(answer->answered()) << request.method << " " << target;
    const net::Response response = answer->answered() ? *answer->wait() : net::Response{0, {}, ""};
    EXPECT_EQ(net::testing::ApiConformance(router).fault(request, response), "");
    return response;
  }
  Document json(std::string method, std::string_view target, const std::string& token, std::string body = {}) {
    const net::Response response = call(std::move(method), target, token, std::move(body));
    EXPECT_LT(response.status, 300) << target << " " << response.body;
    return parse_json(response.body).value_or(Document());
  }
  static std::string code_of(const net::Response& response) { return parse_json(response.body).value_or(Document())["code"].text(); }
  /// The secret of a fresh token of a fresh user; `grants` as JSON.
  std::string make_user(const std::string& name, const std::string& grants = "[]") {
    json("POST", "/api/v1/users", kAdmin, R"({"name":")" + name + R"(","grants":)" + grants + "}");
    return json("POST", "/api/v1/tokens", kAdmin, R"({"user":")" + name + R"("})")["secret"].text();
  }

  static constexpr const char* kAdmin = "0123456789abcdef0123456789abcdef";
  trainyard::testing::FakeClock clock;
  trainyard::testing::ManualExecutor reads{clock};
  trainyard::testing::ManualExecutor writes{clock};
  adapters::sqlite::testing::TemporaryDatabase files;
  access::UserRepository repository{files.database(), clock};
  access::AuditTrail trail{writes, repository};
  access::TokenAuthorizer authorizer{"an installation key of 32 bytes.", clock};
  net::Router router{authorizer};
  access::AccessService service{
      {},
      {.repository = repository, .identities = authorizer.identities(), .audit = trail, .clock = clock},
      [this](const access::Revocation& gone) { router.end_streams([&gone](const net::Principal& who) { return gone.concerns(who); }); }};
};

TEST_F(AccessRoutesTest, user_is_made_changed_and_listed) {
  const net::Response made = call("POST", "/api/v1/users", kAdmin, R"({"name":"ann","grants":[{"namespace":"vision","role":"viewer"}]})");
  EXPECT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.headers.get("Location"), "/api/v1/users/ann");
  json("POST", "/api/v1/users", kAdmin, R"({"name":"bob"})");
  const Document first = json("GET", "/api/v1/users?limit=1", kAdmin);
  EXPECT_EQ(first["users"].items()[0]["name"].text(), "ann");
  const Document second = json("GET", "/api/v1/users?limit=1&cursor=" + first["next_cursor"].text(), kAdmin);
  EXPECT_EQ(second["users"].items()[0]["name"].text(), "bob");
  EXPECT_EQ(code_of(call("GET", "/api/v1/users?cursor=junk", kAdmin)), "page.cursor");

  EXPECT_EQ(json("PUT", "/api/v1/users/ann/grants", kAdmin, R"({"namespace":"*","role":"operator"})")["grants"].items().size(), 2u);
  EXPECT_EQ(json("DELETE", "/api/v1/users/ann/grants?namespace=vision", kAdmin)["grants"].items().size(), 1u);
  EXPECT_EQ(to_json(json("GET", "/api/v1/users/ann/grants", kAdmin)), R"({"grants":[{"namespace":"*","role":"operator"}]})");
  EXPECT_EQ(call("GET", "/api/v1/users/eve", kAdmin).status, 404);
  EXPECT_EQ(call("POST", "/api/v1/users", kAdmin, R"({"name":"ann"})").status, 409);
}

TEST_F(AccessRoutesTest, bad_bodies_are_refused_with_their_place) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({})", "spec.missing_key"},
      {R"({"name":"Ann"})", "access.user_name"},
      {R"({"nmae":"ann"})", "spec.missing_key"},
      {R"({"name":"ann","grants":[{"namespace":"v","role":"root"}]})", "spec.choice"},
      {R"({"name":"ann","grants":[{"namespace":"V!","role":"viewer"}]})", "access.namespace"},
      {R"([])", "spec.type"},
      {R"({"name":)", "json.malformed"}};
  for (const auto& [body, code] : cases) {
    const net::Response refused = call("POST", "/api/v1/users", kAdmin, body);
    EXPECT_EQ(refused.status, 400) << body;
    EXPECT_EQ(code_of(refused), code) << body;
  }
  EXPECT_EQ(code_of(call("POST", "/api/v1/tokens", kAdmin, R"({"user":"ann","expires_in":"500d"})")), "access.lifetime");
  EXPECT_EQ(code_of(call("POST", "/api/v1/agents/join-tokens", kAdmin, R"({"uses":"2"})")), "spec.type") << "the API is strict";
}

TEST_F(AccessRoutesTest, change_of_a_user_that_was_read_long_ago_is_refused) {
  const std::string token = make_user("ann", R"([{"namespace":"*","role":"viewer"}])");
  const net::Response read = call("GET", "/api/v1/users/ann", kAdmin);
  const std::string tag(read.headers.get("ETag").value_or(""));
  EXPECT_EQ(call("GET", "/api/v1/users/ann", kAdmin, {}, {{"If-None-Match", tag}}).status, 304);
  json("PUT", "/api/v1/users/ann/grants", kAdmin, R"({"namespace":"v","role":"viewer"})");
  EXPECT_EQ(call("PATCH", "/api/v1/users/ann", kAdmin, R"({"disabled":true})", {{"If-Match", tag}}).status, 412);
  EXPECT_EQ(call("GET", "/api/v1/whoami", token).status, 200);
  const std::string fresh(call("GET", "/api/v1/users/ann", kAdmin).headers.get("ETag").value_or(""));
  EXPECT_EQ(call("PATCH", "/api/v1/users/ann", kAdmin, R"({"disabled":true})", {{"If-Match", fresh}}).status, 200);
  EXPECT_EQ(call("GET", "/api/v1/whoami", token).status, 401);
}

TEST_F(AccessRoutesTest, deleted_user_is_nobody_at_once) {
  const std::string token = make_user("ann", R"([{"namespace":"*","role":"viewer"}])");
  EXPECT_EQ(call("GET", "/api/v1/whoami", token).status, 200);
  EXPECT_EQ(call("DELETE", "/api/v1/users/ann", token).status, 403);
  EXPECT_EQ(json("DELETE", "/api/v1/users/ann", kAdmin)["name"].text(), "ann");
  EXPECT_EQ(call("GET", "/api/v1/whoami", token).status, 401);
  EXPECT_EQ(call("GET", "/api/v1/users/ann", kAdmin).status, 404);
  EXPECT_EQ(call("DELETE", "/api/v1/users/ann", kAdmin).status, 404);
  const Document newest = json("GET", "/api/v1/audit?limit=2", kAdmin)["records"];
  EXPECT_EQ(newest.items()[1]["action"].text(), "user.delete");
  EXPECT_EQ(newest.items()[1]["object"].text(), "user/ann");
  EXPECT_EQ(newest.items()[1]["decision"].text(), "allowed");
  EXPECT_EQ(newest.items()[0]["decision"].text(), "access.unknown_user");
  const std::string again = make_user("ann", R"([{"namespace":"*","role":"viewer"}])");
  EXPECT_EQ(call("GET", "/api/v1/whoami", token).status, 401) << "the old token stays dead";
  EXPECT_EQ(call("GET", "/api/v1/whoami", again).status, 200);
}

TEST_F(AccessRoutesTest, last_admin_is_not_deleted) {
  const std::string rules = R"([{"namespace":"*","role":"admin"}])";
  const std::string ann = make_user("ann", rules);
  EXPECT_EQ(code_of(call("DELETE", "/api/v1/users/ann", ann)), "access.last_admin");
  EXPECT_EQ(code_of(call("DELETE", "/api/v1/users/admin", kAdmin)), "access.last_admin");
  EXPECT_EQ(call("GET", "/api/v1/whoami", ann).status, 200);
  make_user("bob", rules);
  EXPECT_EQ(call("DELETE", "/api/v1/users/ann", ann).status, 200);
  EXPECT_EQ(call("DELETE", "/api/v1/users/bob", kAdmin).status, 200) << "the admin of the data directory is left";
}

TEST_F(AccessRoutesTest, secret_of_a_token_is_shown_once_and_never_stored_by_a_cache) {
  json("POST", "/api/v1/users", kAdmin, R"({"name":"ann","grants":[{"namespace":"*","role":"viewer"}]})");
  const net::Response made = call("POST", "/api/v1/tokens", kAdmin, R"({"user":"ann","name":"laptop","role":"viewer","expires_in":"1h"})");
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.headers.get("Cache-Control"), "no-store");
  const Document issued = parse_json(made.body).value();
  const std::string secret = issued["secret"].text();
  const std::string id = issued["token"]["id"].text();
  EXPECT_EQ(made.headers.get("Location"), "/api/v1/tokens/" + id);
  for (const std::string& target : {"/api/v1/tokens/" + id, std::string("/api/v1/tokens"), std::string("/api/v1/audit")}) {
    const std::string body = call("GET", target, kAdmin).body;
    EXPECT_EQ(body.find(secret.substr(secret.size() - 64)), std::string::npos) << target;
    EXPECT_NE(body.find(id), std::string::npos) << target;
  }
  EXPECT_EQ(json("GET", "/api/v1/whoami", secret)["token_id"].text(), id);
  EXPECT_EQ(json("DELETE", "/api/v1/tokens/" + id, kAdmin)["id"].text(), id);
  EXPECT_EQ(call("GET", "/api/v1/whoami", secret).status, 401);
}

TEST_F(AccessRoutesTest, open_stream_of_a_revoked_token_ends) {
  std::shared_ptr<net::ResponseStream> stream;  // shared: as Responder says
  router.add({"GET", "/stream", net::Permission::kViewer, [&stream](const net::Request&, const net::ResponderPtr& responder) {
                stream = responder->stream({200, {}, ""});
              }});
  const std::string secret = make_user("ann", R"([{"namespace":"*","role":"viewer"}])");
  const auto answer = net::testing::start_call(router, net::testing::make_request("GET", "/stream", {}, secret));
  ASSERT_TRUE(stream->open());
  const std::string id = json("GET", "/api/v1/tokens", secret)["tokens"].items()[0]["id"].text();
  json("DELETE", "/api/v1/tokens/" + id, secret);
  EXPECT_FALSE(stream->open());
}

TEST_F(AccessRoutesTest, machine_joins_renews_and_is_revoked) {
  const Document join = json("POST", "/api/v1/agents/join-tokens", kAdmin, R"({"pool":"gpu","labels":{"zone":"a"},"expires_in":"5m"})");
  EXPECT_EQ(call("POST", "/api/v1/agents/join", "", R"({"node":"node-1"})").status, 401);
  EXPECT_EQ(call("POST", "/api/v1/agents/join", kAdmin, R"({"node":"node-1"})").status, 403);
  const std::string token = join["secret"].text();
  EXPECT_EQ(call("GET", "/api/v1/whoami", token).status, 403) << "a join token reads nothing";
  const Document first = json("POST", "/api/v1/agents/join", token, R"({"node":"node-1"})");
  EXPECT_EQ(first["pool"].text(), "gpu");
  EXPECT_EQ(first["labels"]["zone"].text(), "a");
  EXPECT_EQ(call("POST", "/api/v1/agents/join", token, R"({"node":"node-2"})").status, 401);
  const std::string credential = first["secret"].text();
  EXPECT_EQ(call("GET", "/api/v1/users", credential).status, 403);
  clock.advance(16h);
  const Document second = json("POST", "/api/v1/agents/renew", credential);
  EXPECT_EQ(second["node"].text(), "node-1");
  EXPECT_EQ(call("POST", "/api/v1/agents/renew", kAdmin).status, 409);
  EXPECT_EQ(call("DELETE", "/api/v1/agents/node-1/credential", kAdmin).status, 204);
  EXPECT_EQ(call("POST", "/api/v1/agents/renew", second["secret"].text()).status, 401);
  EXPECT_EQ(call("DELETE", "/api/v1/agents/node-1/credential", kAdmin).status, 404);
}

TEST_F(AccessRoutesTest, admin_of_a_namespace_works_within_it) {
  const std::string lead = make_user("lead", R"([{"namespace":"vision","role":"admin"}])");
  make_user("ann");
  EXPECT_EQ(call("PUT", "/api/v1/users/ann/grants", lead, R"({"namespace":"vision","role":"operator"})").status, 200);
  EXPECT_EQ(call("PUT", "/api/v1/users/ann/grants", lead, R"({"namespace":"speech","role":"viewer"})").status, 403);
  EXPECT_EQ(call("PUT", "/api/v1/users/lead/grants", lead, R"({"namespace":"*","role":"admin"})").status, 403);
  EXPECT_EQ(call("POST", "/api/v1/users", lead, R"({"name":"eve"})").status, 403);
  EXPECT_EQ(call("PATCH", "/api/v1/users/ann", lead, R"({"disabled":true})").status, 403);
  EXPECT_EQ(call("POST", "/api/v1/agents/join-tokens", lead, "{}").status, 403);
  EXPECT_EQ(call("GET", "/api/v1/audit", lead).status, 403);
}

TEST_F(AccessRoutesTest, caller_learns_what_it_may) {
  const std::string ann = make_user("ann", R"([{"namespace":"vision","role":"operator"},{"namespace":"*","role":"viewer"}])");
  const auto allowed = [&](const std::string& query) { return json("GET", "/api/v1/can-i?" + query, ann)["allowed"] == Document(true); };
  EXPECT_TRUE(allowed("action=operator&namespace=vision"));
  EXPECT_FALSE(allowed("action=operator&namespace=speech"));
  EXPECT_FALSE(allowed("action=operator"));
  EXPECT_TRUE(allowed("action=viewer"));
  EXPECT_FALSE(allowed("action=createUser"));
  EXPECT_EQ(json("GET", "/api/v1/can-i?action=createUser", ann)["needs"].text(), "admin");
  const net::Response unknown = call("GET", "/api/v1/can-i?action=createUsr", ann);
  EXPECT_EQ(unknown.status, 400);
  EXPECT_NE(unknown.body.find("did you mean \\\"createUser\\\""), std::string::npos) << unknown.body;
  EXPECT_EQ(call("GET", "/api/v1/can-i", ann).status, 400);
  EXPECT_EQ(to_json(json("GET", "/api/v1/whoami", ann)["grants"]),
            R"([{"namespace":"*","role":"viewer"},{"namespace":"vision","role":"operator"}])");
}

TEST_F(AccessRoutesTest, changes_are_in_the_audit_with_who_and_from_where) {
  make_user("ann");
  const Document record = json("GET", "/api/v1/audit?limit=1", kAdmin)["records"].items()[0];
  EXPECT_EQ(record["who"].text(), "admin");
  EXPECT_EQ(record["decision"].text(), "allowed");
  EXPECT_EQ(record["source"].text(), "10.0.0.7");
  EXPECT_EQ(record["request_id"].text(), "test-request");
  EXPECT_EQ(record["object"].text(), "user/ann");
}

TEST_F(AccessRoutesTest, every_route_is_for_the_callers_it_names) {
  const std::map<std::string, std::string> tokens{{"nobody", ""},
                                                  {"other namespace", make_user("other", R"([{"namespace":"other","role":"admin"}])")},
                                                  {"viewer", make_user("viewer", R"([{"namespace":"*","role":"viewer"}])")},
                                                  {"runner", make_user("runner", R"([{"namespace":"*","role":"runner"}])")},
                                                  {"operator", make_user("operator", R"([{"namespace":"*","role":"operator"}])")},
                                                  {"admin", kAdmin}};
  for (const net::Route& route : router.routes()) {
    std::string target = route.pattern;
    for (const auto& [parameter, value] : {std::pair("{name}", "nobody"), std::pair("{id}", "000000000000"), std::pair("{node}", "n")}) {
      if (const std::size_t at = target.find(parameter); at != std::string::npos) target.replace(at, std::strlen(parameter), value);
    }
    for (const auto& [who, token] : tokens) {
      const int status = call(route.method, target, token, "{}").status;
      const std::string what = route.method + " " + route.pattern + " by " + who;
      if (who == "nobody") {
        EXPECT_EQ(status, 401) << what;
        continue;
      }
      const bool own = who == "other namespace" && (route.doc.namespaced || route.permission == net::Permission::kViewer);
      const bool may = own || net::role_allows(who == "other namespace" ? "" : who, route.permission);
      EXPECT_EQ(status == 403, !may) << what << ": " << status;
      EXPECT_LT(status, 500) << what;
    }
  }
  EXPECT_TRUE(router.check().ok());
}

TEST_F(AccessRoutesTest, document_of_the_api_is_served_to_viewers_and_cached) {
  EXPECT_EQ(call("GET", "/openapi.json", "").status, 401);
  const net::Response whole = call("GET", "/openapi.json", kAdmin);
  EXPECT_EQ(parse_json(whole.body).value(), platform_openapi(router));
  const std::string tag(whole.headers.get("ETag").value_or(""));
  EXPECT_EQ(call("GET", "/openapi.json", kAdmin, {}, {{"If-None-Match", tag}}).status, 304);
}

}  // namespace
}  // namespace trainyard::api
