#include "net/router.h"

#include <gtest/gtest.h>

#include "base/testing/fake_clock.h"
#include "net/testing/fake_responder.h"

namespace trainyard::net {
namespace {

using testing::call;
using testing::make_request;

/// The token is the role.
class RoleAuthorizer final : public Authorizer {
 public:
  Result<Principal> authenticate(const Request& request) override {
    const auto field = request.headers.get("Authorization");
    if (!field) return Error{Category::kUnauthenticated, "auth.missing", "no token", {}, {}};
    return Principal{name, std::string(field->substr(7)), grants, credential};
  }
  bool is_current(const Principal&) const override { return current; }

  std::string name = "someone";
  std::vector<Grant> grants;
  std::string credential;
  bool current = true;
};

class RouterTest : public ::testing::Test {
 protected:
  void add(std::string method, std::string pattern, Permission permission = Permission::kViewer, std::size_t body_max = 100) {
    router.add({method, pattern, permission,
                [pattern](const Request& request, const ResponderPtr& responder) {
                  std::string text = pattern + " " + request.principal.role;
                  for (const auto& [name, value] : request.path_parameters) text += " " + name + "=" + value;
                  responder->respond(text_response(200, text));
                },
                body_max});
  }
  Response get(std::string_view target, std::string_view role = "viewer") { return call(router, make_request("GET", target, {}, role)); }

  RoleAuthorizer authorizer;
  Router router{authorizer};
};

TEST_F(RouterTest, parameters_and_rest_are_filled) {
  add("GET", "/jobs/{id}/ranks/{rank}");
  add("GET", "/files/{path*}");
  EXPECT_EQ(get("/jobs/17/ranks/3").body, "/jobs/{id}/ranks/{rank} viewer id=17 rank=3");
  EXPECT_EQ(get("/files/a/b%20c").body, "/files/{path*} viewer path=a/b c");
  EXPECT_EQ(get("/files/").body, "/files/{path*} viewer path=");
  EXPECT_EQ(get("/files").status, 404);
  EXPECT_EQ(get("/jobs//ranks/3").status, 404);
  EXPECT_EQ(get("/jobs/17/ranks/3/").status, 404);
}

TEST_F(RouterTest, literal_beats_parameter_beats_rest_in_any_order_of_registration) {
  add("GET", "/{rest*}");
  add("GET", "/jobs/{id}");
  add("GET", "/jobs/summary");
  EXPECT_EQ(get("/jobs/summary").body, "/jobs/summary viewer");
  EXPECT_EQ(get("/jobs/7").body, "/jobs/{id} viewer id=7");
  EXPECT_EQ(get("/other/7").body, "/{rest*} viewer rest=other/7");
  EXPECT_EQ(get("/").body, "/{rest*} viewer rest=");
}

TEST_F(RouterTest, unknown_path_is_problem_details_404) {
  const Response response = get("/nothing");
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.headers.get("Content-Type"), "application/problem+json");
  EXPECT_EQ(parse_json(response.body).value().string_at("request_id").value(), "test-request");
}

TEST_F(RouterTest, wrong_method_is_405_and_names_those_allowed) {
  add("GET", "/jobs");
  add("POST", "/jobs");
  const Response response = call(router, make_request("DELETE", "/jobs", {}, "admin"));
  EXPECT_EQ(response.status, 405);
  EXPECT_EQ(response.headers.get("Allow"), "GET, POST, HEAD");
}

TEST_F(RouterTest, head_is_served_by_the_get_route) {
  add("GET", "/jobs");
  EXPECT_EQ(call(router, make_request("HEAD", "/jobs", {}, "viewer")).status, 200);
  add("POST", "/only-post");
  EXPECT_EQ(call(router, make_request("HEAD", "/only-post", {}, "viewer")).status, 405);
}

TEST_F(RouterTest, roles_are_ordered_and_unknown_roles_hold_nothing) {
  add("GET", "/v", Permission::kViewer);
  add("GET", "/r", Permission::kRunner);
  add("GET", "/o", Permission::kOperator);
  add("GET", "/a", Permission::kAdmin);
  const char* const paths[] = {"/v", "/r", "/o", "/a"};
  const char* const roles[] = {"viewer", "runner", "operator", "admin"};
  for (int role = 0; role < 4; ++role) {
    for (int path = 0; path < 4; ++path) EXPECT_EQ(get(paths[path], roles[role]).status, role >= path ? 200 : 403) << role << path;
  }
  EXPECT_EQ(get("/v", "root").status, 403);
  EXPECT_EQ(get("/v", "").status, 401);
}

TEST_F(RouterTest, route_without_a_permission_is_for_nobody_and_keeps_the_server_from_starting) {
  Route forgetful;
  forgetful.method = "GET";
  forgetful.pattern = "/forgotten";
  forgetful.handler = [](const Request&, const ResponderPtr& responder) { responder->respond(text_response(200, "open")); };
  router.add(std::move(forgetful));
  EXPECT_EQ(get("/forgotten", "admin").status, 403);
  EXPECT_EQ(router.check().error().id, "http.route_without_permission");
}

TEST_F(RouterTest, open_route_needs_no_token_but_sees_a_good_one) {
  add("GET", "/healthz", Permission::kOpen);
  EXPECT_EQ(get("/healthz", "").body, "/healthz ");
  EXPECT_EQ(get("/healthz", "admin").body, "/healthz admin");
}

TEST_F(RouterTest, body_limit_is_the_one_of_the_route) {
  add("POST", "/small", Permission::kViewer, 4);
  EXPECT_EQ(router.body_limit("POST", "/small"), 4u);
  EXPECT_EQ(router.body_limit("POST", "/nothing"), std::size_t{1} << 20);
  EXPECT_EQ(call(router, make_request("POST", "/small", "12345", "viewer")).status, 413);
  EXPECT_EQ(call(router, make_request("POST", "/small", "1234", "viewer")).status, 200);
}

TEST_F(RouterTest, refusal_is_known_from_the_head_alone) {
  add("POST", "/jobs", Permission::kOperator);
  EXPECT_EQ(router.refusal_of(make_request("POST", "/jobs"))->status, 401);
  EXPECT_EQ(router.refusal_of(make_request("POST", "/jobs", {}, "viewer"))->status, 403);
  EXPECT_EQ(router.refusal_of(make_request("PUT", "/jobs", {}, "admin"))->status, 405);
  EXPECT_FALSE(router.refusal_of(make_request("POST", "/jobs", {}, "operator")));
}

TEST_F(RouterTest, refusals_below_a_prefix_are_written_in_its_form) {
  add("POST", "/v2/infer", Permission::kViewer, 4);
  router.set_refusal_form("/v2", [](int status, const Error& error, std::string_view) { return text_response(status, "v2 " + error.id); });
  router.set_refusal_form("/v2/deep", [](int status, const Error&, std::string_view) { return text_response(status, "deep"); });
  EXPECT_EQ(call(router, make_request("POST", "/v2/infer")).body, "v2 auth.missing");
  EXPECT_EQ(call(router, make_request("POST", "/v2/infer", "12345", "viewer")).body, "v2 http.body_too_large");
  EXPECT_EQ(call(router, make_request("GET", "/v2/infer")).body, "v2 http.method");
  EXPECT_EQ(router.refusal_of(make_request("GET", "/v2"))->body, "v2 http.no_route");
  EXPECT_EQ(get("/v2/deep/x").body, "deep");
  EXPECT_EQ(get("/v2x").headers.get("Content-Type"), "application/problem+json");
}

TEST_F(RouterTest, refused_changes_leave_reading_and_administration) {
  add("GET", "/jobs", Permission::kViewer, 4);
  add("POST", "/jobs", Permission::kOperator, 4);
  add("POST", "/events", Permission::kRunner, 4);
  add("POST", "/shutdown", Permission::kAdmin, 4);
  router.refuse_changes(unavailable("server.read_only", "the disk is full"));
  EXPECT_EQ(call(router, make_request("GET", "/jobs", {}, "admin")).status, 200);
  EXPECT_EQ(call(router, make_request("POST", "/shutdown", {}, "admin")).status, 200);
  for (const char* path : {"/jobs", "/events"}) {
    const Response refused = call(router, make_request("POST", path, {}, "admin"));
    EXPECT_EQ(refused.status, 503);
    EXPECT_NE(refused.body.find("the disk is full"), std::string::npos);
  }
  EXPECT_EQ(call(router, make_request("POST", "/jobs", {}, "viewer")).status, 403) << "who may not, is told so first";
}

TEST_F(RouterTest, handler_that_drops_its_responder_answers_500) {
  router.add({"GET", "/drop", Permission::kOpen, [](const Request&, const ResponderPtr&) {}});
  EXPECT_EQ(get("/drop").status, 500);
}

TEST_F(RouterTest, route_outside_of_namespaces_is_changed_by_those_alone_who_may_everywhere) {
  add("GET", "/read", Permission::kViewer);
  add("POST", "/publish", Permission::kRunner);
  add("POST", "/change", Permission::kOperator);
  add("POST", "/shutdown", Permission::kAdmin);
  router.add({"POST",
              "/jobs",
              Permission::kOperator,
              [](const Request&, const ResponderPtr& responder) {
                responder->respond({200, {}, "x"});
              },
              100,
              {.namespaced = true}});
  authorizer.grants = {{"vision", "admin"}};
  EXPECT_EQ(get("/read", "none").status, 200);
  EXPECT_EQ(call(router, make_request("POST", "/publish", {}, "none")).status, 200);
  EXPECT_EQ(call(router, make_request("POST", "/jobs", {}, "none")).status, 200);
  EXPECT_EQ(call(router, make_request("POST", "/change", {}, "none")).status, 403);
  EXPECT_EQ(call(router, make_request("POST", "/shutdown", {}, "none")).status, 403);
}

TEST_F(RouterTest, agent_reaches_its_own_routes_only) {
  add("POST", "/sync", Permission::kAgent);
  add("GET", "/jobs", Permission::kViewer);
  EXPECT_EQ(call(router, make_request("POST", "/sync", {}, "agent")).status, 200);
  EXPECT_EQ(call(router, make_request("POST", "/sync", {}, "admin")).status, 200);
  EXPECT_EQ(call(router, make_request("POST", "/sync", {}, "operator")).status, 403);
  EXPECT_EQ(get("/jobs", "agent").status, 403);
}

/// A described route, complete as it stands.
Route described_route() {
  return {"GET",
          "/api/v1/things/{id}",
          Permission::kViewer,
          [](const Request&, const ResponderPtr& responder) {
            responder->respond({200, {}, "x"});
          },
          100,
          RouteDoc{.operation = "getThing",
                   .tag = "things",
                   .summary = "One thing.",
                   .parameters = {path_text("id", "Its name."), query_integer("limit", {.min = 1, .max = 9}, 3, "How many.")},
                   .answers = {text_answer(200, "text/plain", "The thing.")}}};
}

TEST_F(RouterTest, platform_route_that_does_not_describe_itself_fails_the_check) {
  const std::pair<const char*, void (*)(RouteDoc&)> lacks[] = {
      {"an operation", [](RouteDoc& doc) { doc.operation.clear(); }},
      {"a summary or a tag", [](RouteDoc& doc) { doc.summary.clear(); }},
      {"its answers", [](RouteDoc& doc) { doc.answers.clear(); }},
      {"the parameters of its path", [](RouteDoc& doc) { doc.parameters.erase(doc.parameters.begin()); }},
      {"a sentence about the parameter limit", [](RouteDoc& doc) { doc.parameters[1].doc.clear(); }},
  };
  for (const auto& [what, damage] : lacks) {
    Router other(authorizer);
    Route route = described_route();
    damage(route.doc);
    other.add(std::move(route));
    const Result<void> checked = other.check();
    ASSERT_FALSE(checked.ok()) << what;
    EXPECT_EQ(checked.error().id, "http.route_undescribed");
    EXPECT_NE(checked.error().message.find(what), std::string::npos) << checked.error().message;
    EXPECT_NE(checked.error().message.find("/api/v1/things"), std::string::npos);
  }
}

TEST_F(RouterTest, described_and_foreign_routes_pass_the_check_and_operations_are_unique) {
  router.add(described_route());
  router.add({"POST", "/api/2.0/foreign", Permission::kRunner, {}, 100, {.foreign = true}});
  add("GET", "/healthz", Permission::kOpen);
  EXPECT_TRUE(router.check().ok());
  Route same = described_route();
  same.pattern = "/api/v1/others/{id}";
  router.add(std::move(same));
  EXPECT_EQ(router.check().error().id, "http.route_undescribed");
}

TEST_F(RouterTest, query_of_a_described_route_is_held_against_its_description) {
  router.add(described_route());
  EXPECT_EQ(get("/api/v1/things/a?limit=9").status, 200);
  const Response refused = get("/api/v1/things/a?limit=10");
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(parse_json(refused.body).value().string_at("code").value(), "query.range");
  EXPECT_EQ(get("/api/v1/things/a?limti=9").status, 400);
  EXPECT_EQ(get("/api/v1/things/a?limti=9", "").status, 401) << "nobody is told what there is before it is known who asks";
}

TEST_F(RouterTest, caller_over_its_budget_is_told_how_long_to_wait) {
  trainyard::testing::FakeClock clock;
  RequestLimiter limiter({.read = {0.5, 2}, .write = {1, 1}}, clock);
  add("GET", "/jobs");
  router.add({"GET",
              "/healthz",
              Permission::kViewer,
              [](const Request&, const ResponderPtr& responder) {
                responder->respond({200, {}, "x"});
              },
              100,
              {.rate = RateClass::kReserved}});
  router.set_limiter(limiter);
  EXPECT_EQ(get("/jobs").status, 200);
  EXPECT_EQ(get("/jobs").status, 200);
  const Response refused = get("/jobs");
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.headers.get("Retry-After"), "2");
  for (int i = 0; i < 10; ++i) EXPECT_EQ(get("/healthz").status, 200);
  clock.advance(std::chrono::seconds(2));
  EXPECT_EQ(get("/jobs").status, 200);
}

TEST_F(RouterTest, requests_beyond_the_room_are_refused_until_an_answer_leaves) {
  trainyard::testing::FakeClock clock;
  RequestLimiter limiter({.in_flight_max = 1}, clock);
  std::vector<ResponderPtr> parked;
  const Handler park = [&parked](const Request&, ResponderPtr responder) { parked.push_back(std::move(responder)); };
  router.add({"GET", "/late", Permission::kViewer, park, 100});
  router.add({"GET", "/sync", Permission::kViewer, park, 100, {.rate = RateClass::kReserved}});
  router.set_limiter(limiter);
  const auto first = testing::start_call(router, make_request("GET", "/late", {}, "viewer"));
  const Response refused = get("/late");
  EXPECT_EQ(refused.status, 503);
  EXPECT_TRUE(refused.headers.get("Retry-After"));
  EXPECT_EQ(router.refusal_of(make_request("GET", "/late", {}, "viewer"))->status, 503) << "known from the head";
  const auto reserved = testing::start_call(router, make_request("GET", "/sync", {}, "viewer"));
  EXPECT_FALSE(reserved->answered()) << "it was taken";
  parked.front()->respond({200, {}, "x"});
  EXPECT_FALSE(testing::start_call(router, make_request("GET", "/late", {}, "viewer"))->answered());
  EXPECT_EQ(limiter.in_flight(), 1);
  parked.clear();
  EXPECT_EQ(limiter.in_flight(), 0) << "dropped requests leave too";
}

TEST_F(RouterTest, stream_ends_when_its_reader_is_revoked_and_others_go_on) {
  std::vector<std::shared_ptr<ResponseStream>> streams;  // shared: as Responder says
  router.add({"GET", "/events", Permission::kViewer,
              [&streams](const Request&, const ResponderPtr& responder) {
                streams.push_back(responder->stream({200, {}, ""}));
              },
              100});
  const auto ann = testing::start_call(router, make_request("GET", "/events", {}, "viewer"));
  authorizer.name = "bob";
  const auto bob = testing::start_call(router, make_request("GET", "/events", {}, "viewer"));
  EXPECT_EQ(router.open_streams(), 2u);
  router.end_streams([](const Principal& principal) { return principal.name == "bob"; });
  EXPECT_TRUE(streams[0]->open());
  EXPECT_FALSE(streams[1]->open());
  ann->stream()->hang_up();
  bob->stream()->hang_up();
  EXPECT_EQ(router.open_streams(), 0u);
}

TEST_F(RouterTest, late_answer_is_withheld_from_a_caller_who_was_revoked_meanwhile) {
  ResponderPtr parked;
  router.add(
      {"GET", "/wait", Permission::kViewer, [&parked](const Request&, ResponderPtr responder) { parked = std::move(responder); }, 100});
  authorizer.credential = "a1";
  const auto answer = testing::start_call(router, make_request("GET", "/wait", {}, "viewer"));
  authorizer.current = false;
  parked->respond({200, {}, "secret"});
  EXPECT_EQ(answer->wait()->status, 401);
  EXPECT_EQ(answer->wait()->body.find("secret"), std::string::npos);
  const auto stream = testing::start_call(router, make_request("GET", "/wait", {}, "viewer"));
  EXPECT_FALSE(parked->stream({200, {}, ""})->open());
}

TEST_F(RouterTest, answer_after_the_end_of_the_router_does_no_harm) {
  ResponderPtr parked;
  auto short_lived = std::make_unique<Router>(authorizer);
  short_lived->add(
      {"GET", "/wait", Permission::kViewer, [&parked](const Request&, ResponderPtr responder) { parked = std::move(responder); }, 100});
  authorizer.credential = "a1";
  const auto answer = testing::start_call(*short_lived, make_request("GET", "/wait", {}, "viewer"));
  short_lived.reset();
  parked->respond({200, {}, "late"});
  EXPECT_EQ(answer->wait()->status, 200);
}

TEST_F(RouterTest, refused_callers_are_observed) {
  std::vector<std::string> seen;
  router.observe_denials([&seen](const Request& request, const Principal& principal, const Error& error) {
    seen.push_back(request.method + " " + request.path + " " + principal.name + " " + error.id);
  });
  add("POST", "/jobs", Permission::kOperator);
  call(router, make_request("POST", "/jobs"));
  call(router, make_request("POST", "/jobs", {}, "viewer"));
  call(router, make_request("POST", "/jobs", {}, "operator"));
  EXPECT_EQ(seen, (std::vector<std::string>{"POST /jobs  auth.missing", "POST /jobs someone auth.forbidden"}));
}

TEST_F(RouterTest, detour_takes_requests_of_its_group_unchecked_and_no_others) {
  add("GET", "/here");
  router.begin_group("leader");
  add("POST", "/there", Permission::kAdmin, 5);
  bool away = true;
  router.set_detour({[&away](const Route& route, const Request&) { return away && route.group == "leader"; },
                     [](const Request& request, const ResponderPtr& responder) {
                       responder->respond(text_response(200, "away " + request.body + request.principal.name));
                     }});
  EXPECT_EQ(call(router, make_request("POST", "/there", "body", {})).body, "away body");
  EXPECT_FALSE(router.refusal_of(make_request("POST", "/there", {}, {})).has_value()) << "who answers decides";
  EXPECT_EQ(call(router, make_request("POST", "/there", "too large", {})).status, 413);
  EXPECT_EQ(get("/here", {}).status, 401);
  away = false;
  EXPECT_EQ(call(router, make_request("POST", "/there", "body", {})).status, 401);
}

TEST_F(RouterTest, same_route_twice_is_a_bug) {
  add("GET", "/jobs");
  EXPECT_DEATH(add("GET", "/jobs"), "added twice");
}

}  // namespace
}  // namespace trainyard::net
