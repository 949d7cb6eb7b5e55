#include <gtest/gtest.h>

#include "access/session_authorizer.h"
#include "base/testing/fake_clock.h"
#include "net/testing/fake_responder.h"

namespace trainyard::access {
namespace {

class SessionStoreTest : public ::testing::Test {
 protected:
  std::string redeemed(const std::string& link) {
    const Result<std::string> found = store.redeem(link);
    return found.ok() ? *found : found.error().id;
  }

  trainyard::testing::FakeClock clock;
  SessionStore store{{.sessions_max = 3, .links_max = 2}, clock};
};

TEST_F(SessionStoreTest, session_is_found_until_it_is_over) {
  const std::string session = store.open("f");
  EXPECT_EQ(session.size(), 64u);
  clock.advance(std::chrono::hours(12) - Duration(1));
  EXPECT_EQ(store.find(session), "f");
  clock.advance(Duration(1));
  EXPECT_EQ(store.find(session), std::nullopt);
}

TEST_F(SessionStoreTest, step_of_the_wall_clock_ends_no_session_and_prolongs_none) {
  const std::string session = store.open("f");
  clock.step_wall_clock(std::chrono::hours(100));
  EXPECT_TRUE(store.find(session).has_value());
  clock.step_wall_clock(-std::chrono::hours(200));
  clock.advance(std::chrono::hours(12));
  EXPECT_FALSE(store.find(session).has_value());
}

TEST_F(SessionStoreTest, altered_and_empty_sessions_are_unknown) {
  const std::string session = store.open("f");
  for (std::size_t i = 0; i < session.size(); ++i) {
    std::string altered = session;
    altered[i] = altered[i] == '1' ? '2' : '1';
    EXPECT_FALSE(store.find(altered).has_value());
  }
  EXPECT_FALSE(store.find("").has_value());
  EXPECT_FALSE(store.find("f").has_value());
}

TEST_F(SessionStoreTest, closed_session_is_unknown_and_others_stay) {
  const std::string one = store.open("f");
  const std::string other = store.open("f");
  EXPECT_NE(one, other);
  store.close(one);
  store.close("unknown");
  EXPECT_FALSE(store.find(one).has_value());
  EXPECT_TRUE(store.find(other).has_value());
}

TEST_F(SessionStoreTest, session_beyond_the_limit_ends_the_oldest) {
  std::vector<std::string> opened;
  for (int i = 0; i < 4; ++i) {
    opened.push_back(store.open("f"));
    clock.advance(std::chrono::seconds(1));
  }
  EXPECT_FALSE(store.find(opened[0]).has_value());
  for (int i = 1; i < 4; ++i) EXPECT_TRUE(store.find(opened[static_cast<std::size_t>(i)]).has_value()) << i;
}

TEST_F(SessionStoreTest, link_works_exactly_once) {
  const std::string link = store.make_link("f");
  EXPECT_EQ(link.size(), 64u);
  EXPECT_EQ(redeemed(link), "f");
  EXPECT_EQ(redeemed(link), "auth.link");
}

TEST_F(SessionStoreTest, link_is_over_after_its_time_and_says_so) {
  const std::string link = store.make_link("f");
  clock.advance(std::chrono::minutes(15));
  const Result<std::string> late = store.redeem(link);
  ASSERT_FALSE(late.ok());
  EXPECT_NE(late.error().message.find("for 15 minutes"), std::string::npos) << late.error().message;
  EXPECT_EQ(late.error().message.find(link), std::string::npos);
}

TEST_F(SessionStoreTest, link_is_no_session_and_session_no_link) {
  EXPECT_FALSE(store.find(store.make_link("f")).has_value());
  EXPECT_EQ(redeemed(store.open("f")), "auth.link");
}

TEST_F(SessionStoreTest, link_beyond_the_limit_ends_the_oldest) {
  const std::string first = store.make_link("f");
  clock.advance(Duration(1));
  const std::string second = store.make_link("f");
  const std::string third = store.make_link("f");
  EXPECT_EQ(redeemed(first), "auth.link");
  EXPECT_EQ(redeemed(second), "f");
  EXPECT_EQ(redeemed(third), "f");
}

class SessionAuthorizerTest : public ::testing::Test {
 protected:
  using Field = std::pair<std::string, std::string>;

  static net::Request asking(const std::string& method, const std::vector<Field>& fields) {
    net::Request made = net::testing::make_request(method, "/x");
    for (const auto& [name, value] : fields) made.headers.add(name, value);
    return made;
  }
  std::string caller(const std::string& method, const std::vector<Field>& fields) {
    const Result<net::Principal> found = callers.authenticate(asking(method, fields));
    return found.ok() ? found->name + "/" + found->role : found.error().id;
  }
  /// "NAME=VALUE; Path=/; .." -> "NAME=VALUE".
  static std::string pair_of(const std::string& set_cookie) { return set_cookie.substr(0, set_cookie.find(';')); }

  trainyard::testing::FakeClock clock;
  TokenAuthorizer tokens{"key"};
  SessionStore sessions{{}, clock};
  SessionAuthorizer callers{tokens, sessions, "installation"};
  const std::string token = tokens.issue({"alice", "operator"});
};

TEST_F(SessionAuthorizerTest, cookie_is_kept_from_scripts_and_other_sites_and_is_not_the_token) {
  const std::string field = callers.sign_in(token).value();
  EXPECT_NE(field.find("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict"), std::string::npos) << field;
  EXPECT_EQ(field.find("Secure"), std::string::npos) << "a browser would drop it on a host without TLS";
  callers.set_secure(true);
  EXPECT_NE(callers.sign_in(token)->find("; Secure"), std::string::npos);
  EXPECT_EQ(field.substr(0, 18), "trainyard_session_");
  EXPECT_EQ(field.find(token), std::string::npos);
  EXPECT_EQ(field.find(*tokens.fingerprint_of(token)), std::string::npos);
}

TEST_F(SessionAuthorizerTest, session_reads_as_the_owner_of_the_token) {
  const std::string cookie = "a=b; " + pair_of(callers.sign_in(token).value()) + "; c=d";
  EXPECT_EQ(caller("GET", {{"Cookie", cookie}}), "alice/operator");
  EXPECT_EQ(caller("HEAD", {{"Cookie", cookie}}), "alice/operator");
  EXPECT_EQ(caller("GET", {{"cookie", "a=b"}, {"COOKIE", cookie}}), "alice/operator");
  EXPECT_EQ(caller("GET", {{"Cookie", cookie}, {"Sec-Fetch-Site", "none"}}), "alice/operator");
}

TEST_F(SessionAuthorizerTest, session_never_writes) {
  const std::string cookie = pair_of(callers.sign_in(token).value());
  for (const char* method : {"POST", "PUT", "PATCH", "DELETE"}) {
    EXPECT_EQ(caller(method, {{"Cookie", cookie}}), "auth.missing") << method;
    EXPECT_EQ(caller(method, {{"Cookie", cookie}, {"Authorization", "Bearer " + token}}), "alice/operator") << method;
  }
}

TEST_F(SessionAuthorizerTest, session_does_not_count_for_pages_of_other_sites) {
  const std::string cookie = pair_of(callers.sign_in(token).value());
  EXPECT_EQ(caller("GET", {{"Cookie", cookie}, {"Sec-Fetch-Site", "cross-site"}}), "auth.missing");
  EXPECT_EQ(caller("GET", {{"Cookie", cookie}, {"Sec-Fetch-Site", "same-site"}}), "auth.missing");
  EXPECT_EQ(caller("GET", {{"Cookie", cookie}, {"Origin", "https://evil.example"}}), "auth.missing");
}

TEST_F(SessionAuthorizerTest, cookie_beside_a_token_is_not_looked_at) {
  const std::string cookie = pair_of(callers.sign_in(token).value());
  EXPECT_EQ(caller("GET", {{"Cookie", cookie}, {"Authorization", "Bearer wrong"}}), "auth.invalid");
}

TEST_F(SessionAuthorizerTest, revoked_token_ends_its_sessions_at_once) {
  const std::string cookie = pair_of(callers.sign_in(token).value());
  const std::string link = sessions.make_link(*tokens.fingerprint_of(token));
  tokens.revoke("alice");
  EXPECT_EQ(caller("GET", {{"Cookie", cookie}}), "auth.invalid");
  EXPECT_EQ(caller("GET", {{"Cookie", pair_of(callers.sign_in_by_link(link).value())}}), "auth.invalid");
}

TEST_F(SessionAuthorizerTest, signed_out_session_is_over_and_its_cookie_removed) {
  const std::string cookie = pair_of(callers.sign_in(token).value());
  const std::string field = callers.sign_out(asking("POST", {{"Cookie", cookie}}));
  EXPECT_NE(field.find("=; Path=/; Max-Age=0;"), std::string::npos) << field;
  EXPECT_EQ(caller("GET", {{"Cookie", cookie}}), "auth.invalid");
}

TEST_F(SessionAuthorizerTest, only_holders_of_a_stored_token_or_a_link_sign_in) {
  tokens.set_attempt_check([](const AttemptKey&) { return true; });
  const std::string of_attempt = tokens.attempt_token({JobId(1), AttemptNumber(1)});
  for (const std::string& wrong : {std::string(), token + "x", of_attempt}) {
    EXPECT_EQ(callers.sign_in(wrong).error().id, "auth.invalid") << wrong;
  }
  const std::string link = sessions.make_link(*tokens.fingerprint_of(token));
  EXPECT_EQ(caller("GET", {{"Cookie", pair_of(callers.sign_in_by_link(link).value())}}), "alice/operator");
  EXPECT_EQ(callers.sign_in_by_link(link).error().id, "auth.link");
}

TEST_F(SessionAuthorizerTest, cookie_of_another_installation_is_not_ours) {
  SessionAuthorizer other(tokens, sessions, "another installation");
  const std::string cookie = pair_of(other.sign_in(token).value());
  EXPECT_EQ(caller("GET", {{"Cookie", cookie}}), "auth.missing");
  EXPECT_EQ(caller("GET", {{"Cookie", "trainyard_session_=x"}}), "auth.missing");
}

}  // namespace
}  // namespace trainyard::access
