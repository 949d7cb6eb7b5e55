#include <gtest/gtest.h>
#include <sys/stat.h>

#include "access/hmac.h"
#include "access/secret_file.h"
#include "access/token_authorizer.h"
#include "base/checksum.h"
#include "base/file.h"
#include "net/testing/fake_responder.h"

namespace trainyard::access {
namespace {

using namespace std::chrono_literals;

AttemptKey attempt(std::uint64_t job, std::uint32_t number) { return {JobId(job), AttemptNumber(number)}; }

TEST(Hmac, vectors_of_rfc_4231_match) {
  EXPECT_EQ(hmac_sha256_hex(std::string(20, '\x0b'), "Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(hmac_sha256_hex("Jefe", "what do ya want for nothing?"), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hmac_sha256_hex(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(ConstantTimeCompare, only_equal_texts_are_equal) {
  EXPECT_TRUE(equal_in_constant_time("abc", "abc"));
  EXPECT_FALSE(equal_in_constant_time("abc", "abd"));
  EXPECT_FALSE(equal_in_constant_time("abc", "ab"));
  EXPECT_TRUE(equal_in_constant_time("", ""));
}

class TokenAuthorizerTest : public ::testing::Test {
 protected:
  static net::Request request(std::string field, std::string value, std::string method = "GET") {
    net::Request made = net::testing::make_request(std::move(method), "/x");
    made.headers.add(std::move(field), std::move(value));
    return made;
  }
  std::string error_id(const net::Request& sent) {
    const Result<net::Principal> found = tokens.authenticate(sent);
    return found.ok() ? "accepted " + found->name : found.error().id;
  }
  std::string name_of_bearer(const std::string& token) {
    const Result<net::Principal> found = tokens.authenticate(request("Authorization", "Bearer " + token));
    return found.ok() ? found->name : found.error().id;
  }

  static Result<net::Principal> principal_of(TokenAuthorizer& authorizer, const std::string& token) {
    return authorizer.authenticate(request("Authorization", "Bearer " + token));
  }

  TokenAuthorizer tokens{"an installation key of 32 bytes."};
};

TEST_F(TokenAuthorizerTest, issued_token_names_its_principal_until_revoked) {
  const std::string token = tokens.issue({.principal = "alice", .role = "operator"});
  EXPECT_EQ(token.substr(0, 7), "ty_pat_");
  EXPECT_EQ(token.size(), 7u + 12 + 1 + 64);
  const Result<net::Principal> found = tokens.authenticate(request("Authorization", "bearer  " + token));
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->name, "alice");
  EXPECT_EQ(found->role, "operator");
  tokens.revoke("alice");
  EXPECT_EQ(name_of_bearer(token), "auth.invalid");
}

TEST_F(TokenAuthorizerTest, altered_tokens_are_refused) {
  tokens.set_attempt_check([](const AttemptKey&) { return true; });
  for (const std::string& token : {tokens.issue({"a", "admin"}), tokens.attempt_token(attempt(17, 2))}) {
    ASSERT_TRUE(principal_of(tokens, token).ok()) << token;
    for (std::size_t i = 0; i < token.size(); ++i) {
      std::string altered = token;
      altered[i] = altered[i] == '1' ? '2' : '1';
      EXPECT_FALSE(principal_of(tokens, altered).ok()) << altered;
    }
    EXPECT_FALSE(principal_of(tokens, token + "0").ok());
    EXPECT_FALSE(principal_of(tokens, token.substr(0, token.size() - 1)).ok());
  }
  for (const char* token : {"", "ty_pat_", "ty_job_", "ty_job__", "ty_agent_", "ty_agent__", "ty_job_1_1_", "ty_job_1_x", "x"}) {
    EXPECT_EQ(principal_of(tokens, token).error().id, "auth.invalid") << token;
  }
}

TEST_F(TokenAuthorizerTest, attempt_token_is_good_while_the_attempt_is_current_and_after_a_restart) {
  const std::string token = tokens.attempt_token(attempt(17, 2));
  EXPECT_EQ(name_of_bearer(token), "auth.invalid");

  AttemptKey current = attempt(17, 2);
  TokenAuthorizer restarted("an installation key of 32 bytes.");
  restarted.set_attempt_check([&current](const AttemptKey& key) { return key == current; });
  const Result<net::Principal> found = principal_of(restarted, token);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->name, "job:17/2");
  EXPECT_EQ(found->role, "runner");
  EXPECT_EQ(attempt_of(*found), attempt(17, 2));
  current = attempt(17, 3);
  EXPECT_FALSE(principal_of(restarted, token).ok());
}

TEST_F(TokenAuthorizerTest, attempt_token_of_another_installation_is_refused) {
  TokenAuthorizer other("another key");
  tokens.set_attempt_check([](const AttemptKey&) { return true; });
  EXPECT_FALSE(principal_of(tokens, other.attempt_token(attempt(17, 2))).ok());
}

TEST_F(TokenAuthorizerTest, one_attempt_has_one_token_text) {
  tokens.set_attempt_check([](const AttemptKey&) { return true; });
  const std::string mac = tokens.attempt_token(attempt(17, 2)).substr(std::string("ty_job_17_2_").size());
  EXPECT_TRUE(principal_of(tokens, "ty_job_17_2_" + mac).ok());
  for (const char* id : {"017_2", "17_02", "+17_2", "17_2 ", "17_", "_2", "0_2", "17_4294967298", "17_2_", "17-2"}) {
    EXPECT_FALSE(principal_of(tokens, "ty_job_" + std::string(id) + "_" + mac).ok()) << id;
  }
}

TEST_F(TokenAuthorizerTest, token_of_an_attempt_counts_in_its_namespace_alone) {
  tokens.set_attempt_check([](const AttemptKey&) { return true; });
  tokens.set_attempt_namespace([](const AttemptKey& key) -> std::optional<std::string> {
    if (key.job == JobId(17)) return "vision";
    return std::nullopt;
  });
  const Result<net::Principal> found = principal_of(tokens, tokens.attempt_token(attempt(17, 2)));
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->role, "");
  EXPECT_EQ(found->grants, (std::vector<net::Grant>{{"vision", "runner"}}));
  EXPECT_FALSE(principal_of(tokens, tokens.attempt_token(attempt(18, 1))).ok());
}

TEST_F(TokenAuthorizerTest, revoked_attempt_is_refused) {
  tokens.set_attempt_check([](const AttemptKey&) { return true; });
  tokens.revoke("job:17/2");
  EXPECT_EQ(name_of_bearer(tokens.attempt_token(attempt(17, 2))), "auth.invalid");
  EXPECT_EQ(name_of_bearer(tokens.attempt_token(attempt(17, 3))), "job:17/3");
}

TEST_F(TokenAuthorizerTest, basic_password_is_the_token) {
  tokens.add_token("0123456789abcdef0123456789abcdef", {"admin", "admin"});
  // base64 of "anyone:0123456789abcdef0123456789abcdef" and of ":0123456789abcdef0123456789abcdef"
  EXPECT_EQ(error_id(request("Authorization", "Basic YW55b25lOjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVm")), "accepted admin");
  EXPECT_EQ(error_id(request("Authorization", "Basic OjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVm")), "accepted admin");
  EXPECT_EQ(error_id(request("Authorization", "Basic !!!")), "auth.invalid");
  EXPECT_EQ(error_id(request("Authorization", "Basic YWJj")), "auth.invalid");
  EXPECT_EQ(error_id(request("Authorization", "Digest x")), "auth.invalid");
}

TEST_F(TokenAuthorizerTest, cookie_is_no_token) {
  EXPECT_EQ(error_id(request("Cookie", "trainyard_session=" + tokens.issue({"alice", "admin"}))), "auth.missing");
}

TEST_F(TokenAuthorizerTest, only_stored_tokens_have_a_fingerprint_until_they_are_revoked) {
  tokens.set_attempt_check([](const AttemptKey&) { return true; });
  const std::string token = tokens.issue({"alice", "operator"});
  const std::optional<std::string> fingerprint = tokens.fingerprint_of(token);
  ASSERT_TRUE(fingerprint.has_value());
  EXPECT_EQ(fingerprint->find(token.substr(token.size() - 8)), std::string::npos);
  EXPECT_EQ(tokens.principal_of(*fingerprint)->name, "alice");
  for (const std::string& other : {token + "0", std::string(), tokens.attempt_token(attempt(17, 2))}) {
    EXPECT_FALSE(tokens.fingerprint_of(other).has_value()) << other;
  }
  tokens.revoke("alice");
  EXPECT_FALSE(tokens.principal_of(*fingerprint).has_value());
}

TEST_F(TokenAuthorizerTest, token_in_the_query_is_ignored) {
  const std::string token = tokens.issue({"alice", "admin"});
  EXPECT_EQ(error_id(net::testing::make_request("GET", "/x?token=" + token)), "auth.missing");
}

TEST_F(TokenAuthorizerTest, messages_do_not_repeat_the_token) {
  const Result<net::Principal> found = principal_of(tokens, "ty_pat_000000000000_secretsecretsecret");
  EXPECT_EQ(found.error().describe().find("secretsecret"), std::string::npos);
}

class SecretFileTest : public ::testing::Test {
 protected:
  void SetUp() override { directory = make_temporary_directory("access-test").value(); }
  void TearDown() override { EXPECT_TRUE(remove_tree(directory).ok()); }
  std::string directory;
};

TEST_F(SecretFileTest, admin_token_is_made_once_for_the_owner_only) {
  const std::string path = directory + "/token";
  const Result<std::string> first = load_or_create_admin_token(path);
  ASSERT_TRUE(first.ok()) << first.error().describe();
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(load_or_create_admin_token(path).value(), first.value());

  TokenAuthorizer tokens("key");
  tokens.add_token(first.value(), {"admin", "admin"});
  net::Request request = net::testing::make_request("GET", "/x", {}, first.value());
  EXPECT_EQ(tokens.authenticate(request)->role, "admin");
}

TEST_F(SecretFileTest, file_that_others_may_read_is_refused_with_the_fix) {
  const std::string path = directory + "/key";
  ASSERT_TRUE(load_or_create_installation_key(path).ok());
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  const Result<std::string> again = load_or_create_installation_key(path);
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().id, "auth.token_file_mode");
  EXPECT_NE(again.error().message.find("chmod 600"), std::string::npos);
}

TEST_F(SecretFileTest, cut_off_file_is_data_loss_and_is_not_replaced) {
  const std::string path = directory + "/key";
  ASSERT_TRUE(write_file_durably(path, "abc\n", 0600).ok());
  EXPECT_EQ(load_or_create_installation_key(path).error().id, "auth.token_file");
  EXPECT_EQ(read_file(path).value(), "abc\n");
}

}  // namespace
}  // namespace trainyard::access
