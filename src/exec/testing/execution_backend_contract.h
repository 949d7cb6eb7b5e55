#pragma once
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "exec/execution_backend.h"
#include "exec/testing/recording_observer.h"

namespace trainyard::exec::testing {

/// Drives the nodes behind one backend. Two nodes, "a" and "b", of 4 CPUs each, are there from the start.
class BackendHarness {
 public:
  virtual ~BackendHarness() = default;
  virtual ExecutionBackend& backend() = 0;
  virtual bool wanted(const RankKey& rank) = 0;  ///< The node was told to have it and not to drop it.
  virtual bool stop_asked(const RankKey& rank) = 0;
  virtual std::uint32_t checkpoints_asked(const RankKey& rank) = 0;
  virtual void report_running(const RankKey& rank) = 0;
  virtual void report_exit(const RankKey& rank, const RankExit& exit) = 0;
  virtual void lose_node(const NodeName& name) = 0;  ///< Until its lease has run out.
  virtual void settle() = 0;                         ///< Everything that is under way arrives.
};

/// What every ExecutionBackend does. Instantiate with INSTANTIATE_TEST_SUITE_P and a factory.
class ExecutionBackendContract : public ::testing::TestWithParam<std::function<std::unique_ptr<BackendHarness>()>> {
 protected:
  void SetUp() override {
    harness = GetParam()();
    backend().set_observer(seen);
    harness->settle();
  }
  ExecutionBackend& backend() { return harness->backend(); }
  static GangLaunch gang(std::uint64_t job, const std::vector<std::string>& nodes, std::uint32_t attempt = 1) {
    GangLaunch launch{.attempt = {JobId(job), AttemptNumber(attempt)}, .nodes = {}, .ranks = {}, .seen_running = {}};
    for (std::uint32_t index = 0; index < nodes.size(); ++index) {
      RankLaunch rank;
      rank.rank = {launch.attempt, index};
      rank.argv = {"true"};
      rank.resources = {1000, 1 << 20, 0};
      launch.nodes.push_back(NodeName{nodes[index]});
      launch.ranks.push_back(rank);
    }
    return launch;
  }
  static RankKey rank_of(const GangLaunch& launch, std::size_t index) { return launch.ranks[index].rank; }

  std::unique_ptr<BackendHarness> harness;
  RecordingObserver seen;
};

TEST_P(ExecutionBackendContract, nodes_are_listed_with_their_capacity) {
  const std::vector<NodeView> nodes = backend().nodes();
  ASSERT_EQ(nodes.size(), 2u);
  for (const NodeView& node : nodes) {
    EXPECT_TRUE(node.ready);
    EXPECT_EQ(node.capacity.milli_cpu, 4000);
  }
}

TEST_P(ExecutionBackendContract, launched_ranks_run_and_end_as_their_nodes_say) {
  const GangLaunch launch = gang(1, {"a", "b"});
  backend().launch(launch);
  harness->settle();
  EXPECT_TRUE(seen.running.empty()) << "nobody has started anything yet";
  for (const RankLaunch& rank : launch.ranks) {
    EXPECT_TRUE(harness->wanted(rank.rank));
    harness->report_running(rank.rank);
  }
  harness->settle();
  EXPECT_EQ(seen.running.size(), 2u);
  harness->report_exit(rank_of(launch, 1), {.code = 3});
  harness->settle();
  ASSERT_TRUE(seen.exits.contains(rank_of(launch, 1)));
  EXPECT_EQ(seen.exits.at(rank_of(launch, 1)).code, 3);
  EXPECT_FALSE(seen.exits.contains(rank_of(launch, 0)));
  EXPECT_TRUE(seen.lost.empty());
}

TEST_P(ExecutionBackendContract, repeated_launch_is_one_launch) {
  const GangLaunch launch = gang(1, {"a"});
  backend().launch(launch);
  harness->report_running(rank_of(launch, 0));
  backend().stop(launch.attempt, StopReason::kCancel, Duration::max());
  backend().launch(launch);
  harness->settle();
  EXPECT_TRUE(harness->stop_asked(rank_of(launch, 0))) << "a launch that comes again takes nothing back";
}

TEST_P(ExecutionBackendContract, stop_reaches_every_rank_of_the_attempt_and_no_other) {
  const GangLaunch first = gang(1, {"a", "b"});
  const GangLaunch second = gang(2, {"a"});
  backend().launch(first);
  backend().launch(second);
  backend().stop(first.attempt, StopReason::kPreempt, Duration::max());
  backend().stop(first.attempt, StopReason::kPreempt, Duration::max());
  harness->settle();
  EXPECT_TRUE(harness->stop_asked(rank_of(first, 0)));
  EXPECT_TRUE(harness->stop_asked(rank_of(first, 1)));
  EXPECT_FALSE(harness->stop_asked(rank_of(second, 0)));
}

TEST_P(ExecutionBackendContract, each_checkpoint_request_is_passed_on) {
  const GangLaunch launch = gang(1, {"a"});
  backend().launch(launch);
  EXPECT_EQ(harness->checkpoints_asked(rank_of(launch, 0)), 0u);
  backend().request_checkpoint(launch.attempt);
  backend().request_checkpoint(launch.attempt);
  harness->settle();
  EXPECT_EQ(harness->checkpoints_asked(rank_of(launch, 0)), 2u);
}

TEST_P(ExecutionBackendContract, forgotten_attempt_is_dropped_by_its_nodes_and_reports_nothing) {
  const GangLaunch launch = gang(1, {"a"});
  backend().launch(launch);
  harness->report_running(rank_of(launch, 0));
  harness->settle();
  backend().forget(launch.attempt);
  backend().forget(launch.attempt);
  EXPECT_FALSE(harness->wanted(rank_of(launch, 0)));
  harness->report_exit(rank_of(launch, 0), {.code = 1});
  harness->settle();
  EXPECT_TRUE(seen.exits.empty());
  EXPECT_TRUE(seen.lost.empty());
}

TEST_P(ExecutionBackendContract, calls_about_unknown_attempts_change_nothing) {
  const AttemptKey unknown{JobId(99), AttemptNumber(1)};
  backend().stop(unknown, StopReason::kDrain, Duration::max());
  backend().request_checkpoint(unknown);
  backend().forget(unknown);
  harness->settle();
  EXPECT_TRUE(seen.exits.empty());
  EXPECT_TRUE(seen.lost.empty());
}

TEST_P(ExecutionBackendContract, ranks_of_a_lost_node_are_lost_and_the_others_go_on) {
  const GangLaunch launch = gang(1, {"a", "b"});
  backend().launch(launch);
  harness->report_running(rank_of(launch, 0));
  harness->report_running(rank_of(launch, 1));
  harness->settle();
  harness->lose_node(NodeName{"a"});
  harness->settle();
  EXPECT_EQ(seen.lost, (std::set<RankKey>{rank_of(launch, 0)}));
  for (const NodeView& node : backend().nodes()) EXPECT_EQ(node.ready, node.name.text == "b");
  EXPECT_TRUE(harness->wanted(rank_of(launch, 1)));
}

TEST_P(ExecutionBackendContract, launch_on_a_lost_node_is_reported_lost) {
  harness->lose_node(NodeName{"a"});
  harness->settle();
  const GangLaunch launch = gang(1, {"a"});
  backend().launch(launch);
  EXPECT_TRUE(seen.lost.empty()) << "never from inside the call";
  harness->settle();
  EXPECT_EQ(seen.lost, (std::set<RankKey>{rank_of(launch, 0)}));
}

TEST_P(ExecutionBackendContract, adopted_attempt_that_was_never_seen_is_wanted_like_a_launch) {
  const GangLaunch launch = gang(1, {"b"});
  backend().adopt(launch);
  harness->settle();
  EXPECT_TRUE(harness->wanted(rank_of(launch, 0)));
  harness->report_running(rank_of(launch, 0));
  harness->settle();
  EXPECT_TRUE(seen.running.contains(rank_of(launch, 0)));
}

}  // namespace trainyard::exec::testing
