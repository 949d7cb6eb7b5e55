#pragma once
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "store/testing/commit_and_wait.h"

namespace trainyard::store::testing {

using Numbers = std::vector<std::uint64_t>;

/// What every JobLedger does. `Harness` is default-constructible and has `JobLedger& ledger()` and `void reopen()`, which leaves the ledger
/// as a restarted process finds it.
template <typename Harness>
class JobLedgerContract : public ::testing::Test {
 protected:
  static JobRecord job(std::uint64_t id, bool live = true, std::string body = R"({"name":"train"})") {
    return {JobId(id), live, time_from_micros(1'700'000'000'000'000 + static_cast<std::int64_t>(id)), std::move(body)};
  }
  static EventRecord event(std::uint64_t number, std::uint64_t job_id, std::string type = "submitted") {
    return {EventNumber(number), JobId(job_id), time_from_micros(static_cast<std::int64_t>(number)), std::move(type), R"({"n":1})"};
  }
  static std::vector<std::uint64_t> ids(const std::vector<JobRecord>& jobs) {
    std::vector<std::uint64_t> list;
    for (const JobRecord& record : jobs) list.push_back(record.id.value);
    return list;
  }
  static std::vector<std::uint64_t> numbers(const std::vector<EventRecord>& events) {
    std::vector<std::uint64_t> list;
    for (const EventRecord& record : events) list.push_back(record.number.value);
    return list;
  }

  JobLedger& ledger() { return harness_.ledger(); }
  void commit(LedgerBatch batch) {
    const Result<void> committed = commit_and_wait(ledger(), std::move(batch));
    ASSERT_TRUE(committed.ok()) << committed.error().describe();
  }

  Harness harness_;
};

TYPED_TEST_SUITE_P(JobLedgerContract);

TYPED_TEST_P(JobLedgerContract, fresh_ledger_recovers_nothing) {
  const Result<LedgerRecovery> recovery = this->ledger().recover();
  ASSERT_TRUE(recovery.ok()) << recovery.error().describe();
  EXPECT_TRUE(recovery->live_jobs.empty());
  EXPECT_TRUE(recovery->idempotency.empty());
  EXPECT_FALSE(recovery->last_job.valid());
  EXPECT_FALSE(recovery->last_event.valid());
}

TYPED_TEST_P(JobLedgerContract, committed_batch_is_recovered_whole_after_a_restart) {
  const std::string body = "{\"name\":\"\xc3\xa9t\xc3\xa9 \xf0\x9f\x9a\x82\",\"quote\":\"'\\\"\"}";
  this->commit({{this->job(2, true, body), this->job(1)},
                {this->event(1, 1), this->event(2, 2, "started")},
                {{"key", "fingerprint", JobId(2), time_from_micros(7)}}});
  this->harness_.reopen();

  const Result<LedgerRecovery> recovery = this->ledger().recover();
  ASSERT_TRUE(recovery.ok()) << recovery.error().describe();
  ASSERT_EQ(this->ids(recovery->live_jobs), (Numbers{1, 2}));
  EXPECT_EQ(recovery->live_jobs[1].body, body);
  EXPECT_EQ(recovery->live_jobs[1].changed_at, this->job(2).changed_at);
  EXPECT_TRUE(recovery->live_jobs[1].live);
  ASSERT_EQ(recovery->idempotency.size(), 1u);
  EXPECT_EQ(recovery->idempotency[0].key, "key");
  EXPECT_EQ(recovery->idempotency[0].fingerprint, "fingerprint");
  EXPECT_EQ(recovery->idempotency[0].job, JobId(2));
  EXPECT_EQ(recovery->idempotency[0].created_at, time_from_micros(7));
  EXPECT_EQ(recovery->last_job, JobId(2));
  EXPECT_EQ(recovery->last_event, EventNumber(2));
  const Result<std::vector<EventRecord>> events = this->ledger().events(EventNumber(1), JobId(), 10);
  ASSERT_TRUE(events.ok()) << events.error().describe();
  ASSERT_EQ(events->size(), 1u);
  EXPECT_EQ(events->front().job, JobId(2));
  EXPECT_EQ(events->front().type, "started");
  EXPECT_EQ(events->front().time, time_from_micros(2));
  EXPECT_EQ(events->front().body, R"({"n":1})");
}

TYPED_TEST_P(JobLedgerContract, terminal_job_is_kept_but_not_recovered) {
  this->commit({{this->job(1), this->job(2)}, {}, {}});
  this->commit({{this->job(2, false, "done")}, {}, {}});
  this->harness_.reopen();
  const Result<LedgerRecovery> recovery = this->ledger().recover();
  ASSERT_TRUE(recovery.ok()) << recovery.error().describe();
  EXPECT_EQ(this->ids(recovery->live_jobs), (Numbers{1}));
  EXPECT_EQ(recovery->last_job, JobId(2));
  const Result<JobRecord> terminal = this->ledger().get(JobId(2));
  ASSERT_TRUE(terminal.ok()) << terminal.error().describe();
  EXPECT_FALSE(terminal->live);
  EXPECT_EQ(terminal->body, "done");
}

TYPED_TEST_P(JobLedgerContract, job_twice_in_a_batch_keeps_the_later) {
  this->commit({{this->job(1, true, "first"), this->job(2), this->job(1, false, "second")}, {}, {}});
  const Result<JobRecord> kept = this->ledger().get(JobId(1));
  ASSERT_TRUE(kept.ok()) << kept.error().describe();
  EXPECT_EQ(kept->body, "second");
  EXPECT_FALSE(kept->live);
}

TYPED_TEST_P(JobLedgerContract, idempotency_key_again_replaces_what_it_did) {
  this->commit({{}, {}, {{"key", "old", JobId(1), time_from_micros(1)}}});
  this->commit({{}, {}, {{"key", "new", JobId(2), time_from_micros(2)}}});
  const Result<LedgerRecovery> recovery = this->ledger().recover();
  ASSERT_TRUE(recovery.ok()) << recovery.error().describe();
  ASSERT_EQ(recovery->idempotency.size(), 1u);
  EXPECT_EQ(recovery->idempotency[0].fingerprint, "new");
}

TYPED_TEST_P(JobLedgerContract, list_pages_from_the_newest_down) {
  LedgerBatch batch;
  for (std::uint64_t id = 1; id <= 5; ++id) batch.jobs.push_back(this->job(id, id % 2 == 0));
  this->commit(std::move(batch));
  const auto page = [this](std::uint64_t before, std::size_t limit) {
    const Result<std::vector<JobRecord>> jobs = this->ledger().list(JobId(before), limit);
    EXPECT_TRUE(jobs.ok()) << jobs.error().describe();
    return jobs.ok() ? this->ids(*jobs) : Numbers{};
  };
  EXPECT_EQ(page(0, 2), (Numbers{5, 4}));
  EXPECT_EQ(page(4, 2), (Numbers{3, 2}));
  EXPECT_EQ(page(2, 2), (Numbers{1}));
  EXPECT_EQ(page(1, 2), (Numbers{}));
  EXPECT_EQ(page(99, 9), (Numbers{5, 4, 3, 2, 1}));
  EXPECT_EQ(page(0, 0), (Numbers{}));
}

TYPED_TEST_P(JobLedgerContract, unknown_job_is_not_found) {
  this->commit({{this->job(1)}, {}, {}});
  const Result<JobRecord> unknown = this->ledger().get(JobId(2));
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().category, Category::kNotFound);
  EXPECT_EQ(unknown.error().id, "job.unknown");
}

TYPED_TEST_P(JobLedgerContract, events_follow_a_number_and_a_job) {
  LedgerBatch batch;
  for (std::uint64_t number = 1; number <= 6; ++number) batch.events.push_back(this->event(number, 1 + number % 2));
  this->commit(std::move(batch));
  const auto page = [this](std::uint64_t after, std::uint64_t job, std::size_t limit) {
    const Result<std::vector<EventRecord>> events = this->ledger().events(EventNumber(after), JobId(job), limit);
    EXPECT_TRUE(events.ok()) << events.error().describe();
    return events.ok() ? this->numbers(*events) : Numbers{};
  };
  EXPECT_EQ(page(0, 0, 100), (Numbers{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(page(2, 0, 2), (Numbers{3, 4}));
  EXPECT_EQ(page(0, 2, 100), (Numbers{1, 3, 5}));
  EXPECT_EQ(page(1, 2, 1), (Numbers{3}));
  EXPECT_EQ(page(6, 0, 100), (Numbers{}));
  EXPECT_EQ(page(0, 3, 100), (Numbers{}));
}

TYPED_TEST_P(JobLedgerContract, answered_commit_is_visible_to_reads) {
  for (std::uint64_t round = 1; round <= 20; ++round) {
    this->commit({{this->job(1, true, std::to_string(round))}, {this->event(round, 1)}, {}});
    const Result<JobRecord> seen = this->ledger().get(JobId(1));
    ASSERT_TRUE(seen.ok()) << seen.error().describe();
    ASSERT_EQ(seen->body, std::to_string(round));
  }
}

TYPED_TEST_P(JobLedgerContract, batch_of_thousands_is_durable_whole) {
  LedgerBatch batch;
  for (std::uint64_t id = 1; id <= 3333; ++id) {
    batch.jobs.push_back(this->job(id, id % 3 != 0, std::string(id % 700, 'b')));
    batch.events.push_back(this->event(id, id));
    batch.idempotency.push_back({"key-" + std::to_string(id), "f", JobId(id), time_from_micros(1)});
  }
  this->commit(std::move(batch));
  this->harness_.reopen();
  const Result<LedgerRecovery> recovery = this->ledger().recover();
  ASSERT_TRUE(recovery.ok()) << recovery.error().describe();
  EXPECT_EQ(recovery->live_jobs.size(), 2222u);
  EXPECT_EQ(recovery->idempotency.size(), 3333u);
  for (const JobRecord& record : recovery->live_jobs) ASSERT_EQ(record.body.size(), record.id.value % 700);
  const Result<std::vector<EventRecord>> events = this->ledger().events(EventNumber(), JobId(), 10'000);
  ASSERT_TRUE(events.ok()) << events.error().describe();
  EXPECT_EQ(events->size(), 3333u);
}

TYPED_TEST_P(JobLedgerContract, empty_batch_is_answered) {
  this->commit({});
  EXPECT_TRUE(this->ledger().recover().ok());
}

REGISTER_TYPED_TEST_SUITE_P(JobLedgerContract, fresh_ledger_recovers_nothing, committed_batch_is_recovered_whole_after_a_restart,
                            terminal_job_is_kept_but_not_recovered, job_twice_in_a_batch_keeps_the_later,
                            idempotency_key_again_replaces_what_it_did, list_pages_from_the_newest_down, unknown_job_is_not_found,
                            events_follow_a_number_and_a_job, answered_commit_is_visible_to_reads, batch_of_thousands_is_durable_whole,
                            empty_batch_is_answered);

}  // namespace trainyard::store::testing
