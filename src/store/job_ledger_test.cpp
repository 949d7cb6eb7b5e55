#include "store/job_ledger.h"

#include <gtest/gtest.h>

#include "store/testing/fake_job_ledger.h"
#include "store/testing/faulty_job_ledger.h"

namespace trainyard::store {
namespace {

using testing::CommitFault;
using testing::FakeJobLedger;
using testing::FakeLedgerStorage;
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

TEST(FaultyJobLedger, process_that_died_makes_and_answers_no_commit) {
  FakeJobLedger inner;
  FaultyJobLedger ledger(inner);
  Answers answers;
  ledger.fault_commit(1, CommitFault::kLost);
  for (std::uint64_t id = 1; id <= 3; ++id) ledger.commit(batch_of(id), answers.taker());
  EXPECT_TRUE(ledger.crashed());
  EXPECT_EQ(answers.succeeded + answers.failed, 0);
  EXPECT_EQ(durable_jobs(inner), 0u);
}

TEST(FaultyJobLedger, torn_commit_is_durable_whole_or_not_at_all) {
  int stored = 0;
  constexpr int kTries = 64;
  for (std::uint64_t seed = 0; seed < kTries; ++seed) {
    FakeJobLedger inner;
    FaultyJobLedger ledger(inner);
    Answers answers;
    ledger.fault_at_random(seed, {.torn = 1});
    LedgerBatch batch = batch_of(1);
    batch.jobs.push_back(batch_of(2).jobs.front());
    ledger.commit(std::move(batch), answers.taker());
    const std::size_t jobs = durable_jobs(inner);
    EXPECT_TRUE(jobs == 0 || jobs == 2) << "seed " << seed;
    EXPECT_EQ(answers.succeeded + answers.failed, 0);
    stored += jobs == 2 ? 1 : 0;
  }
  EXPECT_GT(stored, 0);
  EXPECT_LT(stored, kTries);
}

/// Ledgers that fail and die by chance, opened one after the other on one storage, as a server is that starts again after each.
TEST(FaultyJobLedger, acknowledged_batches_survive_random_faults_and_nothing_else_appears) {
  constexpr std::uint64_t kSeed = 20'260'303;
  FakeLedgerStorage storage;
  std::uint64_t acknowledged = 0;  // The last batch that was answered well.
  std::uint64_t sent = 0;          // The last batch that was handed over.
  int lives_with_unknown_outcome = 0;
  for (std::uint64_t life = 0; life < 300; ++life) {
    SCOPED_TRACE("seed " + std::to_string(kSeed) + " life " + std::to_string(life));
    FaultyJobLedger ledger(std::make_unique<FakeJobLedger>(storage));
    const LedgerRecovery recovery = ledger.recover().value();
    ASSERT_GE(recovery.last_job.value, acknowledged) << "an acknowledged batch is gone";
    ASSERT_LE(recovery.last_job.value, sent);
    ASSERT_LE(recovery.last_job.value, acknowledged + 1) << "at most the batch in flight may have become durable";
    ASSERT_EQ(recovery.last_event.value, recovery.last_job.value) << "part of a batch is durable";
    if (recovery.last_job.value != acknowledged) ++lives_with_unknown_outcome;
    acknowledged = recovery.last_job.value;
    ledger.fault_at_random(kSeed + life, {.fails = 20, .fails_though_stored = 20, .delayed = 5, .lost = 20, .torn = 20});
    for (bool going = true; going;) {
      sent = acknowledged + 1;
      LedgerBatch batch = batch_of(sent);
      batch.events.push_back({EventNumber(sent), JobId(sent), time_from_micros(1), "submitted", "{}"});
      going = false;
      ledger.commit(std::move(batch), [&](const Result<void>& result) {
        if (result.ok()) acknowledged = sent;
        going = result.ok();
      });
      ledger.release_delayed();
    }
  }
  EXPECT_GT(acknowledged, 500u);
  EXPECT_GT(lives_with_unknown_outcome, 20);
}

TEST(FakeLedgerStorage, held_commit_of_an_earlier_holder_is_fenced_when_it_is_released) {
  FakeLedgerStorage storage;
  FakeJobLedger first(storage);
  FakeJobLedger second(storage);
  Answers answers;
  ASSERT_TRUE(first.recover().ok());
  first.hold_commits();
  first.commit(batch_of(1), answers.taker());
  EXPECT_EQ(durable_jobs(second), 0u);
  EXPECT_TRUE(first.release());
  EXPECT_EQ(answers.failed, 1);
  EXPECT_EQ(durable_jobs(second), 0u);
}

}  // namespace
}  // namespace trainyard::store
