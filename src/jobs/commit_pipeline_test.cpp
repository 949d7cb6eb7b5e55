#include "jobs/commit_pipeline.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "base/testing/manual_executor.h"
#include "store/testing/fake_job_ledger.h"
#include "store/testing/faulty_job_ledger.h"

namespace trainyard::jobs {
namespace {

using Order = std::vector<std::string>;

/// A pipeline whose changes are numbered jobs, over a ledger that answers when told.
class CommitPipelineTest : public ::testing::Test {
 protected:
  void apply(std::uint64_t job) {
    applied.push_back(job);
    pipeline.changed();
  }
  void release(const std::string& name) {
    pipeline.after_commit([this, name] { order.push_back(name); });
  }
  store::LedgerBatch collect() {
    store::LedgerBatch batch;
    for (const std::uint64_t job : std::exchange(applied, {})) batch.jobs.push_back({JobId(job), true, {}, "{}"});
    order.push_back("collect " + std::to_string(batch.jobs.size()));
    return batch;
  }
  /// The ledger answers the commit that waits, and the strand hears it.
  void answer() {
    ASSERT_TRUE(ledger.release());
    strand.run_ready();
  }

  trainyard::testing::FakeClock clock;
  trainyard::testing::ManualExecutor strand{clock};
  store::testing::FakeJobLedger ledger;
  store::testing::FaultyJobLedger faulty{ledger};
  std::vector<std::uint64_t> applied;
  Order order;
  CommitPipeline pipeline{
      faulty, strand, {[this] { return collect(); }, [this](const Error& error) { order.push_back("fatal " + error.id); }}};
};

TEST_F(CommitPipelineTest, release_without_changes_runs_at_once) {
  release("a");
  EXPECT_EQ(order, (Order{"a"}));
  EXPECT_EQ(ledger.commit_count(), 0u);
}

TEST_F(CommitPipelineTest, release_waits_for_the_commit_of_what_was_applied_before_it) {
  ledger.hold_commits();
  apply(1);
  release("a");
  strand.run_ready();
  EXPECT_EQ(order, (Order{"collect 1"}));
  EXPECT_TRUE(ledger.commit_waits());
  answer();
  EXPECT_EQ(order, (Order{"collect 1", "a"}));
}

TEST_F(CommitPipelineTest, changes_of_one_turn_of_the_strand_share_a_batch) {
  ledger.hold_commits();
  apply(1);
  apply(2);
  strand.post([this] { apply(3); });
  strand.run_ready();
  EXPECT_EQ(ledger.waiting_batch().jobs.size(), 2u) << "the third came after the commit had begun";
  answer();
  EXPECT_EQ(ledger.waiting_batch().jobs.size(), 1u);
}

TEST_F(CommitPipelineTest, changes_during_a_commit_gather_into_the_next_batch) {
  ledger.hold_commits();
  apply(1);
  release("a");
  strand.run_ready();
  apply(2);
  release("b");
  apply(3);
  release("c");
  strand.run_ready();
  EXPECT_EQ(order, (Order{"collect 1"})) << "one commit is in flight at most";
  answer();
  EXPECT_EQ(order, (Order{"collect 1", "collect 2", "a"})) << "the next commit starts before the releases go out";
  answer();
  EXPECT_EQ(order, (Order{"collect 1", "collect 2", "a", "b", "c"}));
  EXPECT_EQ(ledger.commit_count(), 2u);
}

TEST_F(CommitPipelineTest, release_that_comes_during_a_commit_waits_for_it_even_without_changes) {
  ledger.hold_commits();
  apply(1);
  strand.run_ready();
  release("read");
  EXPECT_EQ(order, (Order{"collect 1"}));
  answer();
  EXPECT_EQ(order, (Order{"collect 1", "read"}));
  release("later");
  EXPECT_EQ(order.back(), "later");
}

TEST_F(CommitPipelineTest, release_may_apply_and_wait_again) {
  ledger.hold_commits();
  apply(1);
  pipeline.after_commit([this] {
    order.push_back("first");
    apply(2);
    release("second");
  });
  strand.run_ready();
  answer();
  EXPECT_EQ(order, (Order{"collect 1", "first", "collect 1"}));
  answer();
  EXPECT_EQ(order.back(), "second");
}

TEST_F(CommitPipelineTest, failed_commit_releases_nothing_any_more) {
  ledger.hold_commits();
  faulty.fault_commit(2, store::testing::CommitFault::kFails);
  apply(1);
  release("a");
  strand.run_ready();
  apply(2);
  release("b");
  answer();
  strand.run_ready();
  EXPECT_EQ(order, (Order{"collect 1", "collect 1", "a", "fatal ledger.injected"}));
  release("c");
  apply(3);
  release("d");
  strand.run_ready();
  EXPECT_EQ(order.size(), 4u) << "neither releases nor commits nor a second report follow";
  EXPECT_EQ(ledger.commit_count(), 1u);
}

TEST_F(CommitPipelineTest, answer_that_is_lost_releases_nothing) {
  ledger.hold_commits();
  apply(1);
  release("a");
  strand.run_ready();
  EXPECT_TRUE(ledger.lose_answer());
  strand.run_ready();
  EXPECT_EQ(order, (Order{"collect 1"}));
}

/// Releases come in order, each exactly once, and never before everything applied before them is durable.
TEST_F(CommitPipelineTest, random_traffic_keeps_order_and_durability) {
  SCOPED_TRACE("seed 3");
  SeededRng rng(3);
  ledger.hold_commits();
  std::uint64_t last_applied = 0;
  std::vector<std::uint64_t> released;
  std::uint64_t asked = 0;
  for (int i = 0; i < 5000; ++i) {
    const std::uint64_t choice = rng.below(5);
    if (choice == 0) apply(++last_applied);
    if (choice == 1 || choice == 2) {
      pipeline.after_commit([this, &released, number = ++asked, needs = last_applied] {
        released.push_back(number);
        EXPECT_TRUE(needs == 0 || ledger.get(JobId(needs)).ok()) << "release " << number << " came too early";
      });
    }
    if (choice == 3) strand.run_ready();
    if (choice == 4 && ledger.commit_waits()) ledger.release();
  }
  strand.run_ready();
  while (ledger.commit_waits()) answer();
  ASSERT_EQ(released.size(), asked);
  EXPECT_TRUE(std::is_sorted(released.begin(), released.end()));
}

}  // namespace
}  // namespace trainyard::jobs
