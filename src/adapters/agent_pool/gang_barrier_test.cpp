// Gangs on several nodes: nobody starts before all are ready, and nobody is left waiting.
#include <gtest/gtest.h>

#include "adapters/agent_pool/testing/pool_world.h"
#include "exec/testing/recording_observer.h"

namespace trainyard::adapters::agent_pool {
namespace {

using exec::testing::RecordingObserver;
using testing::gang_on;
using testing::PoolWorld;
using namespace std::chrono_literals;

class GangBarrierTest : public ::testing::Test {
 protected:
  void SetUp() override { world.pool.set_observer(seen); }
  const exec::DesiredRank& desired(std::size_t index) {
    const exec::DesiredRank* rank = world.desired(key(index));
    static const exec::DesiredRank none;
    EXPECT_NE(rank, nullptr) << index;
    return rank == nullptr ? none : *rank;
  }
  RankKey key(std::size_t index) const { return gang.ranks.at(index).rank; }

  RecordingObserver seen;
  PoolWorld world;
  exec::GangLaunch gang = gang_on(1, {"a", "b"});
};

TEST_F(GangBarrierTest, gang_on_two_nodes_is_released_when_both_ranks_are_prepared) {
  world.pool.launch(gang);
  EXPECT_FALSE(desired(0).released);
  EXPECT_FALSE(desired(1).released);
  world.prepare(key(0), 20'123);
  EXPECT_FALSE(desired(0).released) << "the other is not ready";
  world.prepare(key(1));
  for (const std::size_t rank : {0u, 1u}) {
    EXPECT_TRUE(desired(rank).released);
    EXPECT_FALSE(desired(rank).known) << "the start needs the launch";
    EXPECT_EQ(desired(rank).launch.env.at("MASTER_ADDR"), "10.0.0.a");
    EXPECT_EQ(desired(rank).launch.env.at("MASTER_PORT"), "20123");
  }
  EXPECT_TRUE(seen.running.empty()) << "prepared is not running";
  world.observe(key(0));
  EXPECT_EQ(seen.running.size(), 1u);
}

TEST_F(GangBarrierTest, release_answers_syncs_that_wait_on_every_node) {
  world.pool.launch(gang);
  world.sync_all();
  int answers = 0;
  bool released = false;
  world.pool.sync(world.agent("a").observation, world.agent("a").desired.version, 5s, [&](const Result<exec::DesiredState>& state) {
    ++answers;
    released = state->ranks.at(0).released;
  });
  world.prepare(key(1));
  world.agent("a").observation.ranks.clear();
  EXPECT_EQ(answers, 0);
  world.prepare(key(0), 20'123);
  EXPECT_EQ(answers, 1);
  EXPECT_TRUE(released);
}

TEST_F(GangBarrierTest, gang_on_one_node_and_single_ranks_wait_for_nobody) {
  world.pool.launch(gang_on(2, {"a", "a"}));
  world.pool.launch(gang_on(3, {"b"}));
  EXPECT_TRUE(world.desired({{JobId(2), AttemptNumber(1)}, 1})->released);
  EXPECT_TRUE(world.desired({{JobId(3), AttemptNumber(1)}, 0})->released);
  EXPECT_EQ(world.desired({{JobId(2), AttemptNumber(1)}, 1})->launch.env.at("MASTER_ADDR"), "127.0.0.1");
}

TEST_F(GangBarrierTest, gang_that_is_not_ready_in_time_fails_as_one_and_is_withdrawn) {
  world.pool.launch(gang);
  world.prepare(key(0), 20'123);
  world.pass(29s);
  EXPECT_TRUE(seen.exits.empty());
  world.pass(2s);
  ASSERT_EQ(seen.exits.size(), 2u);
  EXPECT_TRUE(seen.exits.at(key(0)).launch_error.starts_with("gang.barrier: ")) << seen.exits.at(key(0)).launch_error;
  EXPECT_NE(seen.exits.at(key(1)).launch_error.find("rank 1 on node b"), std::string::npos) << seen.exits.at(key(1)).launch_error;
  EXPECT_EQ(seen.exits.at(key(1)).launch_error.find("rank 0"), std::string::npos) << "that one was ready";
  EXPECT_TRUE(seen.lost.empty());
  EXPECT_TRUE(desired(0).stop) << "what was prepared goes";
  EXPECT_TRUE(desired(1).given_up) << "what was not is not started any more";
  world.prepare(key(1));
  EXPECT_FALSE(desired(1).released) << "too late";
}

TEST_F(GangBarrierTest, rank_that_cannot_be_prepared_ends_and_the_others_are_not_released) {
  world.pool.launch(gang);
  exec::RankExit exit{.code = 127};
  exit.launch_error = "launch.no_program: not here";
  world.observe(key(1), exit);
  world.prepare(key(0), 20'123);
  EXPECT_EQ(seen.exits.at(key(1)).launch_error, exit.launch_error);
  EXPECT_FALSE(desired(0).released);
}

TEST_F(GangBarrierTest, gang_that_is_stopped_while_it_waits_is_never_released) {
  world.pool.launch(gang);
  world.prepare(key(0), 20'123);
  world.pool.stop(gang.attempt, exec::StopReason::kCancel, Duration::max());
  world.prepare(key(1));
  EXPECT_FALSE(desired(0).released);
  EXPECT_TRUE(desired(0).stop);
  world.pass(1min);
  EXPECT_TRUE(seen.exits.empty()) << "the nodes report the ends, not the barrier";
}

TEST_F(GangBarrierTest, gang_that_is_forgotten_while_it_waits_reports_nothing) {
  world.pool.launch(gang);
  world.pool.forget(gang.attempt);
  world.pass(1min);
  EXPECT_TRUE(seen.exits.empty());
}

TEST_F(GangBarrierTest, rank_that_its_warden_lost_while_it_was_prepared_is_prepared_again) {
  world.pool.launch(gang);
  world.prepare(key(0), 20'123);
  world.agent("a").observation.ranks.clear();
  world.agent("a").observation.boot_id = "next";
  world.sync_all();
  EXPECT_TRUE(seen.lost.empty()) << "it had not started";
  world.prepare(key(1));
  EXPECT_FALSE(desired(1).released);
  world.prepare(key(0), 20'456);
  EXPECT_EQ(desired(1).launch.env.at("MASTER_PORT"), "20456");
}

TEST_F(GangBarrierTest, node_that_tells_no_address_fails_the_gang_with_the_reason) {
  world.agent("a").observation.facts.address.clear();
  world.pool.launch(gang);
  world.prepare(key(0), 20'123);
  world.prepare(key(1));
  ASSERT_EQ(seen.exits.size(), 2u);
  EXPECT_NE(seen.exits.at(key(0)).launch_error.find("--address"), std::string::npos);
}

/// After a restart of the server nothing is known but what the nodes report.
class AdoptedGangTest : public ::testing::Test {
 protected:
  using Phase = exec::RankObservation::Phase;
  void SetUp() override { world.pool.set_observer(seen); }
  void adopt(std::vector<bool> seen_running) {
    gang.seen_running = std::move(seen_running);
    world.pool.adopt(gang);
  }
  RankKey key(std::size_t index) const { return gang.ranks.at(index).rank; }
  const exec::DesiredRank& desired(const std::string& node) { return world.agent(node).desired.ranks.at(0); }

  RecordingObserver seen;
  PoolWorld world{{"a", "b"}, false};
  exec::GangLaunch gang = gang_on(1, {"a", "b"});
};

TEST_F(AdoptedGangTest, gang_that_runs_goes_on_without_a_barrier) {
  adopt({true, true});
  world.has("a", key(0), Phase::kRunning, 20'123);
  world.has("b", key(1), Phase::kRunning);
  world.pass(3min);
  EXPECT_TRUE(seen.exits.empty());
  EXPECT_EQ(seen.running.size(), 2u);
  EXPECT_FALSE(desired("a").stop);
}

TEST_F(AdoptedGangTest, gang_of_which_a_part_was_released_is_released_with_the_port_that_part_knows) {
  adopt({true, false});
  world.has("a", key(0), Phase::kRunning, 20'123);
  world.has("b", key(1), Phase::kPrepared);
  world.sync_all();
  EXPECT_TRUE(desired("b").released);
  EXPECT_EQ(desired("b").launch.env.at("MASTER_PORT"), "20123");
}

TEST_F(AdoptedGangTest, rank_that_has_ended_well_meanwhile_lets_the_others_start) {
  adopt({true, false});
  world.has("a", key(0), Phase::kExited, 20'123);
  world.agent("a").observation.ranks.back().exit = exec::RankExit{};
  world.has("b", key(1), Phase::kPrepared);
  world.sync_all();
  EXPECT_TRUE(desired("b").released) << "it had been released with the other";
  EXPECT_EQ(desired("b").launch.env.at("MASTER_PORT"), "20123");
}

TEST_F(AdoptedGangTest, gang_that_nobody_had_released_waits_for_all_of_it) {
  adopt({false, false});
  world.has("a", key(0), Phase::kPrepared, 20'123);
  world.sync_all();
  EXPECT_FALSE(desired("a").released);
  EXPECT_FALSE(desired("b").released) << "not even prepared yet";
  world.has("b", key(1), Phase::kPrepared);
  world.sync_all();
  world.sync_all();
  EXPECT_TRUE(desired("a").released);
  EXPECT_TRUE(desired("b").released);
}

TEST_F(AdoptedGangTest, deadline_leaves_a_lease_more_for_nodes_to_come_back_and_spares_what_runs) {
  adopt({true, false});
  world.has("a", key(0), Phase::kRunning, 20'123);
  world.pass(59s);
  EXPECT_TRUE(seen.exits.empty());
  world.pass(2s);
  EXPECT_EQ(seen.exits.size(), 1u);
  EXPECT_TRUE(seen.exits.contains(key(1)));
  EXPECT_FALSE(desired("a").stop) << "whoever owns the gang stops it";
}

}  // namespace
}  // namespace trainyard::adapters::agent_pool
