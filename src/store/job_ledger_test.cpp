#include "store/job_ledger.h"

#include <gtest/gtest.h>

#include "store/testing/fake_job_ledger.h"
#include "store/testing/faulty_job_ledger.h"

namespace trainyard::store {
namespace {

using testing::CommitFault;
using testing::FakeJobLedger;
using testing::FaultyJobLedger;

LedgerBatch batch_of(std::uint64_t id) { return {{{JobId(id), true, time_from_micros(1), "{}"}}, {}, {}}; }

/// Counts the answers to commits.
struct Answers {
  JobLedger::Committed taker() {
    return [this](const Result<void>& result) { (result.ok() ? succeeded : failed)++; };
  }
  int succeeded = 0;
  int failed = 0;
};

std::size_t durable_jobs(JobLedger& ledger) { return ledger.recover().value().live_jobs.size(); }

TEST(FakeJobLedger, held_commit_is_durable_and_answered_when_released) {
  FakeJobLedger ledger;
  Answers answers;
  ledger.hold_commits();
  ledger.commit(batch_of(1), answers.taker());
  EXPECT_TRUE(ledger.commit_waits());
  EXPECT_EQ(ledger.waiting_batch().jobs.size(), 1u);
  EXPECT_EQ(durable_jobs(ledger), 0u);
  EXPECT_EQ(answers.succeeded, 0);
  EXPECT_TRUE(ledger.release());
  EXPECT_FALSE(ledger.release());
  EXPECT_EQ(durable_jobs(ledger), 1u);
  EXPECT_EQ(answers.succeeded, 1);
}

TEST(FakeJobLedger, commit_lost_in_a_crash_is_neither_durable_nor_answered) {
  FakeJobLedger ledger;
  Answers answers;
  ledger.hold_commits();
  ledger.commit(batch_of(1), answers.taker());
  EXPECT_TRUE(ledger.lose_waiting());
  ledger.commit(batch_of(2), answers.taker());
  EXPECT_TRUE(ledger.lose_answer());
  EXPECT_EQ(answers.succeeded + answers.failed, 0);
  EXPECT_EQ(durable_jobs(ledger), 1u) << "the second became durable before the crash";
}

TEST(FaultyJobLedger, failed_commit_is_not_durable_and_fails_every_later_one) {
  FakeJobLedger inner;
  FaultyJobLedger ledger(inner);
  Answers answers;
  ledger.fault_commit(2, CommitFault::kFails);
  for (std::uint64_t id = 1; id <= 3; ++id) ledger.commit(batch_of(id), answers.taker());
  EXPECT_EQ(answers.succeeded, 1);
  EXPECT_EQ(answers.failed, 2);
  EXPECT_EQ(durable_jobs(inner), 1u);
}

TEST(FaultyJobLedger, commit_may_be_durable_though_it_failed) {
  FakeJobLedger inner;
  FaultyJobLedger ledger(inner);
  Answers answers;
  ledger.fault_commit(1, CommitFault::kFailsThoughStored);
  for (std::uint64_t id = 1; id <= 2; ++id) ledger.commit(batch_of(id), answers.taker());
  EXPECT_EQ(answers.failed, 2);
  EXPECT_EQ(durable_jobs(inner), 1u);
}

TEST(FaultyJobLedger, delayed_commit_waits_and_lost_commit_is_never_answered) {
  FakeJobLedger inner;
  FaultyJobLedger ledger(inner);
  Answers answers;
  ledger.fault_commit(1, CommitFault::kDelayed);
  ledger.commit(batch_of(1), answers.taker());
  EXPECT_EQ(durable_jobs(inner), 0u);
  EXPECT_TRUE(ledger.release_delayed());
  EXPECT_EQ(answers.succeeded, 1);
  ledger.fault_commit(1, CommitFault::kLost);
  ledger.commit(batch_of(2), answers.taker());
  EXPECT_FALSE(ledger.release_delayed());
  EXPECT_EQ(answers.succeeded + answers.failed, 1);
  EXPECT_EQ(durable_jobs(ledger), 1u);
}

}  // namespace
}  // namespace trainyard::store
