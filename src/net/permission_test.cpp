#include "net/permission.h"

#include <gtest/gtest.h>

namespace trainyard::net {
namespace {

constexpr Permission kLadder[] = {Permission::kViewer, Permission::kRunner, Permission::kOperator, Permission::kAdmin};

TEST(Permission, role_in_one_namespace_counts_there_alone) {
  const Principal ann{.name = "ann", .grants = {{"vision", "operator"}, {"speech", "viewer"}}};
  EXPECT_TRUE(may(ann, Permission::kOperator, "vision"));
  EXPECT_FALSE(may(ann, Permission::kAdmin, "vision"));
  EXPECT_FALSE(may(ann, Permission::kRunner, "speech"));
  EXPECT_FALSE(may(ann, Permission::kViewer, "visio"));
  EXPECT_FALSE(may(ann, Permission::kViewer, ""));
  EXPECT_TRUE(may_anywhere(ann, Permission::kOperator));
  EXPECT_FALSE(may_everywhere(ann, Permission::kViewer));
}

TEST(Permission, role_in_all_namespaces_counts_in_each) {
  for (const Principal& ann : {Principal{.name = "ann", .role = "runner"}, Principal{.name = "ann", .grants = {{"*", "runner"}}}}) {
    EXPECT_TRUE(may(ann, Permission::kRunner, "any"));
    EXPECT_TRUE(may_everywhere(ann, Permission::kViewer));
    EXPECT_FALSE(may(ann, Permission::kOperator, "any"));
  }
}

TEST(Permission, agents_hold_nothing_but_what_agents_do) {
  for (const Permission permission : kLadder) EXPECT_FALSE(role_allows("agent", permission));
  EXPECT_TRUE(role_allows("agent", Permission::kAgent));
  EXPECT_TRUE(role_allows("admin", Permission::kAgent));
  for (const char* role : {"viewer", "runner", "operator", "", "root"}) EXPECT_FALSE(role_allows(role, Permission::kAgent)) << role;
}

TEST(Permission, join_token_joins_and_does_nothing_else) {
  for (const Permission permission : kLadder) EXPECT_FALSE(role_allows("join", permission));
  EXPECT_FALSE(role_allows("join", Permission::kAgent));
  EXPECT_TRUE(role_allows("join", Permission::kJoin));
  for (const char* role : {"viewer", "runner", "operator", "admin", "agent", ""})
    EXPECT_FALSE(role_allows(role, Permission::kJoin)) << role;
}

TEST(Permission, weaker_of_two_roles_is_the_one_that_holds_less) {
  EXPECT_EQ(weaker_role("admin", "viewer"), "viewer");
  EXPECT_EQ(weaker_role("runner", "operator"), "runner");
  EXPECT_EQ(weaker_role("admin", "agent"), "");
  EXPECT_FALSE(is_role("nobody"));
  EXPECT_FALSE(is_role("agent"));
}

}  // namespace
}  // namespace trainyard::net
