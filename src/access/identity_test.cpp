#include "access/identity.h"

#include <gtest/gtest.h>

#include "access/loopback_authorizer.h"

namespace trainyard::access {
namespace {

using net::Grant;
using net::Permission;
using net::Principal;

net::Principal principal_with(std::vector<Grant> grants, TokenScope scope = {}) {
  return principal_of(User{.name = "ann", .grants = std::move(grants)}, StoredToken{.id = "a1", .user = "ann", .scope = std::move(scope)});
}

TEST(Identity, token_without_scope_holds_all_that_its_user_holds) {
  const Principal ann = principal_with({{"*", "viewer"}, {"vision", "admin"}});
  EXPECT_EQ(ann.name, "ann");
  EXPECT_EQ(ann.credential, "a1");
  EXPECT_EQ(ann.role, "viewer");
  EXPECT_EQ(ann.grants, (std::vector<Grant>{{"vision", "admin"}}));
}

TEST(Identity, role_of_a_token_lowers_every_grant) {
  const Principal ann = principal_with({{"*", "viewer"}, {"vision", "admin"}}, {.role = "runner"});
  EXPECT_EQ(ann.role, "viewer");
  EXPECT_EQ(ann.grants, (std::vector<Grant>{{"vision", "runner"}}));
}

TEST(Identity, namespace_of_a_token_leaves_that_one) {
  const Principal narrowed = principal_with({{"*", "operator"}, {"speech", "admin"}}, {.name_space = "vision"});
  EXPECT_EQ(narrowed.role, "");
  EXPECT_EQ(narrowed.grants, (std::vector<Grant>{{"vision", "operator"}}));
  const Principal best = principal_with({{"*", "viewer"}, {"vision", "admin"}}, {.name_space = "vision"});
  EXPECT_EQ(best.grants, (std::vector<Grant>{{"vision", "admin"}}));
  const Principal other_order = principal_with({{"*", "admin"}, {"vision", "viewer"}}, {.name_space = "vision"});
  EXPECT_EQ(other_order.grants, (std::vector<Grant>{{"vision", "admin"}}));
  EXPECT_TRUE(principal_with({{"speech", "admin"}}, {.name_space = "vision"}).grants.empty());
}

TEST(Identity, one_covers_another_if_it_holds_all_of_it) {
  const Principal admin{.name = "admin", .role = "admin"};
  const Principal lead{.name = "lead", .grants = {{"vision", "operator"}, {"speech", "viewer"}}};
  EXPECT_TRUE(covers(admin, lead));
  EXPECT_TRUE(covers(lead, lead));
  EXPECT_TRUE(covers(lead, {}));
  EXPECT_TRUE(covers(lead, {.grants = {{"vision", "runner"}}}));
  EXPECT_FALSE(covers(lead, {.grants = {{"vision", "admin"}}}));
  EXPECT_FALSE(covers(lead, {.grants = {{"speech", "runner"}}}));
  EXPECT_FALSE(covers(lead, {.role = "viewer"}));
  EXPECT_FALSE(covers(lead, {.grants = {{"*", "viewer"}}}));
  EXPECT_FALSE(covers(lead, admin));
}

TEST(Identity, required_permission_says_no_more_than_the_caller_may_know) {
  const Error unknown = not_found("job.unknown", "there is no such job: 17");
  const Principal ann{.name = "ann", .grants = {{"vision", "viewer"}, {"speech", "operator"}}};
  EXPECT_TRUE(require(ann, Permission::kOperator, "speech", unknown).ok());
  EXPECT_TRUE(require(ann, Permission::kViewer, "vision", unknown).ok());
  EXPECT_EQ(require(ann, Permission::kOperator, "vision", unknown).error().id, "auth.forbidden") << "it sees the job, so it may know";
  const Error hidden = require(ann, Permission::kViewer, "secret", unknown).error();
  EXPECT_EQ(hidden.describe(), unknown.describe());
  EXPECT_EQ(hidden.category, unknown.category);
  EXPECT_TRUE(require({.name = "root", .role = "admin"}, Permission::kOperator, "secret", unknown).ok());
}

TEST(Identity, names_are_checked) {
  for (const char* name : {"ann", "a.b-c_d", "0x"}) EXPECT_TRUE(check_user_name(name).ok()) << name;
  for (const char* name : {"", "Ann", "-ann", ".ann", "a b", "a/b", "job:1", "admin", "system", "agent:x", "ann\n"}) {
    EXPECT_EQ(check_user_name(name).error().id, "access.user_name") << name;
  }
  EXPECT_FALSE(check_user_name(std::string(64, 'a')).ok());
  for (const char* name : {"", "*", "Vision", "vision-", "-v", "a.b", "a/b"}) EXPECT_FALSE(check_namespace(name).ok()) << name;
  EXPECT_TRUE(check_namespace("vision-2").ok());
  EXPECT_TRUE(check_scope("*").ok());
  EXPECT_FALSE(check_scope("**").ok());
  for (const char* name : {"", "a/b", "a b", "..", "a:b"}) EXPECT_FALSE(check_node_name(name).ok()) << name;
  EXPECT_TRUE(check_node_name("Node-1.example.org").ok());
  for (const char* role : {"viewer", "runner", "operator", "admin"}) EXPECT_TRUE(check_role(role).ok()) << role;
  for (const char* role : {"", "agent", "join", "nobody", "root"}) EXPECT_FALSE(check_role(role).ok()) << role;
  EXPECT_NE(check_role("viewr").error().message.find("did you mean \"viewer\""), std::string::npos);
}

TEST(LoopbackAuthorizer, everybody_is_the_administrator_of_a_loopback_address_only) {
  const Result<std::unique_ptr<LoopbackAuthorizer>> made = LoopbackAuthorizer::make("127.0.0.1");
  ASSERT_TRUE(made.ok());
  EXPECT_EQ((*made)->authenticate({})->role, "admin");
  for (const char* host : {"0.0.0.0", "::", "192.168.0.1", "example.org"}) {
    const auto refused = LoopbackAuthorizer::make(host);
    ASSERT_FALSE(refused.ok()) << host;
    EXPECT_EQ(refused.error().id, "access.open_address");
  }
}

TEST(LoopbackAuthorizer, request_that_another_process_handed_on_is_from_nobody_known) {
  const auto authorizer = LoopbackAuthorizer::make("127.0.0.1").value();
  net::Request request;
  request.headers.set(net::kForwardedField, "192.0.2.7");
  const Result<net::Principal> caller = authorizer->authenticate(request);
  ASSERT_FALSE(caller.ok());
  EXPECT_EQ(caller.error().category, Category::kUnauthenticated);
}

}  // namespace
}  // namespace trainyard::access
