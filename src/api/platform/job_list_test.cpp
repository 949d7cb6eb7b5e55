#include "api/platform/job_list.h"

#include <gtest/gtest.h>

#include "api/platform/jobs.h"
#include "api/platform/testing/platform_world.h"

namespace trainyard::api {
namespace {

class JobListTest : public testing::PlatformWorld {
 protected:
  JobListTest() {
    add_job_routes(router, context());
    add_job_list_route(router, context());
  }
  void submit(const std::string& fields) { json("POST", "/api/v1/jobs", R"({"command":["work"],)" + fields + "}"); }
  /// Ids of the page, newest first: "5 4 ".
  static std::string ids(const Document& page) {
    std::string text;
    for (const Document& job : page["jobs"].items()) text += job["id"].text() + " ";
    return text;
  }
  std::string found(const std::string& query) { return ids(json("GET", "/api/v1/jobs?" + query)); }
};

TEST_F(JobListTest, pages_are_newest_first_and_follow_one_another) {
  for (int i = 0; i < 5; ++i) submit(R"("name":"a")");
  const Document first = json("GET", "/api/v1/jobs?limit=2");
  EXPECT_EQ(ids(first), "5 4 ");
  const Document second = json("GET", "/api/v1/jobs?limit=2&cursor=" + first["next_cursor"].text());
  EXPECT_EQ(ids(second), "3 2 ");
  const Document last = json("GET", "/api/v1/jobs?limit=2&cursor=" + second["next_cursor"].text());
  EXPECT_EQ(ids(last), "1 ");
  EXPECT_EQ(last.find("next_cursor"), nullptr);
  // A cursor goes with its own question.
  EXPECT_EQ(call("GET", "/api/v1/jobs?state=RUNNING&cursor=" + first["next_cursor"].text()).status, 400);
}

TEST_F(JobListTest, chosen_fields_are_those_of_the_whole_and_no_others) {
  submit(R"("name":"a","labels":{"team":"x"})");
  const Document whole = json("GET", "/api/v1/jobs")["jobs"].items().front();
  for (const auto& [name, value] : whole.members()) {
    const Document part = json("GET", "/api/v1/jobs?fields=" + name)["jobs"].items().front();
    EXPECT_EQ(to_json(part), to_json(Document::object({{name, value}}))) << name;
  }
  const Document some = json("GET", "/api/v1/jobs?fields=state,id,exit_code")["jobs"].items().front();
  EXPECT_EQ(to_json(some), R"({"id":"1","state":"STARTING"})") << "what a job does not have is not there";
  const net::Response unknown = call("GET", "/api/v1/jobs?fields=id,stat");
  EXPECT_EQ(unknown.status, 400);
  EXPECT_NE(unknown.body.find("did you mean \\\"state\\\"?"), std::string::npos) << unknown.body;
}

TEST_F(JobListTest, filters_select_together) {
  submit(R"("name":"Digits-1","labels":{"team":"vision"},"hold":true)");
  submit(R"("name":"digits-2","labels":{"team":"vision","x":"1"})");
  submit(R"("name":"words","labels":{"team":"text"},"namespace":"nlp")");
  EXPECT_EQ(found("name=digits"), "2 1 ");
  EXPECT_EQ(found("label=team%3Dvision&label=x%3D1"), "2 ");
  EXPECT_EQ(found("namespace=nlp"), "3 ");
  EXPECT_EQ(found("state=QUEUED"), "1 ");
  EXPECT_EQ(found("state=STARTING,QUEUED&name=digits"), "2 1 ");
  EXPECT_EQ(found("owner=ann&kind=command"), "3 2 1 ");
  EXPECT_EQ(found("owner=bob"), "");
  EXPECT_EQ(found("until=2001-01-01T00:00:00Z"), "");
}

TEST_F(JobListTest, elements_of_an_array_are_selected_by_it) {
  submit(R"("array":{"count":2})");
  submit(R"("name":"other")");
  EXPECT_EQ(found("array=1"), "3 2 ");
}

TEST_F(JobListTest, jobs_of_other_namespaces_are_not_there) {
  submit(R"("namespace":"nlp")");
  submit(R"("namespace":"vision")");
  authorizer.principal = {.name = "bob", .role = "", .grants = {{"nlp", "viewer"}}};
  // The fake takes an empty role for nobody, so bob holds a role that counts nowhere.
  authorizer.principal.role = "agent";
  EXPECT_EQ(found(""), "1 ");
  EXPECT_EQ(call("GET", "/api/v1/jobs/1").status, 200);
  EXPECT_EQ(call("GET", "/api/v1/jobs/2").status, 404);
  EXPECT_EQ(call("GET", "/api/v1/jobs/99").status, 404);
}

TEST_F(JobListTest, faulty_queries_are_refused) {
  for (const char* query :
       {"limit=x", "limit=0", "limit=1001", "limti=5", "state=LOST", "label=x", "since=yesterday", "cursor=zz", "array=a"}) {
    EXPECT_EQ(call("GET", std::string("/api/v1/jobs?") + query).status, 400) << query;
  }
}

}  // namespace
}  // namespace trainyard::api
