#include "api/agents/agents.h"

#include <gtest/gtest.h>

#include "agent/testing/fake_agent_link.h"
#include "base/testing/manual_executor.h"
#include "net/testing/api_conformance.h"
#include "net/testing/fake_responder.h"

namespace trainyard::api {
namespace {

class RoleAuthorizer final : public net::Authorizer {
 public:
  std::string role = "admin";
  std::string name = "agent:node-1";
  Result<net::Principal> authenticate(const net::Request&) override {
    if (!role.empty()) return net::Principal{name, role};
    return Error{Category::kUnauthenticated, "auth.missing", "no token", {}, {}};
  }
};

class AgentRoutesTest : public ::testing::Test {
 protected:
  AgentRoutesTest() {
    add_agent_routes(router,
                     {[this](const exec::NodeObservation& observation, std::uint64_t seen, Duration wait, auto done) {
                        observations.push_back(observation);
                        last_seen = seen;
                        last_wait = wait;
                        if (sync_error) return done(*sync_error);
                        exec::DesiredState state;
                        state.version = 7;
                        done(state);
                      },
                      link, bulk, [this](const NodeName& node, const RankKey& key) { return node.text == "node-1" && key == rank; }});
  }

  net::Response call(std::string method, std::string_view target, std::string body = {}) {
    const auto answer = net::testing::start_call(router, net::testing::make_request(method, target, std::move(body)));
    bulk.run_ready();
    const net::Response response = answer->wait().value();
    EXPECT_EQ(net::testing::ApiConformance(router).fault(net::testing::make_request(std::move(method), target), response), "");
    return response;
  }
  static std::string code_of(const net::Response& response) { return parse_json(response.body).value()["code"].text(); }
  std::string observation_json() const {
    exec::NodeObservation observation;
    observation.node.text = "somebody-else";
    observation.boot_id = "b1";
    observation.capacity = {4000, 1 << 30, 0};
    return to_json(exec::to_document(observation));
  }

  trainyard::testing::FakeClock clock;
  trainyard::testing::ManualExecutor bulk{clock};
  agent::testing::FakeAgentLink link;
  RoleAuthorizer authorizer;
  net::Router router{authorizer};
  std::vector<exec::NodeObservation> observations;
  std::uint64_t last_seen = 0;
  Duration last_wait{0};
  std::optional<Error> sync_error;
  const RankKey rank{{JobId(17), AttemptNumber(2)}, 1};
};

TEST_F(AgentRoutesTest, sync_hands_on_what_the_node_of_the_path_has_and_answers_what_it_should_have) {
  const net::Response response = call("POST", "/api/v1/agents/node-1/sync?seen=3&wait_us=2500000", observation_json());
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(exec::desired_state_from(parse_json(response.body).value())->version, 7u);
  ASSERT_EQ(observations.size(), 1u);
  EXPECT_EQ(observations[0].node.text, "node-1");
  EXPECT_EQ(observations[0].boot_id, "b1");
  EXPECT_EQ(observations[0].capacity.milli_cpu, 4000);
  EXPECT_EQ(last_seen, 3u);
  EXPECT_EQ(last_wait, Duration(2'500'000));
}

TEST_F(AgentRoutesTest, faulty_sync_is_refused_and_hands_nothing_on) {
  EXPECT_EQ(call("POST", "/api/v1/agents/n/sync", "{").status, 400);
  EXPECT_EQ(call("POST", "/api/v1/agents/n/sync", "{}").status, 400);
  EXPECT_EQ(call("POST", "/api/v1/agents/n/sync?seen=x", observation_json()).status, 400);
  EXPECT_EQ(call("POST", "/api/v1/agents/n/sync?wait_us=-1", observation_json()).status, 400);
  EXPECT_TRUE(observations.empty());
}

TEST_F(AgentRoutesTest, wait_that_no_duration_holds_is_refused) {
  EXPECT_EQ(call("POST", "/api/v1/agents/n/sync?wait_us=18446744073709551615", observation_json()).status, 400);
  EXPECT_TRUE(observations.empty());
}

TEST_F(AgentRoutesTest, failed_sync_is_a_problem) {
  sync_error = unavailable("agent.stopping", "the server stops");
  EXPECT_EQ(call("POST", "/api/v1/agents/n/sync", observation_json()).status, 503);
}

TEST_F(AgentRoutesTest, log_bytes_are_appended_at_their_offset) {
  const std::string path = "/api/v1/agents/ranks/17/2/1/log";
  EXPECT_EQ(call("GET", path).body, R"({"end":0})");
  EXPECT_EQ(call("POST", path + "?offset=0", std::string("a\0b", 3)).body, R"({"end":3})");
  EXPECT_EQ(call("POST", path + "?offset=1", std::string("\0bc", 3)).body, R"({"end":4})") << "overlap is ignored";
  EXPECT_EQ(link.log(rank), std::string("a\0bc", 4));
  EXPECT_EQ(call("GET", path).body, R"({"end":4})");
  const net::Response gap = call("POST", path + "?offset=9", "x");
  EXPECT_EQ(gap.status, 409);
  EXPECT_EQ(code_of(gap), "log.gap");
}

TEST_F(AgentRoutesTest, event_lines_are_appended_at_their_number) {
  const std::string path = "/api/v1/agents/ranks/17/2/1/events";
  EXPECT_EQ(call("POST", path + "?first=0", "{\"event\":\"a\"}\n{\"event\":\"b\"}\n").body, R"({"end":2})");
  EXPECT_EQ(call("POST", path + "?first=1", "{\"event\":\"b\"}\n{\"event\":\"c\"}\n").body, R"({"end":3})");
  EXPECT_EQ(link.events(rank).size(), 3u);
  EXPECT_EQ(link.events(rank)[2], R"({"event":"c"})");
  EXPECT_EQ(call("GET", path).body, R"({"end":3})");
  EXPECT_EQ(call("POST", path + "?first=7", "{}\n").status, 409);
  EXPECT_EQ(call("POST", path + "?first=3", "cut short").body, R"({"end":3})") << "a line without its end is no line yet";
}

TEST_F(AgentRoutesTest, output_of_a_fenced_attempt_is_refused) {
  link.fence(rank);
  for (const char* what : {"log?offset=0", "events?first=0"}) {
    const net::Response response = call("POST", std::string("/api/v1/agents/ranks/17/2/1/") + what, "x\n");
    EXPECT_EQ(response.status, 409);
    EXPECT_EQ(code_of(response), "lease.fenced");
  }
}

TEST_F(AgentRoutesTest, rank_that_is_none_is_refused_and_never_taken_for_another) {
  // 4294967298 is 2 in 32 bits: it must not pass for attempt 2, whose number is the fence.
  for (const char* path : {"x/2/1/log", "17/x/1/log", "17/2/x/log", "17/-2/1/log", "17/4294967298/1/log", "17/2/4294967297/log"}) {
    const net::Response response = call("POST", std::string("/api/v1/agents/ranks/") + path + "?offset=0", "x");
    EXPECT_EQ(response.status, 400) << path;
  }
  EXPECT_EQ(link.log(rank), "");
  EXPECT_EQ(call("POST", "/api/v1/agents/ranks/17/2/1/log", "x").status, 400) << "without an offset";
}

TEST_F(AgentRoutesTest, transfer_of_something_else_is_404) {
  EXPECT_EQ(call("POST", "/api/v1/agents/ranks/17/2/1/logs?first=0", "x\n").status, 404);
  EXPECT_EQ(call("GET", "/api/v1/agents/ranks/17/2/1/secrets").status, 404);
  EXPECT_TRUE(link.events(rank).empty());
}

TEST_F(AgentRoutesTest, agent_speaks_for_its_own_node) {
  authorizer.role = "agent";
  EXPECT_EQ(call("POST", "/api/v1/agents/node-1/sync", observation_json()).status, 200);
  const net::Response other = call("POST", "/api/v1/agents/node-2/sync", observation_json());
  EXPECT_EQ(other.status, 403);
  EXPECT_EQ(code_of(other), "agent.other_node");
  EXPECT_EQ(observations.size(), 1u);
}

TEST_F(AgentRoutesTest, agent_reaches_ranks_that_are_leased_to_its_node) {
  authorizer.role = "agent";
  EXPECT_EQ(call("POST", "/api/v1/agents/ranks/17/2/1/log?offset=0", "x").status, 200);
  EXPECT_EQ(call("GET", "/api/v1/agents/ranks/17/2/1/log").status, 200);
  for (const char* foreign : {"17/2/0/log", "17/3/1/log", "18/2/1/log"}) {
    for (const char* method : {"GET", "POST"}) {
      const net::Response response = call(method, std::string("/api/v1/agents/ranks/") + foreign + (*method == 'P' ? "?offset=0" : ""));
      EXPECT_EQ(response.status, 409) << foreign;
      EXPECT_EQ(code_of(response), "lease.fenced") << "the agent gives such output up";
    }
  }
  authorizer.name = "agent:node-2";
  EXPECT_EQ(call("POST", "/api/v1/agents/ranks/17/2/1/log?offset=1", "x").status, 409);
  authorizer.name = "somebody";
  EXPECT_EQ(call("POST", "/api/v1/agents/ranks/17/2/1/log?offset=1", "x").status, 409) << "the role alone names no node";
  EXPECT_EQ(link.log(rank), "x");
}

TEST_F(AgentRoutesTest, every_route_is_for_agents_and_admins) {
  const auto statuses = [this](const std::string& method, const std::string& target, const std::string& body) {
    std::string text;
    for (const char* role : {"", "viewer", "runner", "operator", "join", "agent", "admin"}) {
      authorizer.role = role;
      text += std::to_string(call(method, target, body).status) + " ";
    }
    return text;
  };
  EXPECT_EQ(statuses("POST", "/api/v1/agents/node-1/sync", observation_json()), "401 403 403 403 403 200 200 ");
  EXPECT_EQ(statuses("GET", "/api/v1/agents/ranks/17/2/1/log", ""), "401 403 403 403 403 200 200 ");
  EXPECT_EQ(statuses("POST", "/api/v1/agents/ranks/17/2/1/log?offset=0", ""), "401 403 403 403 403 200 200 ");
  EXPECT_EQ(router.routes().size(), 3u) << "a new route needs a line above";
  EXPECT_TRUE(router.check().ok());
}

TEST_F(AgentRoutesTest, node_of_a_name_that_no_route_can_name_is_refused) {
  for (const char* name : {"bad%20name!", "n%C3%A4me", ".hidden"}) {
    const net::Response refused = call("POST", std::string("/api/v1/agents/") + name + "/sync", observation_json());
    EXPECT_EQ(refused.status, 400) << name;
    EXPECT_EQ(code_of(refused), "access.node_name") << name;
  }
  EXPECT_TRUE(observations.empty());
}

}  // namespace
}  // namespace trainyard::api
