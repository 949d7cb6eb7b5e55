#include "access/access_service.h"

#include <gtest/gtest.h>

#include "access/token_authorizer.h"
#include "adapters/sqlite/testing/temporary_database.h"
#include "base/testing/fake_clock.h"
#include "base/testing/manual_executor.h"
#include "net/testing/fake_responder.h"

namespace trainyard::access {
namespace {

using namespace std::chrono_literals;
using net::Grant;

class AccessServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(store::migrate(files.database(), "access", access_migrations()).ok());
    ASSERT_TRUE(service.start().ok());
    authorizer.observe_use([this](const std::string& id, TimePoint now) { service.token_was_used(id, now); });
  }

  Result<net::Principal> authenticate(const std::string& token) {
    return authorizer.authenticate(net::testing::make_request("GET", "/x", {}, token));
  }
  Caller as(const std::string& token) { return {authenticate(token).value(), "10.0.0.7", "request-2"}; }
  std::string error_id(const Result<net::Principal>& result) { return result.ok() ? "accepted " + result->name : result.error().id; }
  /// A user with these grants and the text of a token.
  std::string make_user(const std::string& name, std::vector<Grant> grants, TokenScope scope = {}) {
    EXPECT_TRUE(service.create_user(admin, name, grants).ok());
    return issue(admin, name, std::move(scope)).text;
  }
  IssuedToken issue(const Caller& caller, const std::string& user, TokenScope scope = {}, Duration lifetime = 24h) {
    Result<IssuedToken> issued =
        service.issue_token(caller, {.user = user, .name = "test", .scope = std::move(scope), .lifetime = lifetime});
    EXPECT_TRUE(issued.ok()) << (issued.ok() ? "" : issued.error().describe());
    return issued.ok() ? *issued : IssuedToken{};
  }
  Result<IssuedCredential> join(const std::string& token, const std::string& node) {
    const Result<net::Principal> who = authenticate(token);
    if (!who.ok()) return who.error();
    return service.join({*who, "10.0.0.8", "request-3"}, {node});
  }
  std::string join_token(NewJoinToken wanted = {}) { return service.issue_join_token(admin, wanted).value().text; }
  /// "ACTION OBJECT DECISION" of the newest record.
  std::string last_audit() {
    const std::vector<AuditRecord> records = service.audit(0, 1).value();
    return records.empty() ? "" : records[0].who + " " + records[0].action + " " + records[0].object + " " + records[0].decision;
  }
  void restart() {
    files.reopen();
    repository.emplace(files.database(), clock);
  }

  trainyard::testing::FakeClock clock;
  adapters::sqlite::testing::TemporaryDatabase files;
  std::optional<UserRepository> repository{std::in_place, files.database(), clock};
  trainyard::testing::ManualExecutor writes{clock};
  AuditTrail trail{writes, *repository};
  TokenAuthorizer authorizer{"an installation key of 32 bytes.", clock};
  std::vector<Revocation> revoked;
  AccessService service{{},
                        {.repository = *repository, .identities = authorizer.identities(), .audit = trail, .clock = clock},
                        [this](const Revocation& gone) { revoked.push_back(gone); }};
  const Caller admin{{.name = "admin", .role = "admin"}, "127.0.0.1", "request-1"};
};

TEST_F(AccessServiceTest, token_of_a_user_acts_with_the_grants_of_the_user) {
  const std::string token = make_user("ann", {{"vision", "operator"}, {"*", "viewer"}});
  EXPECT_EQ(token.substr(0, 7), "ty_pat_");
  const Result<net::Principal> ann = authenticate(token);
  ASSERT_TRUE(ann.ok());
  EXPECT_EQ(ann->name, "ann");
  EXPECT_EQ(ann->role, "viewer");
  EXPECT_EQ(ann->grants, (std::vector<Grant>{{"vision", "operator"}}));
}

TEST_F(AccessServiceTest, altered_tokens_are_refused) {
  for (const std::string& token : {make_user("ann", {}), join_token(), join(join_token(), "node-1").value().text}) {
    ASSERT_TRUE(authenticate(token).ok()) << token;
    for (std::size_t i = 0; i < token.size(); ++i) {
      std::string altered = token;
      altered[i] = altered[i] == '1' ? '2' : '1';
      EXPECT_EQ(error_id(authenticate(altered)), "auth.invalid") << altered;
    }
    EXPECT_FALSE(authenticate(token + "0").ok());
  }
}

TEST_F(AccessServiceTest, everything_is_there_after_a_restart_and_nothing_in_clear) {
  const std::string token = make_user("ann", {{"vision", "operator"}});
  const std::string agent = join(join_token(), "node-1").value().text;
  const std::string joining = join_token();
  restart();
  TokenAuthorizer fresh("an installation key of 32 bytes.", clock);
  AccessService restarted({}, {.repository = *repository, .identities = fresh.identities(), .audit = trail, .clock = clock}, {});
  ASSERT_TRUE(restarted.start().ok());
  for (const std::string& text : {token, agent, joining}) {
    EXPECT_TRUE(fresh.authenticate(net::testing::make_request("GET", "/x", {}, text)).ok()) << text;
    std::string bytes;
    for (const char* suffix : {"", "-wal"}) bytes += read_file(files.path() + suffix, std::size_t{1} << 26).value_or("");
    EXPECT_EQ(bytes.find(text.substr(text.size() - 64)), std::string::npos) << "a secret lies in the database";
  }
}

TEST_F(AccessServiceTest, token_is_over_when_its_time_is) {
  make_user("ann", {});
  const IssuedToken token = issue(admin, "ann", {}, 1h);
  clock.advance(59min);
  EXPECT_TRUE(authenticate(token.text).ok());
  clock.advance(1min);
  EXPECT_EQ(error_id(authenticate(token.text)), "auth.invalid");
  service.sweep();
  ASSERT_EQ(revoked.size(), 1u);
  EXPECT_EQ(revoked[0].credential, token.token.id);
  EXPECT_EQ(service.issue_token(admin, {.user = "ann", .lifetime = 24h * 400}).error().id, "access.lifetime");
  EXPECT_EQ(service.issue_token(admin, {.user = "ann", .lifetime = -1h}).error().id, "access.lifetime");
}

TEST_F(AccessServiceTest, revoked_token_is_refused_at_once_and_its_streams_are_named) {
  const std::string first = make_user("ann", {});
  const IssuedToken second = issue(admin, "ann");
  const net::Principal reader = authenticate(second.text).value();
  ASSERT_TRUE(service.revoke_token(admin, second.token.id).ok());
  EXPECT_EQ(error_id(authenticate(second.text)), "auth.invalid");
  EXPECT_TRUE(authenticate(first).ok()) << "the other token of the user goes on";
  EXPECT_FALSE(authorizer.is_current(reader));
  ASSERT_EQ(revoked.size(), 1u);
  EXPECT_TRUE(revoked[0].concerns(reader));
  EXPECT_FALSE(revoked[0].concerns(authenticate(first).value()));
  EXPECT_EQ(last_audit(), "admin token.revoke token/" + second.token.id + " allowed");
}

TEST_F(AccessServiceTest, deleted_user_is_nobody_and_its_streams_are_named) {
  const std::string token = make_user("ann", {{"*", "viewer"}});
  const net::Principal reader = authenticate(token).value();
  ASSERT_TRUE(service.remove_user(admin, "ann").ok());
  EXPECT_EQ(error_id(authenticate(token)), "auth.invalid");
  EXPECT_FALSE(authorizer.is_current(reader));
  ASSERT_EQ(revoked.size(), 1u);
  EXPECT_TRUE(revoked[0].concerns(reader));
  EXPECT_EQ(last_audit(), "admin user.delete user/ann allowed");
  EXPECT_EQ(service.remove_user(admin, "ann").error().id, "access.unknown_user");
  EXPECT_TRUE(service.tokens(admin, "ann", "", 10)->empty());
}

TEST_F(AccessServiceTest, disabled_user_is_nobody_until_enabled) {
  const std::string token = make_user("ann", {{"*", "admin"}});
  ASSERT_TRUE(service.set_disabled(admin, "ann", true).ok());
  EXPECT_EQ(error_id(authenticate(token)), "auth.invalid");
  ASSERT_EQ(revoked.size(), 1u);
  EXPECT_TRUE(revoked[0].concerns({.name = "ann", .credential = "any"}));
  ASSERT_TRUE(service.set_disabled(admin, "ann", false).ok());
  EXPECT_TRUE(authenticate(token).ok());
}

TEST_F(AccessServiceTest, changed_grant_counts_with_the_next_request) {
  const std::string token = make_user("ann", {{"vision", "viewer"}});
  ASSERT_TRUE(service.set_grant(admin, "ann", {"vision", "operator"}).ok());
  EXPECT_EQ(authenticate(token)->grants, (std::vector<Grant>{{"vision", "operator"}}));
  ASSERT_TRUE(service.remove_grant(admin, "ann", "vision").ok());
  EXPECT_TRUE(authenticate(token)->grants.empty());
  EXPECT_EQ(revoked.size(), 2u);
  EXPECT_EQ(service.set_grant(admin, "bob", {"vision", "viewer"}).error().id, "access.unknown_user");
  EXPECT_EQ(service.set_grant(admin, "ann", {"vision", "root"}).error().id, "access.role");
  EXPECT_EQ(service.set_grant(admin, "ann", {"Vision", "viewer"}).error().id, "access.namespace");
}

TEST_F(AccessServiceTest, admin_of_a_namespace_gives_roles_there_alone) {
  const Caller lead = as(make_user("lead", {{"vision", "admin"}}));
  make_user("ann", {});
  EXPECT_TRUE(service.set_grant(lead, "ann", {"vision", "operator"}).ok());
  EXPECT_EQ(service.set_grant(lead, "ann", {"speech", "viewer"}).error().id, "auth.forbidden");
  EXPECT_EQ(service.set_grant(lead, "lead", {"*", "admin"}).error().id, "auth.forbidden");
  EXPECT_EQ(service.remove_grant(lead, "ann", "*").error().id, "auth.forbidden");
  EXPECT_TRUE(service.remove_grant(lead, "ann", "vision").ok());
  writes.run_ready();
  EXPECT_EQ(last_audit(), "lead grant.remove user/ann/grants/* auth.forbidden") << "what was refused is recorded behind what was done";
}

TEST_F(AccessServiceTest, nobody_gives_away_more_than_they_hold) {
  const std::string full = make_user("ann", {{"vision", "admin"}, {"speech", "viewer"}});
  const Caller narrow = as(issue(admin, "ann", {.name_space = "vision", .role = "runner"}).text);
  EXPECT_EQ(service.issue_token(narrow, {.user = "ann", .lifetime = 1h}).error().id, "auth.forbidden");
  EXPECT_EQ(service.issue_token(narrow, {.user = "ann", .scope = {.role = "runner"}, .lifetime = 1h}).error().id, "auth.forbidden");
  EXPECT_TRUE(service.issue_token(narrow, {.user = "ann", .scope = {"vision", "viewer"}, .lifetime = 1h}).ok());
  EXPECT_TRUE(service.issue_token(as(full), {.user = "ann", .lifetime = 1h}).ok());
  EXPECT_EQ(service.create_user(as(full), "eve", {{"*", "viewer"}}).error().id, "auth.forbidden");
  EXPECT_EQ(service.issue_token(as(full), {.user = "admin", .lifetime = 1h}).error().id, "auth.forbidden");
}

TEST_F(AccessServiceTest, token_ends_no_later_than_the_one_that_asked_for_it) {
  make_user("ann", {});
  const IssuedToken first = issue(admin, "ann", {}, 1h);
  const IssuedToken second = issue(as(first.text), "ann", {}, 24h);
  EXPECT_EQ(second.token.expires_at, first.token.expires_at);
}

TEST_F(AccessServiceTest, tokens_of_others_are_unknown) {
  const std::string ann = make_user("ann", {{"vision", "admin"}});
  make_user("bob", {});
  const IssuedToken bobs = issue(admin, "bob");
  const Error unknown = service.token(as(ann), "000000000000").error();
  const Error hidden = service.token(as(ann), bobs.token.id).error();
  EXPECT_EQ(hidden.id, unknown.id);
  EXPECT_EQ(hidden.category, unknown.category);
  EXPECT_EQ(service.revoke_token(as(ann), bobs.token.id).error().id, "access.unknown_token");
  EXPECT_TRUE(authenticate(bobs.text).ok());
  EXPECT_EQ(service.tokens(as(ann), "", "", 100)->size(), 1u);
  EXPECT_TRUE(service.tokens(as(ann), "bob", "", 100)->empty());
  EXPECT_EQ(service.tokens(admin, "", "", 100)->size(), 3u);
  EXPECT_EQ(service.tokens(admin, "bob", "", 100)->size(), 2u);
}

TEST_F(AccessServiceTest, number_of_tokens_of_a_user_is_bounded) {
  make_user("ann", {});
  for (std::size_t i = 1; i < UserRepository::kTokensOfUserMax; ++i) issue(admin, "ann", {}, i == 1 ? Duration(1h) : Duration(48h));
  EXPECT_EQ(service.issue_token(admin, {.user = "ann", .lifetime = 1h}).error().id, "access.too_many_tokens");
  clock.advance(2h);
  EXPECT_TRUE(service.issue_token(admin, {.user = "ann", .lifetime = 1h}).ok()) << "those that are over do not count";
}

TEST_F(AccessServiceTest, last_use_is_written_at_most_once_a_minute) {
  const std::string token = make_user("ann", {});
  const std::string id = service.tokens(admin, "ann", "", 1)->front().id;
  EXPECT_TRUE(authenticate(token).ok());
  const TimePoint first = clock.now();
  EXPECT_EQ(repository->token(id)->last_used_at, first);
  clock.advance(59s);
  EXPECT_TRUE(authenticate(token).ok());
  EXPECT_EQ(repository->token(id)->last_used_at, first);
  clock.advance(1s);
  EXPECT_TRUE(authenticate(token).ok());
  EXPECT_EQ(repository->token(id)->last_used_at, first + 1min);
}

TEST_F(AccessServiceTest, user_is_made_once_and_found_by_name) {
  ASSERT_TRUE(service.create_user(admin, "ann", {{"vision", "viewer"}}).ok());
  EXPECT_EQ(service.create_user(admin, "ann", {}).error().id, "access.user_exists");
  EXPECT_EQ(service.create_user(admin, "bob", {{"v", "viewer"}, {"v", "admin"}}).error().id, "access.grant_twice");
  EXPECT_EQ(service.user("ann")->grants, (std::vector<Grant>{{"vision", "viewer"}}));
  EXPECT_EQ(service.user("bob").error().id, "access.unknown_user");
  ASSERT_TRUE(service.create_user(admin, "bob", {}).ok());
  EXPECT_EQ(service.users("ann", 10)->front().name, "bob");
  EXPECT_EQ(service.users("", 1)->size(), 1u);
  EXPECT_EQ(last_audit(), "admin user.create user/bob allowed") << "a refused change leaves no record of success";
}

TEST_F(AccessServiceTest, join_token_makes_one_node_within_its_time) {
  const std::string token = join_token({.pool = "gpu", .labels = {{"zone", "a"}}});
  const Result<IssuedCredential> joined = join(token, "node-1");
  ASSERT_TRUE(joined.ok()) << joined.error().describe();
  EXPECT_EQ(joined->pool, "gpu");
  EXPECT_EQ(joined->labels.at("zone"), "a");
  const Result<net::Principal> agent = authenticate(joined->text);
  ASSERT_TRUE(agent.ok());
  EXPECT_EQ(agent->name, "agent:node-1");
  EXPECT_EQ(agent->role, "agent");
  EXPECT_EQ(node_of(*agent)->text, "node-1");
  EXPECT_EQ(join(token, "node-2").error().id, "auth.invalid");

  const std::string late = join_token();
  clock.advance(10min);
  EXPECT_EQ(join(late, "node-2").error().id, "auth.invalid");
}

TEST_F(AccessServiceTest, join_token_is_used_up_in_the_database_too) {
  const std::string token = join_token();
  const Caller twin = {authenticate(token).value(), "", ""};
  ASSERT_TRUE(service.join(twin, {"node-1"}).ok());
  EXPECT_EQ(service.join(twin, {"node-2"}).error().id, "auth.invalid") << "it was let in before the token was used up";
}

TEST_F(AccessServiceTest, node_that_has_joined_is_replaced_only_by_a_token_for_it) {
  const std::string first = join(join_token(), "node-1").value().text;
  EXPECT_EQ(join(join_token(), "node-1").error().id, "agent.node_joined");
  EXPECT_TRUE(authenticate(first).ok());
  EXPECT_EQ(join(join_token({.node = "node-1"}), "node-2").error().id, "agent.other_node");
  const std::string second = join(join_token({.node = "node-1"}), "node-1").value().text;
  EXPECT_EQ(error_id(authenticate(first)), "auth.invalid");
  EXPECT_TRUE(authenticate(second).ok());
}

TEST_F(AccessServiceTest, join_token_for_several_machines_counts_down) {
  const std::string token = join_token({.uses = 2});
  EXPECT_TRUE(join(token, "node-1").ok());
  EXPECT_TRUE(join(token, "node-2").ok());
  EXPECT_FALSE(join(token, "node-3").ok());
  EXPECT_EQ(service.issue_join_token(admin, {.uses = 0}).error().id, "access.uses");
  EXPECT_EQ(service.issue_join_token(admin, {.lifetime = 25h}).error().id, "access.lifetime");
}

TEST_F(AccessServiceTest, credential_of_an_agent_is_renewed_and_ends) {
  const std::string first = join(join_token(), "node-1").value().text;
  clock.advance(16h);
  const std::string second = service.renew(as(first)).value().text;
  EXPECT_TRUE(authenticate(first).ok()) << "the answer with the next one may have been lost";
  const std::string third = service.renew(as(first)).value().text;
  EXPECT_FALSE(authenticate(second).ok()) << "at most two are good";
  clock.advance(8h);
  EXPECT_FALSE(authenticate(first).ok());
  EXPECT_TRUE(authenticate(third).ok());
  clock.advance(16h);
  EXPECT_FALSE(authenticate(third).ok());
  EXPECT_EQ(service.renew(admin).error().id, "agent.no_credential");
}

TEST_F(AccessServiceTest, revoked_agent_is_refused_and_may_join_again) {
  const std::string agent = join(join_token(), "node-1").value().text;
  ASSERT_TRUE(service.revoke_agent(admin, {"node-1"}).ok());
  EXPECT_FALSE(authenticate(agent).ok());
  EXPECT_TRUE(revoked.back().concerns({.name = "agent:node-1", .credential = revoked.back().credential}));
  EXPECT_EQ(service.revoke_agent(admin, {"node-1"}).error().id, "agent.unknown");
  EXPECT_TRUE(join(join_token(), "node-1").ok());
}

TEST_F(AccessServiceTest, tokens_of_machines_open_no_browser_session) {
  const std::string agent = join(join_token(), "node-1").value().text;
  EXPECT_FALSE(authorizer.fingerprint_of(agent).has_value());
  EXPECT_FALSE(authorizer.fingerprint_of(join_token()).has_value());
  EXPECT_TRUE(authorizer.fingerprint_of(make_user("ann", {})).has_value());
}

TEST_F(AccessServiceTest, refused_requests_that_would_change_something_are_recorded_within_bounds) {
  DenialAudit denials(trail, clock);
  net::Request request = net::testing::make_request("POST", "/api/v1/jobs");
  request.peer = "10.0.0.9";
  const Error error{Category::kPermissionDenied, "auth.forbidden", "no", {}, {}};
  denials(net::testing::make_request("GET", "/api/v1/jobs"), {.name = "ann"}, error);
  denials(request, {.name = "ann"}, error);
  writes.run_ready();
  EXPECT_EQ(last_audit(), "ann POST /api/v1/jobs auth.forbidden");
  for (int i = 0; i < 2000; ++i) denials(request, {}, error);
  writes.run_ready();
  EXPECT_EQ(service.audit(0, 5000)->size(), 101u);
  EXPECT_EQ(trail.lost(), 0u);
  for (int i = 0; i < 2000; ++i) trail.record({.who = "flood"});
  EXPECT_EQ(trail.lost(), 2000u - 1024u);
  writes.run_ready();
}

TEST_F(AccessServiceTest, audit_is_read_newest_first_in_pages) {
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(service.create_user(admin, "user-" + std::to_string(i), {}).ok());
  const std::vector<AuditRecord> page = service.audit(0, 2).value();
  ASSERT_EQ(page.size(), 2u);
  EXPECT_EQ(page[0].number, 5);
  EXPECT_EQ(page[0].object, "user/user-4");
  EXPECT_EQ(page[0].source, "127.0.0.1");
  EXPECT_EQ(page[0].request_id, "request-1");
  EXPECT_EQ(service.audit(page[1].number, 10)->front().number, 3);
}

TEST_F(AccessServiceTest, administrator_is_a_user_who_may_hold_tokens) {
  EXPECT_EQ(service.issue_token(admin, {.user = "admin", .name = "ci", .scope = {}, .lifetime = 24h}).error().id, "access.unknown_user");
  ASSERT_TRUE(service.ensure_admin().ok());
  EXPECT_EQ(last_audit(), "system user.create user/admin allowed");
  ASSERT_TRUE(service.ensure_admin().ok()) << "once is enough";
  EXPECT_EQ(service.users("", 10).value().size(), 1u);
  const IssuedToken ci = issue(admin, "admin", {.name_space = {}, .role = "runner"});
  EXPECT_EQ(authenticate(ci.text).value().role, "runner");
  restart();
  EXPECT_EQ(repository->user("admin").value().grants, (std::vector<Grant>{{"*", "admin"}}));
}

TEST_F(AccessServiceTest, administrator_stays_enabled_and_with_every_role) {
  ASSERT_TRUE(service.ensure_admin().ok());
  EXPECT_EQ(service.set_disabled(admin, "admin", true).error().id, "access.last_admin");
  EXPECT_EQ(service.remove_user(admin, "admin").error().id, "access.last_admin");
  EXPECT_EQ(service.set_grant(admin, "admin", {"*", "viewer"}).error().id, "access.last_admin");
  EXPECT_EQ(service.remove_grant(admin, "admin", "*").error().id, "access.last_admin");
  EXPECT_EQ(last_audit(), "system user.create user/admin allowed") << "nothing was changed";
  writes.run_ready();
  EXPECT_EQ(last_audit(), "admin grant.remove user/admin/grants/* access.last_admin") << "and the refusals are written down";
  EXPECT_FALSE(service.user("admin").value().disabled);
  EXPECT_TRUE(service.set_grant(admin, "admin", {"vision", "viewer"}).ok());
}

TEST_F(AccessServiceTest, last_admin_of_flesh_and_blood_is_kept_beside_the_administrator) {
  ASSERT_TRUE(service.ensure_admin().ok());
  const std::string ann = make_user("ann", {{"*", "admin"}});
  EXPECT_EQ(service.remove_user(as(ann), "ann").error().id, "access.last_admin");
}

}  // namespace
}  // namespace trainyard::access
