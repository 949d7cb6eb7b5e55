// What the pool knows of nodes beside their ranks: who has a name, their state, facts and devices.
#include <gtest/gtest.h>

#include "adapters/agent_pool/testing/pool_world.h"
#include "exec/testing/recording_observer.h"

namespace trainyard::adapters::agent_pool {
namespace {

using exec::testing::RecordingObserver;
using testing::gang_on;
using testing::one_rank;
using testing::PoolWorld;
using namespace std::chrono_literals;

class PoolNodesTest : public ::testing::Test {
 protected:
  void SetUp() override { world.pool.set_observer(seen); }
  exec::NodeView view(const std::string& name) const {
    for (const exec::NodeView& node : world.pool.nodes()) {
      if (node.name.text == name) return node;
    }
    return {};
  }
  /// What an agent with this data directory is told when it reports as node "a".
  std::string outcome_for(const std::string& installation) {
    exec::NodeObservation report = world.agent("a").observation;
    report.installation = installation;
    report.boot_id = "boot-" + installation;
    std::string outcome = "no answer";
    world.pool.sync(report, 0, Duration(0),
                    [&](const Result<exec::DesiredState>& state) { outcome = state.ok() ? "accepted" : state.error().id; });
    world.strand.run_ready();
    return outcome;
  }

  RecordingObserver seen;
  PoolWorld world;
};

TEST_F(PoolNodesTest, facts_of_a_node_are_shown_and_their_change_is_news) {
  world.agent("a").observation.facts.labels = {{"rack", "r1"}};
  world.agent("a").observation.facts.pool = "gpu";
  const int before = seen.node_changes;
  world.sync_all();
  EXPECT_EQ(seen.node_changes, before + 1);
  world.sync_all();
  EXPECT_EQ(seen.node_changes, before + 1) << "no news the second time";
  EXPECT_EQ(view("a").facts.labels.at("rack"), "r1");
  EXPECT_EQ(view("a").facts.pool, "gpu");
  EXPECT_EQ(view("a").reported_at, world.clock.now());
}

TEST_F(PoolNodesTest, second_agent_of_a_name_is_refused_while_the_first_keeps_its_lease) {
  world.agent("a").observation.installation = "first";
  world.sync_all();
  EXPECT_EQ(outcome_for("second"), "agent.name_taken");
  world.pass(1min);
  EXPECT_EQ(outcome_for("second"), "agent.name_taken");
  EXPECT_EQ(outcome_for("first"), "accepted") << "an agent that starts again is the same one";
  EXPECT_TRUE(seen.lost.empty());
}

TEST_F(PoolNodesTest, name_of_an_agent_that_is_gone_is_free_after_its_lease_and_the_old_one_is_replaced) {
  world.agent("a").observation.installation = "first";
  world.sync_all();
  world.pool.launch(one_rank(1, "a"));
  world.observe(one_rank(1, "a").ranks[0].rank);
  world.agent("a").silent = true;
  world.strand.advance(14s);
  EXPECT_EQ(outcome_for("second"), "agent.name_taken");
  world.strand.advance(2s);
  EXPECT_EQ(outcome_for("second"), "accepted");
  EXPECT_EQ(seen.lost.size(), 1u);
  EXPECT_EQ(outcome_for("first"), "agent.replaced");
  EXPECT_EQ(outcome_for("third"), "agent.name_taken");
  EXPECT_EQ(outcome_for("second"), "accepted");
}

TEST_F(PoolNodesTest, cordoned_node_takes_nothing_new_and_keeps_what_it_runs) {
  world.pool.launch(one_rank(1, "a"));
  const int before = seen.node_changes;
  world.pool.set_node_state(NodeName{"a"}, exec::NodeState::kCordoned, "new disks");
  EXPECT_EQ(seen.node_changes, before + 1);
  EXPECT_TRUE(view("a").ready);
  EXPECT_FALSE(view("a").schedulable);
  EXPECT_EQ(view("a").state, exec::NodeState::kCordoned);
  EXPECT_EQ(view("a").state_reason, "new disks");
  EXPECT_NE(world.desired(one_rank(1, "a").ranks[0].rank), nullptr);
  EXPECT_TRUE(view("b").schedulable);
  world.pool.set_node_state(NodeName{"a"}, exec::NodeState::kReady, "");
  EXPECT_TRUE(view("a").schedulable);
  EXPECT_TRUE(view("a").state_reason.empty());
}

TEST_F(PoolNodesTest, state_that_was_set_before_the_first_report_holds) {
  world.pool.set_node_state(NodeName{"z"}, exec::NodeState::kDraining, "broken fan");
  EXPECT_TRUE(view("z").name.text.empty()) << "nothing is known of it yet";
  exec::NodeObservation report{NodeName{"z"}, "boot-z", {4000, 1 << 30, 0}, {}};
  world.pool.sync(report, 0, Duration(0), [](const Result<exec::DesiredState>&) {});
  EXPECT_EQ(view("z").state, exec::NodeState::kDraining);
  EXPECT_FALSE(view("z").schedulable);
}

TEST_F(PoolNodesTest, node_whose_agent_leaves_drains_until_the_agent_stays_again) {
  world.pool.set_node_state(NodeName{"a"}, exec::NodeState::kCordoned, "new disks");
  world.agent("a").observation.leaving = true;
  const int before = seen.node_changes;
  world.sync_all();
  EXPECT_EQ(seen.node_changes, before + 1);
  EXPECT_EQ(view("a").state, exec::NodeState::kDraining);
  world.pool.launch(one_rank(1, "a"));
  world.sync_all();
  EXPECT_EQ(seen.lost.size(), 1u) << "a launch that was decided before comes too late";
  world.agent("a").observation.leaving = false;
  world.sync_all();
  EXPECT_EQ(view("a").state, exec::NodeState::kCordoned) << "what the operator wants counts again";
}

TEST_F(PoolNodesTest, rank_is_leased_to_its_node_alone_until_it_is_forgotten) {
  const exec::GangLaunch gang = gang_on(1, {"a", "b"});
  world.pool.launch(gang);
  EXPECT_TRUE(world.pool.holds(NodeName{"a"}, gang.ranks[0].rank));
  EXPECT_FALSE(world.pool.holds(NodeName{"b"}, gang.ranks[0].rank));
  EXPECT_TRUE(world.pool.holds(NodeName{"b"}, gang.ranks[1].rank));
  EXPECT_FALSE(world.pool.holds(NodeName{"b"}, {gang.attempt, 2}));
  world.pool.forget(gang.attempt);
  EXPECT_FALSE(world.pool.holds(NodeName{"a"}, gang.ranks[0].rank));
}

TEST_F(PoolNodesTest, ranks_that_the_node_has_are_told_without_their_launch) {
  exec::GangLaunch launch = one_rank(1, "a");
  launch.ranks[0].argv = {"true"};
  launch.ranks[0].grace = 7s;
  world.pool.launch(launch);
  EXPECT_FALSE(world.desired(launch.ranks[0].rank)->known);
  world.observe(launch.ranks[0].rank);
  const exec::DesiredRank* desired = world.desired(launch.ranks[0].rank);
  EXPECT_TRUE(desired->known);
  EXPECT_TRUE(desired->launch.argv.empty());
  EXPECT_EQ(desired->launch.grace, 7s) << "a stop needs it";
  world.agent("a").observation.ranks.clear();
  EXPECT_FALSE(world.desired(launch.ranks[0].rank)->known) << "the same warden may not have started it yet";
}

class PoolDevicesTest : public PoolNodesTest {
 protected:
  void SetUp() override {
    PoolNodesTest::SetUp();
    for (std::uint32_t index = 0; index < 4; ++index) world.agent("a").observation.facts.gpus.push_back({index, "", "H200", 0});
    world.sync_all();
  }
  exec::GangLaunch asking(std::uint64_t job, std::int64_t milli_gpu) {
    exec::GangLaunch launch = one_rank(job, "a");
    launch.ranks[0].resources.milli_gpu = milli_gpu;
    return launch;
  }
  std::vector<std::uint32_t> devices_of(std::uint64_t job) { return world.desired({{JobId(job), AttemptNumber(1)}, 0})->launch.devices; }
};

using Devices = std::vector<std::uint32_t>;

TEST_F(PoolDevicesTest, ranks_get_devices_of_their_own_and_give_them_back_with_their_end) {
  world.pool.launch(asking(1, 2000));
  world.pool.launch(asking(2, 1000));
  world.pool.launch(asking(3, 0));
  EXPECT_EQ(devices_of(1), (Devices{0, 1}));
  EXPECT_EQ(devices_of(2), (Devices{2}));
  EXPECT_TRUE(devices_of(3).empty());
  world.observe({{JobId(1), AttemptNumber(1)}, 0}, exec::RankExit{});
  world.pool.launch(asking(4, 2000));
  EXPECT_EQ(devices_of(4), (Devices{0, 1}));
}

TEST_F(PoolDevicesTest, devices_that_were_chosen_by_the_launch_stay) {
  exec::GangLaunch launch = asking(1, 1000);
  launch.ranks[0].devices = {3};
  world.pool.launch(launch);
  EXPECT_EQ(devices_of(1), (Devices{3}));
}

TEST_F(PoolDevicesTest, devices_of_running_ranks_are_learnt_from_their_node_after_a_restart) {
  AgentPool next({.lease = 15s}, {.strand = world.strand, .clock = world.clock, .log = world.log});
  next.adopt(asking(1, 1000));
  next.adopt(asking(2, 1000));
  exec::NodeObservation report = world.agent("a").observation;
  exec::RankObservation& running = report.ranks.emplace_back();
  running.rank = {{JobId(1), AttemptNumber(1)}, 0};
  running.phase = exec::RankObservation::Phase::kRunning;
  running.devices = {0};
  exec::DesiredState desired;
  next.sync(report, 0, Duration(0), [&](const Result<exec::DesiredState>& state) { desired = *state; });
  ASSERT_EQ(desired.ranks.size(), 2u);
  EXPECT_TRUE(desired.ranks[0].known);
  EXPECT_EQ(desired.ranks[1].launch.devices, (Devices{1})) << "0 is taken by the rank that runs";
}

TEST_F(PoolNodesTest, node_that_is_heard_of_or_has_ranks_stays_on_the_list) {
  world.sync_all();
  EXPECT_EQ(world.pool.remove_node(NodeName{"a"}).error().id, "node.in_use");
  EXPECT_EQ(world.pool.remove_node(NodeName{"nowhere"}).error().id, "node.unknown");
  world.pool.launch(one_rank(1, "a"));
  world.agent("a").silent = true;
  world.strand.advance(16s);
  EXPECT_FALSE(view("a").ready);
  EXPECT_EQ(world.pool.remove_node(NodeName{"a"}).error().id, "node.has_ranks") << "their loss is not durable yet";
  world.pool.forget(one_rank(1, "a").attempt);
  EXPECT_TRUE(world.pool.check_gone(NodeName{"a"}).ok());
}

TEST_F(PoolNodesTest, node_that_was_taken_off_the_list_comes_back_as_a_new_one) {
  world.agent("a").observation.installation = "first";
  world.sync_all();
  world.pool.set_node_state(NodeName{"a"}, exec::NodeState::kCordoned, "new disks");
  world.agent("a").silent = true;
  world.strand.advance(16s);
  const int before = seen.node_changes;
  ASSERT_TRUE(world.pool.remove_node(NodeName{"a"}).ok());
  EXPECT_EQ(seen.node_changes, before + 1);
  EXPECT_EQ(world.pool.nodes().size(), 1u);
  world.strand.advance(1min);
  EXPECT_EQ(outcome_for("second"), "accepted");
  EXPECT_EQ(view("a").state, exec::NodeState::kReady) << "what was wanted of the one before is forgotten";
}

TEST_F(PoolNodesTest, leaving_node_without_ranks_may_go_and_its_waiting_report_is_answered) {
  exec::NodeObservation report = world.agent("a").observation;
  report.leaving = true;
  report.stamp += 1'000'000;
  std::uint64_t version = 0;
  world.pool.sync(report, 0, Duration(0), [&](const Result<exec::DesiredState>& state) { version = state->version; });
  world.strand.run_ready();
  bool answered = false;
  world.pool.sync(report, version, 5s, [&](const Result<exec::DesiredState>&) { answered = true; });
  world.strand.run_ready();
  ASSERT_FALSE(answered);
  ASSERT_TRUE(world.pool.remove_node(NodeName{"a"}).ok());
  EXPECT_TRUE(answered);
  world.strand.advance(1min);
}

}  // namespace
}  // namespace trainyard::adapters::agent_pool
