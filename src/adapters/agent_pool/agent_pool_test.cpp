#include "adapters/agent_pool/agent_pool.h"

#include <gtest/gtest.h>

#include "adapters/agent_pool/testing/pool_world.h"
#include "exec/testing/execution_backend_contract.h"

namespace trainyard::adapters::agent_pool {
namespace {

using exec::testing::BackendHarness;
using exec::testing::ExecutionBackendContract;
using exec::testing::RecordingObserver;
using testing::one_rank;
using testing::PoolWorld;
using namespace std::chrono_literals;

class PoolHarness final : public BackendHarness {
 public:
  exec::ExecutionBackend& backend() override { return world_.pool; }
  bool wanted(const RankKey& rank) override { return world_.desired(rank) != nullptr; }
  bool stop_asked(const RankKey& rank) override { return wanted(rank) && world_.desired(rank)->stop; }
  std::uint32_t checkpoints_asked(const RankKey& rank) override { return wanted(rank) ? world_.desired(rank)->checkpoint_number : 0; }
  void report_running(const RankKey& rank) override { world_.observe(rank); }
  void report_exit(const RankKey& rank, const exec::RankExit& exit) override { world_.observe(rank, exit); }
  void lose_node(const NodeName& name) override {
    world_.agent(name.text).silent = true;
    world_.pass(25s);
  }
  void settle() override { world_.sync_all(); }

 private:
  PoolWorld world_;
};

INSTANTIATE_TEST_SUITE_P(AgentPool, ExecutionBackendContract, ::testing::Values([] { return std::make_unique<PoolHarness>(); }));

class AgentPoolTest : public ::testing::Test {
 protected:
  void SetUp() override { world.pool.set_observer(seen); }
  /// A sync of node "a" that waits; `answers` counts what came back.
  void wait_for_change(std::uint64_t seen_version, Duration wait) {
    world.pool.sync(world.agent("a").observation, seen_version, wait, [this](Result<exec::DesiredState> state) {
      ++answers;
      last = std::move(state).value();
    });
    world.strand.run_ready();
  }
  std::uint64_t current_version() {
    world.sync_all();
    return world.agent("a").desired.version;
  }

  RecordingObserver seen;
  PoolWorld world;
  int answers = 0;
  exec::DesiredState last;
};

TEST_F(AgentPoolTest, waiting_sync_is_answered_at_once_by_what_is_launched_together) {
  wait_for_change(current_version(), 5s);
  EXPECT_EQ(answers, 0);
  world.pool.launch(one_rank(1, "a"));
  world.pool.launch(one_rank(2, "a"));
  world.strand.run_ready();
  EXPECT_EQ(answers, 1);
  ASSERT_EQ(last.ranks.size(), 2u);
  EXPECT_EQ(last.ranks[0].launch.rank.attempt.job, JobId(1));
  EXPECT_EQ(last.ranks[1].launch.rank.attempt.job, JobId(2));
}

TEST_F(AgentPoolTest, waiting_sync_is_not_answered_by_changes_of_other_nodes) {
  wait_for_change(current_version(), 5s);
  world.pool.launch(one_rank(1, "b"));
  world.strand.run_ready();
  EXPECT_EQ(answers, 0);
}

TEST_F(AgentPoolTest, waiting_sync_is_answered_after_its_wait_and_before_a_third_of_the_lease) {
  wait_for_change(current_version(), 2s);
  world.strand.advance(1900ms);
  EXPECT_EQ(answers, 0);
  world.strand.advance(200ms);
  EXPECT_EQ(answers, 1);
  wait_for_change(last.version, 1h);
  world.strand.advance(5100ms);
  EXPECT_EQ(answers, 2);
}

TEST_F(AgentPoolTest, waiting_syncs_are_released_when_asked) {
  wait_for_change(current_version(), 5s);
  wait_for_change(current_version(), 5s);
  world.pool.release_waiting();
  EXPECT_EQ(answers, 2);
}

TEST_F(AgentPoolTest, node_that_reports_in_time_keeps_its_ranks) {
  world.pool.launch(one_rank(1, "a"));
  world.observe(one_rank(1, "a").ranks[0].rank);
  world.pass(2min);
  EXPECT_TRUE(seen.lost.empty());
}

TEST_F(AgentPoolTest, wall_clock_that_jumps_loses_nothing) {
  world.pool.launch(one_rank(1, "a"));
  world.clock.step_wall_clock(1h);
  world.pass(3s);
  world.clock.step_wall_clock(-2h);
  world.pass(3s);
  EXPECT_TRUE(seen.lost.empty());
}

TEST_F(AgentPoolTest, silent_node_loses_its_ranks_after_the_lease_and_drops_them_when_it_returns) {
  world.pool.launch(one_rank(1, "a"));
  world.observe(one_rank(1, "a").ranks[0].rank);
  world.agent("a").silent = true;
  world.pass(14s);
  EXPECT_TRUE(seen.lost.empty());
  world.pass(7s);
  EXPECT_EQ(seen.lost.size(), 1u);
  EXPECT_TRUE(world.pool.holds({JobId(1), AttemptNumber(1)})) << "until it is forgotten";
  world.agent("a").silent = false;
  world.sync_all();
  ASSERT_EQ(world.agent("a").desired.ranks.size(), 1u) << "nothing is killed before its loss is durable";
  EXPECT_TRUE(world.agent("a").desired.ranks[0].given_up) << "nor started any more";
  world.observe(one_rank(1, "a").ranks[0].rank, exec::RankExit{.code = 1});
  EXPECT_TRUE(seen.exits.empty()) << "what the node says of it counts no more";
  world.pool.forget({JobId(1), AttemptNumber(1)});
  world.sync_all();
  EXPECT_TRUE(world.agent("a").desired.ranks.empty()) << "the node is to kill what it still has";
}

TEST_F(AgentPoolTest, rank_that_another_warden_does_not_have_is_lost) {
  world.pool.launch(one_rank(1, "a"));
  const RankKey rank = one_rank(1, "a").ranks[0].rank;
  world.observe(rank);
  world.agent("a").observation.ranks.clear();
  world.sync_all();
  EXPECT_TRUE(seen.lost.empty()) << "the same warden may still be about to start it";
  world.agent("a").observation.boot_id = "next";
  world.sync_all();
  EXPECT_EQ(seen.lost, (std::set<RankKey>{rank}));
}

TEST_F(AgentPoolTest, report_that_a_later_one_overtook_says_nothing) {
  const exec::NodeObservation early = world.agent("a").observation;
  world.pool.launch(one_rank(1, "a"));
  const RankKey rank = one_rank(1, "a").ranks[0].rank;
  world.agent("a").observation.boot_id = "next";
  world.agent("a").observation.stamp = 2;
  world.observe(rank);
  exec::NodeObservation late = early;
  late.stamp = 1;
  exec::DesiredState answered;
  world.pool.sync(late, 0, Duration(0), [&](const Result<exec::DesiredState>& state) { answered = *state; });
  world.strand.run_ready();
  EXPECT_TRUE(seen.lost.empty()) << "the warden before does not have what the present one runs";
  EXPECT_EQ(answered.ranks.size(), 1u) << "it is answered all the same";
  late.host_boot = "anew";
  world.pool.sync(late, 0, Duration(0), [](const Result<exec::DesiredState>&) {});
  world.strand.run_ready();
  EXPECT_EQ(seen.lost.size(), 1u) << "a host that started anew counts from the beginning";
}

TEST_F(AgentPoolTest, rank_that_never_started_is_left_to_the_next_warden) {
  world.pool.launch(one_rank(1, "a"));
  world.agent("a").observation.boot_id = "next";
  world.sync_all();
  EXPECT_TRUE(seen.lost.empty());
  EXPECT_EQ(world.agent("a").desired.ranks.size(), 1u);
}

TEST_F(AgentPoolTest, versions_grow_over_restarts_of_the_server) {
  const std::uint64_t before = current_version();
  world.clock.advance(1s);
  AgentPool next({.lease = 15s}, {.strand = world.strand, .clock = world.clock, .log = world.log});
  std::uint64_t after = 0;
  next.sync(world.agent("a").observation, before, Duration(0), [&](Result<exec::DesiredState> state) { after = state->version; });
  EXPECT_GT(after, before);
}

class RestartedPoolTest : public ::testing::Test {
 protected:
  void SetUp() override { world.pool.set_observer(seen); }
  RecordingObserver seen;
  PoolWorld world{std::vector<std::string>{}};
  exec::NodeObservation report{NodeName{"a"}, "boot", {4000, 1 << 30, 0}, {}};
};

TEST_F(RestartedPoolTest, adopted_rank_that_had_run_and_is_gone_is_lost) {
  exec::GangLaunch launch = one_rank(1, "a");
  launch.seen_running = {true};
  world.pool.adopt(launch);
  world.pool.sync(report, 0, Duration(0), [](const Result<exec::DesiredState>&) {});
  world.strand.run_ready();
  EXPECT_EQ(seen.lost.size(), 1u);
}

TEST_F(RestartedPoolTest, adopted_rank_that_had_run_and_still_runs_goes_on) {
  exec::GangLaunch launch = one_rank(1, "a");
  launch.seen_running = {true};
  world.pool.adopt(launch);
  report.ranks.push_back(
      {.rank = launch.ranks[0].rank, .phase = exec::RankObservation::Phase::kRunning, .pid = 1, .started_at = {}, .exit = {}});
  world.pool.sync(report, 0, Duration(0), [](const Result<exec::DesiredState>&) {});
  world.strand.run_ready();
  EXPECT_TRUE(seen.lost.empty());
  EXPECT_EQ(seen.running.size(), 1u);
}

TEST_F(RestartedPoolTest, adopted_node_has_a_lease_more_to_come_back) {
  world.pool.adopt(one_rank(1, "a"));
  EXPECT_TRUE(world.pool.nodes().empty()) << "its capacity is not known yet";
  world.strand.advance(29s);
  EXPECT_TRUE(seen.lost.empty());
  world.strand.advance(7s);
  EXPECT_EQ(seen.lost.size(), 1u);
}

}  // namespace
}  // namespace trainyard::adapters::agent_pool
