#include "client/agent_credential.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/file.h"
#include "net/testing/router_client.h"

namespace trainyard::client {
namespace {

using namespace std::chrono_literals;

class AgentCredentialTest : public ::testing::Test {
 protected:
  AgentCredentialTest() : directory(make_temporary_directory("agent-credential").value()) {
    for (const char* pattern : {"/api/v1/agents/join", "/api/v1/agents/renew"}) {
      router.add({"POST", pattern, net::Permission::kOpen, [this](const net::Request& request, const net::ResponderPtr& responder) {
                    seen = request.path + " " + request.body;
                    responder->respond(net::text_response(201, answer, "application/json"));
                  }});
    }
  }
  ~AgentCredentialTest() override { (void)remove_tree(directory).ok(); }

  std::string directory;
  std::string seen;
  std::string answer = R"({"id":"a1","node":"node-1","secret":"ty_agent_a1_x","pool":"gpu","labels":{"zone":"a"},"later":[1],)"
                       R"("issued_at":"2026-01-01T00:00:00Z","expires_at":"2026-01-02T00:00:00Z"})";
  net::testing::FakeAuthorizer authorizer;
  net::Router router{authorizer};
  net::testing::RouterClient http{router};
  ApiClient api{http, "ty_join_j1_y"};
};

TEST_F(AgentCredentialTest, machine_joins_and_renews_at_two_thirds) {
  const Result<AgentCredential> first = join_as_agent(api, "node-1");
  ASSERT_TRUE(first.ok()) << first.error().describe();
  EXPECT_EQ(seen, R"(/api/v1/agents/join {"node":"node-1"})");
  EXPECT_EQ(first->secret, "ty_agent_a1_x");
  EXPECT_EQ(first->labels.at("zone"), "a");
  EXPECT_EQ(renewal_due(*first) - first->issued_at, 16h);
  answer = R"({"id":"a2","node":"node-1","secret":"ty_agent_a2_z","pool":"","labels":{},)"
           R"("issued_at":"2026-01-01T16:00:00Z","expires_at":"2026-01-02T16:00:00Z"})";
  const Result<AgentCredential> second = renew_agent(api, *first);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->secret, "ty_agent_a2_z");
  EXPECT_EQ(second->pool, "gpu") << "a renewal says nothing about it";
  EXPECT_EQ(second->labels, first->labels);
}

TEST_F(AgentCredentialTest, file_keeps_it_for_the_owner_only) {
  const AgentCredential credential = join_as_agent(api, "node-1").value();
  const std::string path = directory + "/credential";
  EXPECT_EQ(load_credential(path).error().category, Category::kNotFound);
  ASSERT_TRUE(save_credential(path, credential).ok());
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(to_json(encode(load_credential(path).value())), to_json(encode(credential)));
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  EXPECT_EQ(load_credential(path).error().id, "auth.token_file_mode");
  ASSERT_TRUE(write_file_durably(path, "{\"node\":", 0600).ok());
  ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
  EXPECT_EQ(load_credential(path).error().id, "agent.credential_file");
}

}  // namespace
}  // namespace trainyard::client
