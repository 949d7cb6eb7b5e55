#include "store/state_url.h"

#include <gtest/gtest.h>

namespace trainyard::store {
namespace {

StateUrl parsed(std::string_view text) {
  const Result<StateUrl> url = parse_state_url(text);
  EXPECT_TRUE(url.ok()) << text << ": " << url.error().describe();
  return url.ok() ? *url : StateUrl{};
}

TEST(StateUrl, sqlite_names_an_absolute_path) {
  const StateUrl url = parsed("sqlite:///var/lib/a%20b/ledger.db");
  EXPECT_EQ(url.kind, StateKind::kSqlite);
  EXPECT_EQ(url.path, "/var/lib/a b/ledger.db");
  EXPECT_EQ(url.redacted(), "sqlite:///var/lib/a b/ledger.db");
}

TEST(StateUrl, postgres_has_every_part) {
  const StateUrl url = parsed("postgresql://me:p%40ss@db.example:5433/yard?sslmode=require&schema=other");
  EXPECT_EQ(url.kind, StateKind::kPostgres);
  EXPECT_EQ(url.user, "me");
  EXPECT_EQ(url.password, "p@ss");
  EXPECT_EQ(url.host, "db.example");
  EXPECT_EQ(url.port, 5433);
  EXPECT_EQ(url.database, "yard");
  EXPECT_EQ(url.option("sslmode", ""), "require");
  EXPECT_EQ(url.option("schema", "trainyard"), "other");
  EXPECT_EQ(url.option("absent", "fallback"), "fallback");
  EXPECT_EQ(url.redacted(), "postgresql://me:***@db.example:5433/yard?schema=other&sslmode=require");
}

TEST(StateUrl, short_forms_are_filled_in) {
  EXPECT_EQ(parsed("postgres:///yard").host, "");
  EXPECT_EQ(parsed("postgres:///yard").port, 0);
  EXPECT_EQ(parsed("postgresql://[::1]:5432/yard").host, "::1");
  EXPECT_EQ(parsed("postgresql://[::1]/yard").redacted(), "postgresql://[::1]/yard");
  EXPECT_EQ(parsed("redis://localhost").port, 6379);
  EXPECT_EQ(parsed("redis://localhost").database, "0");
  EXPECT_EQ(parsed("redis://:secret@localhost:7/3").password, "secret");
  EXPECT_EQ(parsed("redis://:secret@localhost:7/3").database, "3");
}

TEST(StateUrl, password_with_slash_and_at_sign_is_taken_whole) {
  const StateUrl url = parsed("redis://:a/b@c@localhost:7/3");
  EXPECT_EQ(url.password, "a/b@c");
  EXPECT_EQ(url.host, "localhost");
  EXPECT_EQ(url.redacted(), "redis://:***@localhost:7/3");
}

TEST(StateUrl, secret_is_taken_out_of_what_others_say) {
  const StateUrl url = parsed("postgresql://me:hunter2@h/d?sslpassword=xyzzy");
  EXPECT_EQ(url.without_secrets("no hunter2 at h, hunter2xyzzy"), "no *** at h, ******");
  EXPECT_EQ(parsed("redis://h").without_secrets("text"), "text");
}

TEST(StateUrl, fault_is_refused_with_what_is_accepted_and_without_the_secret) {
  for (const std::string_view text : {"",
                                      "/var/lib/ledger.db",
                                      "sqlite://relative.db",
                                      "sqlite:///",
                                      "sqlite:///a/",
                                      "sqlite:///a?b=c",
                                      "sqlite:///%4",
                                      "sqlite:///%00",
                                      "mysql://u:hunter2@h/d",
                                      "postgresql://u:hunter2@h",
                                      "postgresql://u:hunter2@h/",
                                      "postgresql://u:hunter2@h:0/d",
                                      "postgresql://u:hunter2@h:65536/d",
                                      "postgresql://u:hunter2@h:x/d",
                                      "postgresql://u:hunter2@h/d?a",
                                      "postgresql://u:hunter2@h/d?=a",
                                      "postgresql://u:hunter2@h/d?a=1&a=2",
                                      "postgresql://u:hunter2%zz@h/d",
                                      "postgresql://u:hunter2@[::1/d",
                                      "postgresql://[::1]x/d",
                                      "redis://:hunter2@h/x",
                                      "redis://:hunter2@/0",
                                      "redis://:hunter2@h/123456",
                                      "rediss://:hunter2@h/0"}) {
    const Result<StateUrl> url = parse_state_url(text);
    ASSERT_FALSE(url.ok()) << text;
    EXPECT_EQ(url.error().id, "state.url");
    EXPECT_NE(url.error().message.find("sqlite:///absolute/path"), std::string::npos);
    EXPECT_EQ(url.error().describe().find("hunter2"), std::string::npos) << url.error().describe();
  }
}

}  // namespace
}  // namespace trainyard::store
