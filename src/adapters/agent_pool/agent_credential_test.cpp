#include "adapters/agent_pool/agent_credential.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <thread>
#include <vector>

#include "base/file.h"
#include "base/testing/fake_clock.h"
#include "net/http_server.h"
#include "net/testing/fake_responder.h"

namespace trainyard::adapters::agent_pool {
namespace {

using namespace std::chrono_literals;

const std::string kJoinToken = "ty_join_abc_" + std::string(64, '1');
const std::string kOtherJoinToken = "ty_join_def_" + std::string(64, '2');

class QuietLogSink final : public LogSink {
 public:
  void write(const LogEvent&) override {}
};

/// A server that gives credentials of one hour and counts.
class AgentCredentialTest : public ::testing::Test {
 protected:
  void SetUp() override {
    data_dir = make_temporary_directory("trainyard-credential-test").value();
    router.add({"POST", "/api/v1/agents/join", net::Permission::kOpen,
                [this](const net::Request& request, const net::ResponderPtr& responder) { answer(request, responder, joins); }});
    router.add({"POST", "/api/v1/agents/renew", net::Permission::kOpen,
                [this](const net::Request& request, const net::ResponderPtr& responder) { answer(request, responder, renewals); }});
    server = std::move(net::make_http_server({}, router)).value();
    url = "http://127.0.0.1:" + std::to_string(server->port());
  }
  void TearDown() override {
    server.reset();
    EXPECT_TRUE(remove_tree(data_dir).ok());
  }
  void answer(const net::Request& request, const net::ResponderPtr& responder, std::atomic<int>& counter) {
    const int number = ++counter;
    shown = std::string(request.headers.get("Authorization").value_or(""));
    if (refusal.category != Category::kUnknown) return responder->respond(net::problem_response(refusal));
    // A server whose clock is a day ahead.
    const TimePoint issued = clock.now() + 24h;
    responder->respond(
        net::json_response(200, Document::object({{"node", "n1"},
                                                  {"secret", fmt::format("{}-{}", &counter == &joins ? "joined" : "renewed", number)},
                                                  {"pool", "gpu"},
                                                  {"labels", Document::object({{"rack", "r1"}})},
                                                  {"issued_at", to_rfc3339(issued)},
                                                  {"expires_at", to_rfc3339(issued + 1h)}})));
  }
  Result<std::unique_ptr<CredentialSource>> open(const std::string& token, const std::string& node = "n1") {
    return AgentCredential::open({.data_dir = data_dir, .node = node, .token = token},
                                 {.connect = [this] { return net::make_http_client(url); }, .clock = clock, .log = log});
  }
  std::string token_of(const std::string& token) {
    const Result<std::unique_ptr<CredentialSource>> source = open(token);
    return source.ok() ? (*source)->token().value_or("expired") : source.error().id;
  }

  std::string data_dir;
  trainyard::testing::FakeClock clock;
  QuietLogSink log;
  std::atomic<int> joins{0};
  std::atomic<int> renewals{0};
  std::string shown;
  Error refusal;
  net::testing::FakeAuthorizer authorizer;
  net::Router router{authorizer};
  std::unique_ptr<net::HttpServer> server;
  std::string url;
};

TEST_F(AgentCredentialTest, token_that_is_no_join_token_is_used_as_it_is) {
  EXPECT_EQ(token_of("ty_pat_x_y"), "ty_pat_x_y");
  EXPECT_EQ(joins, 0);
  EXPECT_FALSE(file_exists(data_dir + "/credential.json"));
}

TEST_F(AgentCredentialTest, join_token_is_traded_once_for_a_credential_that_is_kept_for_the_next_process) {
  EXPECT_EQ(token_of(kJoinToken), "joined-1");
  EXPECT_EQ(shown, "Bearer " + kJoinToken);
  struct stat info {};
  ASSERT_EQ(::stat((data_dir + "/credential.json").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(read_file(data_dir + "/credential.json").value().find(kJoinToken), std::string::npos)
      << "its secret part is of no use any more";
  EXPECT_EQ(token_of(kJoinToken), "joined-1");
  EXPECT_EQ(token_of(""), "joined-1") << "the join token may be gone";
  EXPECT_EQ(joins, 1);
}

TEST_F(AgentCredentialTest, pool_and_labels_of_the_join_token_are_kept) {
  ASSERT_EQ(token_of(kJoinToken), "joined-1");
  const StoredCredential stored = stored_credential_from(read_file(data_dir + "/credential.json").value()).value();
  EXPECT_EQ(stored.pool, "gpu");
  EXPECT_EQ(stored.labels.at("rack"), "r1");
}

TEST_F(AgentCredentialTest, credential_is_renewed_at_two_thirds_of_its_life_and_kept) {
  const std::unique_ptr<CredentialSource> source = open(kJoinToken).value();
  clock.advance(39min);
  EXPECT_EQ(source->token().value(), "joined-1");
  clock.advance(2min);
  EXPECT_EQ(source->token().value(), "renewed-1");
  EXPECT_EQ(shown, "Bearer joined-1");
  EXPECT_EQ(token_of(""), "renewed-1");
  clock.advance(41min);
  EXPECT_EQ(source->token().value(), "renewed-2");
}

TEST_F(AgentCredentialTest, renewal_that_fails_is_tried_again_and_the_old_one_used_to_its_end) {
  const std::unique_ptr<CredentialSource> source = open(kJoinToken).value();
  clock.advance(41min);
  refusal = unavailable("db.unavailable", "busy");
  EXPECT_EQ(source->token().value(), "joined-1");
  EXPECT_EQ(source->token().value(), "joined-1");
  EXPECT_EQ(renewals, 1) << "not with every call";
  clock.advance(61s);
  EXPECT_EQ(source->token().value(), "joined-1");
  EXPECT_EQ(renewals, 2);
  clock.advance(20min);
  const Result<std::string> late = source->token();
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error().id, "agent.credential_expired");
  EXPECT_NE(late.error().message.find("join token"), std::string::npos) << "it says what to do";
  refusal = {};
  clock.advance(61s);
  EXPECT_EQ(source->token().value(), "renewed-4") << "the server may still take it";
}

TEST_F(AgentCredentialTest, threads_that_need_it_at_once_renew_it_once) {
  const std::unique_ptr<CredentialSource> source = open(kJoinToken).value();
  clock.advance(41min);
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int i = 0; i < 8; ++i) threads.emplace_back([&] { good += source->token().ok() ? 1 : 0; });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 8);
  EXPECT_EQ(renewals, 1);
}

TEST_F(AgentCredentialTest, used_or_expired_join_token_is_explained) {
  refusal = Error{Category::kUnauthenticated, "auth.invalid", "the join token was used or is over", {}, {}};
  const Result<std::unique_ptr<CredentialSource>> source = open(kJoinToken);
  ASSERT_FALSE(source.ok());
  EXPECT_EQ(source.error().id, "agent.join_refused");
  EXPECT_NE(source.error().message.find("new join token"), std::string::npos);
  EXPECT_NE(source.error().message.find("was used or is over"), std::string::npos);
}

TEST_F(AgentCredentialTest, refusals_of_the_server_keep_their_category_and_id) {
  refusal = Error{Category::kAlreadyExists, "agent.node_joined", "a node of this name has joined already", {}, {}};
  EXPECT_EQ(open(kJoinToken).error().category, Category::kAlreadyExists);
  EXPECT_EQ(open(kJoinToken).error().id, "agent.node_joined");
  refusal = {};
  server.reset();
  EXPECT_EQ(open(kJoinToken).error().category, Category::kUnavailable) << "worth another try";
}

TEST_F(AgentCredentialTest, damaged_file_without_a_join_token_says_so_and_with_one_is_replaced) {
  ASSERT_TRUE(write_file_atomically(data_dir + "/credential.json", "{\"node\":").ok());
  EXPECT_EQ(open("").error().id, "credential.corrupt");
  EXPECT_EQ(token_of(kJoinToken), "joined-1");
  EXPECT_EQ(token_of(""), "joined-1");
}

TEST_F(AgentCredentialTest, agent_without_anything_to_show_says_what_it_needs) { EXPECT_EQ(open("").error().id, "agent.no_token"); }

TEST(FirstStep, stored_credential_is_used_while_it_is_good_and_meant) {
  StoredCredential stored;
  stored.node = "n1";
  stored.join_token = "ty_join_abc";
  stored.received_at = time_from_micros(0);
  stored.life = 1h;
  const auto step = [&](const std::string& token, const std::string& node, Duration after) {
    return first_step(stored, token, node, time_from_micros(after.count()));
  };
  EXPECT_EQ(step(kJoinToken, "n1", 59min), CredentialStep::kUseStored);
  EXPECT_EQ(step("", "n1", 59min), CredentialStep::kUseStored);
  EXPECT_EQ(step(kJoinToken, "n1", 61min), CredentialStep::kJoin);
  EXPECT_EQ(step(kJoinToken, "n2", 1min), CredentialStep::kJoin) << "it is bound to its node";
  EXPECT_EQ(step(kOtherJoinToken, "n1", 1min), CredentialStep::kJoin) << "somebody wants it to join anew";
  EXPECT_EQ(step("ty_pat_a_b", "n1", 1min), CredentialStep::kUseToken);
  EXPECT_EQ(first_step(std::nullopt, kJoinToken, "n1", {}), CredentialStep::kJoin);
}

}  // namespace
}  // namespace trainyard::adapters::agent_pool
