#include "apps/server/roles.h"

#include <gtest/gtest.h>

namespace trainyard::apps {
namespace {

TEST(Roles, empty_text_is_all_of_them) { EXPECT_EQ(parse_roles("")->size(), 6U); }

TEST(Roles, list_is_read) { EXPECT_EQ(*parse_roles("tracking,api"), (std::set<Role>{Role::kApi, Role::kTracking})); }

TEST(Roles, unknown_role_is_refused_with_the_nearest) {
  const Result<std::set<Role>> roles = parse_roles("api,shceduler");
  ASSERT_FALSE(roles.ok());
  EXPECT_EQ(roles.error().id, "server.role");
  EXPECT_NE(roles.error().message.find("did you mean \"scheduler\"?"), std::string::npos);
}

TEST(Roles, role_named_twice_or_empty_is_refused) {
  EXPECT_EQ(parse_roles("api,api").error().id, "server.role");
  EXPECT_EQ(parse_roles("api,,tracking").error().id, "server.role");
}

TEST(Listeners, addresses_are_read) {
  const Listeners listeners = parse_listeners("api=127.0.0.1:8000,metrics=[::1]:9090,tracking=0.0.0.0:0").value();
  EXPECT_EQ(listeners.at("api"), (ListenAddress{"127.0.0.1", 8000}));
  EXPECT_EQ(listeners.at("metrics"), (ListenAddress{"::1", 9090}));
  EXPECT_EQ(listeners.at("tracking"), (ListenAddress{"0.0.0.0", 0}));
  EXPECT_TRUE(parse_listeners("")->empty());
}

TEST(Listeners, comma_at_the_end_adds_nothing) { EXPECT_EQ(parse_listeners("api=h:80,")->size(), 1U); }

TEST(Listeners, faulty_addresses_are_refused_with_the_form) {
  for (const char* text : {"127.0.0.1:8000", "api=8000", "api=:8000", "api=h:", "api=h:65536", "api=h:80x", "api=::1:80", "api=[::1:80",
                           "web=h:80", "api=h:80,api=h:81", "scheduler=h:80"}) {
    const Result<Listeners> listeners = parse_listeners(text);
    ASSERT_FALSE(listeners.ok()) << text;
    EXPECT_EQ(listeners.error().id, "server.listen") << text;
    EXPECT_NE(listeners.error().message.find("NAME=HOST:PORT"), std::string::npos) << text;
  }
}

ProcessRequest request_with(std::string roles, std::string listen = {}, bool several = true) {
  return {.roles = std::move(roles), .listen = std::move(listen), .api = {"127.0.0.1", 8470}, .several_can_run = several};
}

TEST(ProcessPlan, process_with_all_roles_may_lead_and_serves_everything_at_one_address) {
  const ProcessPlan plan = plan_process(request_with("", "", false)).value();
  EXPECT_TRUE(plan.stands);
  EXPECT_EQ(plan.listeners, (Listeners{{"api", {"127.0.0.1", 8470}}}));
  EXPECT_EQ(plan.listener_of("tracking"), "api");
}

TEST(ProcessPlan, role_with_a_listener_of_its_own_is_served_there) {
  const ProcessPlan plan = plan_process(request_with("tracking", "tracking=127.0.0.1:5000,metrics=127.0.0.1:9090")).value();
  EXPECT_FALSE(plan.stands);
  EXPECT_FALSE(plan.listeners.contains("api")) << "nothing would be served there";
  EXPECT_EQ(plan.listener_of("tracking"), "tracking");
  EXPECT_EQ(plan.listener_of("metrics"), "metrics");
}

TEST(ProcessPlan, role_without_one_and_a_leader_have_the_api_listener) {
  EXPECT_TRUE(plan_process(request_with("tracking"))->listeners.contains("api"));
  EXPECT_TRUE(plan_process(request_with("scheduler,workflow"))->listeners.contains("api"));
}

TEST(ProcessPlan, jobs_without_workflows_are_refused) {
  EXPECT_EQ(plan_process(request_with("scheduler")).error().id, "server.role");
  EXPECT_EQ(plan_process(request_with("api,workflow")).error().id, "server.role");
}

TEST(ProcessPlan, part_of_the_roles_is_refused_where_only_one_process_can_run) {
  EXPECT_EQ(plan_process(request_with("api", "", false)).error().id, "server.one_process");
}

TEST(ProcessPlan, listener_of_a_role_that_is_not_there_is_refused) {
  EXPECT_EQ(plan_process(request_with("api", "tracking=127.0.0.1:5000")).error().id, "server.listen");
}

}  // namespace
}  // namespace trainyard::apps
