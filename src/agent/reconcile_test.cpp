#include "agent/reconcile.h"

#include <gtest/gtest.h>

namespace trainyard::agent {
namespace {

using Phase = exec::RankObservation::Phase;

RankKey rank(std::uint64_t job, std::uint32_t index = 0) { return {{JobId(job), AttemptNumber(1)}, index}; }

exec::WardenRank seen(RankKey key, Phase phase) {
  exec::WardenRank found;
  found.observation.rank = key;
  found.observation.phase = phase;
  return found;
}

exec::DesiredRank wanted(RankKey key) {
  exec::DesiredRank desired;
  desired.launch.rank = key;
  return desired;
}

TEST(Reconcile, desired_rank_that_is_absent_is_started) {
  const ReconcileActions actions = plan_reconcile({}, {}, {1, {wanted(rank(1))}});
  ASSERT_EQ(actions.start.size(), 1u);
  EXPECT_EQ(actions.start[0].rank, rank(1));
}

TEST(Reconcile, desired_rank_that_runs_is_left_alone) {
  const ReconcileActions actions = plan_reconcile({seen(rank(1), Phase::kRunning)}, {}, {1, {wanted(rank(1))}});
  EXPECT_TRUE(actions.start.empty() && actions.stop.empty() && actions.forget.empty());
}

TEST(Reconcile, rank_that_the_server_gave_up_is_neither_started_nor_killed) {
  exec::DesiredRank given_up = wanted(rank(1));
  given_up.given_up = true;
  EXPECT_TRUE(plan_reconcile({}, {}, {1, {given_up}}).start.empty());
  const ReconcileActions there = plan_reconcile({seen(rank(1), Phase::kRunning)}, {}, {1, {given_up}});
  EXPECT_TRUE(there.stop.empty() && there.forget.empty());
  given_up.stop = true;
  EXPECT_TRUE(plan_reconcile({}, {}, {1, {given_up}}).never_started.empty());
  EXPECT_EQ(plan_reconcile({seen(rank(1), Phase::kRunning)}, {}, {1, {given_up}}).stop.size(), 1u);
}

TEST(Reconcile, rank_that_is_to_stop_gets_its_grace_once) {
  exec::DesiredRank desired = wanted(rank(1));
  desired.stop = true;
  desired.launch.grace = Duration(5'000'000);
  exec::WardenRank running = seen(rank(1), Phase::kRunning);
  const ReconcileActions first = plan_reconcile({running}, {}, {1, {desired}});
  ASSERT_EQ(first.stop.size(), 1u);
  EXPECT_EQ(first.stop[0].grace, Duration(5'000'000));
  running.stopping = true;
  EXPECT_TRUE(plan_reconcile({running}, {}, {1, {desired}}).stop.empty());
}

TEST(Reconcile, rank_that_is_to_stop_before_it_started_never_starts) {
  exec::DesiredRank desired = wanted(rank(1));
  desired.stop = true;
  const ReconcileActions actions = plan_reconcile({}, {}, {1, {desired}});
  EXPECT_TRUE(actions.start.empty());
  EXPECT_EQ(actions.never_started, std::vector<RankKey>{rank(1)});
}

TEST(Reconcile, rank_whose_start_is_on_its_way_is_neither_started_again_nor_called_never_started) {
  exec::DesiredRank desired = wanted(rank(1));
  EXPECT_TRUE(plan_reconcile({}, {rank(1)}, {1, {desired}}).start.empty());
  desired.stop = true;
  EXPECT_TRUE(plan_reconcile({}, {rank(1)}, {1, {desired}}).never_started.empty());
}

TEST(Reconcile, rank_that_nobody_wants_is_killed_and_then_forgotten) {
  const ReconcileActions killed = plan_reconcile({seen(rank(1), Phase::kRunning)}, {}, {1, {}});
  ASSERT_EQ(killed.stop.size(), 1u);
  EXPECT_EQ(killed.stop[0].grace, Duration(0));
  const ReconcileActions forgotten = plan_reconcile({seen(rank(1), Phase::kExited)}, {}, {1, {}});
  EXPECT_EQ(forgotten.forget, std::vector<RankKey>{rank(1)});
}

TEST(Reconcile, exited_rank_stays_until_the_server_forgets_it) {
  const ReconcileActions actions = plan_reconcile({seen(rank(1), Phase::kExited)}, {}, {1, {wanted(rank(1))}});
  EXPECT_TRUE(actions.start.empty() && actions.stop.empty() && actions.forget.empty());
}

TEST(Reconcile, rank_that_is_not_released_is_prepared_and_started_by_the_release) {
  exec::DesiredRank desired = wanted(rank(1));
  desired.released = false;
  const ReconcileActions first = plan_reconcile({}, {}, {1, {desired}});
  EXPECT_TRUE(first.start.empty());
  ASSERT_EQ(first.prepare.size(), 1u);
  EXPECT_TRUE(plan_reconcile({}, {rank(1)}, {1, {desired}}).prepare.empty()) << "it is on its way";
  const exec::WardenRank prepared = seen(rank(1), Phase::kPrepared);
  const ReconcileActions waiting = plan_reconcile({prepared}, {}, {1, {desired}});
  EXPECT_TRUE(waiting.start.empty() && waiting.prepare.empty() && waiting.stop.empty());
  desired.released = true;
  EXPECT_EQ(plan_reconcile({prepared}, {}, {1, {desired}}).start.size(), 1u);
  EXPECT_TRUE(plan_reconcile({prepared}, {rank(1)}, {1, {desired}}).start.empty()) << "the start is on its way";
}

TEST(Reconcile, prepared_rank_is_stopped_and_never_started_when_it_is_to_stop_or_unwanted) {
  exec::DesiredRank desired = wanted(rank(1));
  desired.stop = true;
  const exec::WardenRank prepared = seen(rank(1), Phase::kPrepared);
  const ReconcileActions stopped = plan_reconcile({prepared}, {}, {1, {desired}});
  EXPECT_EQ(stopped.stop.size(), 1u);
  EXPECT_TRUE(stopped.start.empty());
  EXPECT_EQ(plan_reconcile({prepared}, {}, {1, {}}).stop.size(), 1u);
}

TEST(Reconcile, rank_that_the_server_knew_to_be_here_and_is_gone_is_left_to_the_next_report) {
  exec::DesiredRank desired = wanted(rank(1));
  desired.known = true;
  EXPECT_TRUE(plan_reconcile({}, {}, {1, {desired}}).start.empty());
  desired.released = false;
  EXPECT_TRUE(plan_reconcile({}, {}, {1, {desired}}).prepare.empty());
  desired.stop = true;
  EXPECT_TRUE(plan_reconcile({}, {}, {1, {desired}}).never_started.empty());
}

TEST(Reconcile, checkpoint_request_is_delivered_once_by_number) {
  exec::DesiredRank desired = wanted(rank(1));
  desired.checkpoint = true;
  desired.checkpoint_number = 2;
  exec::WardenRank running = seen(rank(1), Phase::kRunning);
  running.checkpoint_number = 1;
  EXPECT_EQ(plan_reconcile({running}, {}, {1, {desired}}).checkpoint.size(), 1u);
  running.checkpoint_number = 2;
  EXPECT_TRUE(plan_reconcile({running}, {}, {1, {desired}}).checkpoint.empty());
}

}  // namespace
}  // namespace trainyard::agent
