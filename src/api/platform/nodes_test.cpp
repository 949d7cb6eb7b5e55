#include "api/platform/nodes.h"

#include "adapters/sqlite/testing/temporary_database.h"
#include "api/platform/testing/platform_world.h"

namespace trainyard::api {
namespace {

class NodeRoutesTest : public testing::PlatformWorld {
 protected:
  NodeRoutesTest() {
    EXPECT_TRUE(store::migrate(files.database(), "node_intent", cluster::node_intent_migrations()).ok());
    add_node_routes(router, {.strand = strand,
                             .writes = reads,
                             .clock = clock,
                             .backend = backend,
                             .intents = intents,
                             .set_state =
                                 [this](const NodeName& name, exec::NodeState state, const std::string& why) {
                                   for (exec::NodeView& view : backend.views) {
                                     if (view.name != name) continue;
                                     view.state = state;
                                     view.schedulable = state == exec::NodeState::kReady;
                                     view.state_reason = why;
                                   }
                                 },
                             .check_gone = [this](const NodeName& name) { return gone_or_in_use(name); },
                             .remove = [this](const NodeName& name) -> Result<void> {
                               TRY(gone_or_in_use(name));
                               std::erase_if(backend.views, [&name](const exec::NodeView& view) { return view.name == name; });
                               return {};
                             },
                             .revoke = [this](const access::Caller& caller, const NodeName& name) -> Result<void> {
                               revoked.push_back(caller.principal.name + " revoked " + name.text);
                               return revocation;
                             }});
  }
  Result<void> gone_or_in_use(const NodeName& name) const {
    for (const exec::NodeView& view : backend.views) {
      if (view.name == name && view.ready) return failed_precondition("node.in_use", "it is heard of");
    }
    return {};
  }

  adapters::sqlite::testing::TemporaryDatabase files;
  cluster::NodeIntents intents{files.database()};
  std::vector<std::string> revoked;
  Result<void> revocation;  ///< What comes of it.
};

TEST_F(NodeRoutesTest, nodes_are_listed_with_what_they_have) {
  backend.views[0].facts.labels = {{"zone", "west"}};
  backend.views[0].facts.gpus = {{0, "GPU-1", "A100", std::int64_t{80} << 30}};
  const Document nodes = json("GET", "/api/v1/nodes");
  ASSERT_EQ(nodes["nodes"].items().size(), 2u);
  const Document& first = nodes["nodes"].items()[0];
  EXPECT_EQ(first["name"].text(), "a");
  EXPECT_EQ(first["state"].text(), "ready");
  EXPECT_EQ(first["cpu"].as_double().value(), 4);
  EXPECT_EQ(first["labels"]["zone"].text(), "west");
  EXPECT_EQ(first["gpus"].items()[0]["memory"].text(), "80GiB");
}

TEST_F(NodeRoutesTest, pages_follow_one_another_by_name) {
  const Document first = json("GET", "/api/v1/nodes?limit=1");
  EXPECT_EQ(first["nodes"].items().front()["name"].text(), "a");
  const Document second = json("GET", "/api/v1/nodes?limit=1&cursor=" + first["next_cursor"].text());
  EXPECT_EQ(second["nodes"].items().front()["name"].text(), "b");
  EXPECT_EQ(second.find("next_cursor"), nullptr);
  EXPECT_EQ(call("GET", "/api/v1/pools?cursor=" + first["next_cursor"].text()).status, 400);
}

TEST_F(NodeRoutesTest, drained_node_says_so_and_the_intent_is_kept_until_it_is_taken_back) {
  const Document drained = json("POST", "/api/v1/nodes/a/drain", R"({"reason": "new memory"})");
  EXPECT_EQ(drained["state"].text(), "draining");
  EXPECT_EQ(drained["reason"].text(), "new memory");
  ASSERT_EQ(intents.list()->size(), 1u);
  EXPECT_EQ(intents.list()->front().by, "ann");
  EXPECT_EQ(json("GET", "/api/v1/pools")["pools"].items()[0]["ready"].as_int().value(), 1);

  EXPECT_EQ(json("POST", "/api/v1/nodes/a/uncordon")["state"].text(), "ready");
  EXPECT_TRUE(intents.list()->empty());
  EXPECT_EQ(json("POST", "/api/v1/nodes/b/cordon")["state"].text(), "cordoned");
}

TEST_F(NodeRoutesTest, node_that_is_gone_is_taken_off_the_list_with_its_credential_and_what_was_wanted_of_it) {
  json("POST", "/api/v1/nodes/a/cordon");
  const net::Response in_use = call("DELETE", "/api/v1/nodes/a");
  EXPECT_EQ(in_use.status, 409);
  EXPECT_NE(in_use.body.find("node.in_use"), std::string::npos) << in_use.body;
  EXPECT_TRUE(revoked.empty()) << "what is refused changes nothing";
  EXPECT_EQ(intents.list()->size(), 1u);

  backend.views[0].ready = false;
  EXPECT_EQ(json("DELETE", "/api/v1/nodes/a")["name"].text(), "a");
  EXPECT_EQ(revoked, (std::vector<std::string>{"ann revoked a"}));
  EXPECT_TRUE(intents.list()->empty());
  EXPECT_EQ(call("GET", "/api/v1/nodes/a").status, 404);
  EXPECT_EQ(call("DELETE", "/api/v1/nodes/a").status, 404);
}

TEST_F(NodeRoutesTest, node_without_a_credential_goes_and_one_whose_credential_cannot_end_stays) {
  for (exec::NodeView& view : backend.views) view.ready = false;
  revocation = unavailable("db.busy", "the database is busy");
  EXPECT_EQ(call("DELETE", "/api/v1/nodes/a").status, 503);
  EXPECT_EQ(call("GET", "/api/v1/nodes/a").status, 200);
  revocation = not_found("agent.unknown", "no agent of this name has joined");
  EXPECT_EQ(call("DELETE", "/api/v1/nodes/a").status, 200);
  EXPECT_EQ(call("GET", "/api/v1/nodes/a").status, 404);
}

TEST_F(NodeRoutesTest, unknown_node_and_malformed_body_are_refused) {
  EXPECT_EQ(call("GET", "/api/v1/nodes/nowhere").status, 404);
  EXPECT_EQ(call("POST", "/api/v1/nodes/nowhere/drain").status, 404);
  EXPECT_EQ(call("POST", "/api/v1/nodes/a/drain", R"({"resaon": "x"})").status, 400);
  EXPECT_TRUE(intents.list()->empty());
}

TEST_F(NodeRoutesTest, every_route_asks_for_its_role) {
  EXPECT_EQ(statuses("GET", "/api/v1/nodes"), "401 200 200 200 200");
  EXPECT_EQ(statuses("GET", "/api/v1/nodes/a"), "401 200 200 200 200");
  EXPECT_EQ(statuses("GET", "/api/v1/pools"), "401 200 200 200 200");
  for (const char* change : {"cordon", "drain", "uncordon"}) {
    EXPECT_EQ(statuses("POST", std::string("/api/v1/nodes/a/") + change), "401 403 403 200 200") << change;
  }
  EXPECT_EQ(statuses("DELETE", "/api/v1/nodes/a"), "401 403 403 409 409");
  EXPECT_EQ(router.routes().size(), 7u) << "a new route needs a line above";
}

}  // namespace
}  // namespace trainyard::api
