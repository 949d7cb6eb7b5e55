#include "net/router.h"

#include <gtest/gtest.h>

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
    return Principal{"someone", std::string(field->substr(7))};
  }
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

TEST_F(RouterTest, route_without_a_permission_is_for_admins) { EXPECT_EQ(Route{}.permission, Permission::kAdmin); }

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

TEST_F(RouterTest, same_route_twice_is_a_bug) {
  add("GET", "/jobs");
  EXPECT_DEATH(add("GET", "/jobs"), "added twice");
}

}  // namespace
}  // namespace trainyard::net
