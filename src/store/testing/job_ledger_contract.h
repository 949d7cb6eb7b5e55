#pragma once
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "store/testing/commit_and_wait.h"

namespace trainyard::store::testing {

using Numbers = std::vector<std::uint64_t>;

/// What both suites of every JobLedger stand on. `Harness` is default-constructible and has `std::unique_ptr<JobLedger> open()`, which
/// opens a further ledger on the harness's storage as another process does. It may have `void start()`, which makes the storage, or skips
/// or fails the test.
template <typename Harness>
class JobLedgerTest : public ::testing::Test {
 protected:
  static JobRecord job(std::uint64_t id, bool live = true, std::string body = R"({"name":"train"})") {
    return {JobId(id), live, time_from_micros(1'700'000'000'000'000 + static_cast<std::int64_t>(id)), std::move(body)};
  }
  static EventRecord event(std::uint64_t number, std::uint64_t job_id, std::string type = "submitted") {
    return {EventNumber(number), JobId(job_id), time_from_micros(static_cast<std::int64_t>(number)), std::move(type), R"({"n":1})"};
  }
  static IdempotencyRecord key(std::string text, std::int64_t made_us) {
    return {std::move(text), "print", JobId(1), time_from_micros(made_us)};
  }
  static Numbers ids(const std::vector<JobRecord>& jobs) {
    Numbers list;
    for (const JobRecord& record : jobs) list.push_back(record.id.value);
    return list;
  }
  static Numbers numbers(const std::vector<EventRecord>& events) {
    Numbers list;
    for (const EventRecord& record : events) list.push_back(record.number.value);
    return list;
  }
  static std::vector<std::string> keys(const LedgerRecovery& recovery) {
    std::vector<std::string> list;
    for (const IdempotencyRecord& record : recovery.idempotency) list.push_back(record.key);
    return list;
  }
  static std::string id_of(const Result<void>& result) { return result.ok() ? "ok" : result.error().id; }

  void SetUp() override {
    if constexpr (requires { harness_.start(); }) harness_.start();
    if (!this->IsSkipped() && !this->HasFatalFailure()) reopen();
  }

  JobLedger& ledger() { return *ledger_; }
  /// A further ledger on the same storage; the fixture's stays open.
  std::unique_ptr<JobLedger> open() { return harness_.open(); }
  /// Closes the fixture's ledger, opens and recovers it as a restarted process does.
  LedgerRecovery reopen() {
    ledger_.reset();
    ledger_ = harness_.open();
    Result<LedgerRecovery> recovery = ledger_->recover();
    EXPECT_TRUE(recovery.ok()) << recovery.error().describe();
    return recovery.ok() ? *std::move(recovery) : LedgerRecovery{};
  }
  void commit(LedgerBatch batch) {
    const Result<void> committed = commit_and_wait(ledger(), std::move(batch));
    ASSERT_TRUE(committed.ok()) << committed.error().describe();
  }
  std::vector<EventRecord> events(std::uint64_t after = 0, std::uint64_t job = 0, std::size_t limit = 100'000) {
    const Result<std::vector<EventRecord>> found = ledger().events(EventNumber(after), JobId(job), limit);
    EXPECT_TRUE(found.ok()) << found.error().describe();
    return found.ok() ? *found : std::vector<EventRecord>();
  }

  Harness harness_;
  std::unique_ptr<JobLedger> ledger_;
};

/// What every JobLedger does with what it is given.
template <typename Harness>
class JobLedgerContract : public JobLedgerTest<Harness> {};
TYPED_TEST_SUITE_P(JobLedgerContract);

TYPED_TEST_P(JobLedgerContract, fresh_ledger_recovers_nothing) {
  const LedgerRecovery recovery = this->reopen();
  EXPECT_TRUE(recovery.live_jobs.empty());
  EXPECT_TRUE(recovery.idempotency.empty());
  EXPECT_FALSE(recovery.last_job.valid());
  EXPECT_FALSE(recovery.last_event.valid());
  EXPECT_TRUE(this->events().empty());
  EXPECT_TRUE(this->ledger().list(JobId(), 10).value().empty());
}

TYPED_TEST_P(JobLedgerContract, committed_batch_is_recovered_whole_after_a_restart) {
  const std::string body = "{\"name\":\"\xc3\xa9t\xc3\xa9 \xf0\x9f\x9a\x82\",\"quote\":\"'\\\"\"}";
  this->commit({{this->job(2, true, body), this->job(1)},
                {this->event(1, 1), this->event(2, 2, "started")},
                {{"key", "fingerprint", JobId(2), time_from_micros(7)}}});
  const LedgerRecovery recovery = this->reopen();
  ASSERT_EQ(this->ids(recovery.live_jobs), (Numbers{1, 2}));
  EXPECT_EQ(recovery.live_jobs[1].body, body);
  EXPECT_EQ(recovery.live_jobs[1].changed_at, this->job(2).changed_at);
  EXPECT_TRUE(recovery.live_jobs[1].live);
  ASSERT_EQ(recovery.idempotency.size(), 1u);
  EXPECT_EQ(recovery.idempotency[0].key, "key");
  EXPECT_EQ(recovery.idempotency[0].fingerprint, "fingerprint");
  EXPECT_EQ(recovery.idempotency[0].job, JobId(2));
  EXPECT_EQ(recovery.idempotency[0].created_at, time_from_micros(7));
  EXPECT_EQ(recovery.last_job, JobId(2));
  EXPECT_EQ(recovery.last_event, EventNumber(2));
  const std::vector<EventRecord> events = this->events(1);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events.front().job, JobId(2));
  EXPECT_EQ(events.front().type, "started");
  EXPECT_EQ(events.front().time, time_from_micros(2));
  EXPECT_EQ(events.front().body, R"({"n":1})");
}

TYPED_TEST_P(JobLedgerContract, texts_of_any_bytes_come_back) {
  std::string bytes;
  for (int i = 0; i < 512; ++i) bytes += static_cast<char>(i);
  const std::string odd = bytes + "\xc3\x28 \xf0\x9f\x9a\x82 \\x41 \r\n*3\r\n$1 {} NULL '; --";
  this->commit(
      {{this->job(1, true, odd), this->job(2, true, "")},
       {{EventNumber(1), JobId(1), time_from_micros(-5), "type" + bytes, odd}, {EventNumber(2), JobId(1), time_from_micros(0), "", ""}},
       {{"key" + bytes, odd, JobId(1), time_from_micros(-7)}, {"key", "", JobId(1), time_from_micros(-6)}}});
  const LedgerRecovery recovery = this->reopen();
  ASSERT_EQ(recovery.live_jobs.size(), 2u);
  EXPECT_EQ(recovery.live_jobs[0].body, odd);
  EXPECT_EQ(recovery.live_jobs[1].body, "");
  const std::vector<EventRecord> events = this->events(0, 1);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].type, "type" + bytes);
  EXPECT_EQ(events[0].body, odd);
  EXPECT_EQ(events[0].time, time_from_micros(-5));
  EXPECT_EQ(events[1].body, "");
  ASSERT_EQ(this->keys(recovery), (std::vector<std::string>{"key" + bytes, "key"}));
  EXPECT_EQ(recovery.idempotency[0].fingerprint, odd);
}

TYPED_TEST_P(JobLedgerContract, bodies_of_a_mebibyte_come_back) {
  LedgerBatch batch;
  for (std::uint64_t id = 1; id <= 8; ++id) {
    const std::string body(std::size_t{1} << 20, static_cast<char>('a' + id));
    batch.jobs.push_back(this->job(id, true, body));
    batch.events.push_back({EventNumber(id), JobId(id), time_from_micros(1), "submitted", body});
  }
  this->commit(batch);
  const LedgerRecovery recovery = this->reopen();
  ASSERT_EQ(recovery.live_jobs.size(), 8u);
  const std::vector<EventRecord> events = this->events();
  ASSERT_EQ(events.size(), 8u);
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_TRUE(recovery.live_jobs[i].body == batch.jobs[i].body) << i;
    EXPECT_TRUE(events[i].body == batch.events[i].body) << i;
  }
}

TYPED_TEST_P(JobLedgerContract, terminal_job_is_kept_but_not_recovered) {
  this->commit({{this->job(1), this->job(2)}, {}, {}});
  this->commit({{this->job(2, false, "done")}, {}, {}});
  const LedgerRecovery recovery = this->reopen();
  EXPECT_EQ(this->ids(recovery.live_jobs), (Numbers{1}));
  EXPECT_EQ(recovery.last_job, JobId(2));
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
  EXPECT_EQ(this->ids(this->reopen().live_jobs), (Numbers{2}));
}

TYPED_TEST_P(JobLedgerContract, job_committed_again_with_the_same_record_changes_nothing) {
  for (int i = 0; i < 3; ++i) this->commit({{this->job(1), this->job(2, false)}, {}, {this->key("key", 1)}});
  const LedgerRecovery recovery = this->reopen();
  EXPECT_EQ(this->ids(recovery.live_jobs), (Numbers{1}));
  EXPECT_EQ(recovery.idempotency.size(), 1u);
  EXPECT_EQ(this->ids(this->ledger().list(JobId(), 10).value()), (Numbers{2, 1}));
}

TYPED_TEST_P(JobLedgerContract, idempotency_key_again_replaces_what_it_did) {
  this->commit({{}, {}, {{"key", "old", JobId(1), time_from_micros(1)}}});
  this->commit({{}, {}, {{"key", "older", JobId(2), time_from_micros(2)}, {"key", "new", JobId(3), time_from_micros(3)}}});
  const LedgerRecovery recovery = this->reopen();
  ASSERT_EQ(recovery.idempotency.size(), 1u);
  EXPECT_EQ(recovery.idempotency[0].fingerprint, "new");
  EXPECT_EQ(recovery.idempotency[0].job, JobId(3));
}

TYPED_TEST_P(JobLedgerContract, old_idempotency_keys_are_forgotten_and_new_ones_kept) {
  this->commit({{}, {}, {this->key("c", 30), this->key("a", 10), this->key("b", 20), this->key("again", 5)}});
  this->commit({{}, {}, {this->key("again", 40)}});
  EXPECT_EQ(this->keys(this->reopen()), (std::vector<std::string>{"a", "b", "c", "again"})) << "oldest first";
  LedgerBatch batch{{}, {}, {this->key("a", 3)}};
  batch.forget_keys_before = time_from_micros(20);
  this->commit(batch);
  EXPECT_EQ(this->keys(this->reopen()), (std::vector<std::string>{"a", "b", "c", "again"})) << "a key of the batch itself stays";
  batch.idempotency.clear();
  batch.forget_keys_before = time_from_micros(30);
  this->commit(batch);
  EXPECT_EQ(this->keys(this->reopen()), (std::vector<std::string>{"c", "again"}));
}

TYPED_TEST_P(JobLedgerContract, one_commit_forgets_a_bounded_number_of_keys) {
  LedgerBatch batch;
  for (std::size_t i = 0; i < kForgottenKeysMax + 500; ++i) {
    batch.idempotency.push_back(this->key("key" + std::to_string(i), 1 + static_cast<std::int64_t>(i)));
  }
  this->commit(std::move(batch));
  LedgerBatch forgetting;
  forgetting.forget_keys_before = time_from_micros(1'000'000);
  this->commit(forgetting);
  const LedgerRecovery left = this->reopen();
  ASSERT_EQ(left.idempotency.size(), 500u);
  EXPECT_EQ(left.idempotency.front().key, "key" + std::to_string(kForgottenKeysMax)) << "the oldest went first";
  this->commit(forgetting);
  EXPECT_TRUE(this->reopen().idempotency.empty());
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

TYPED_TEST_P(JobLedgerContract, list_passes_over_ids_that_were_never_given) {
  this->commit({{this->job(3), this->job(7), this->job(1500)}, {}, {}});
  EXPECT_EQ(this->ids(this->ledger().list(JobId(), 2).value()), (Numbers{1500, 7}));
  EXPECT_EQ(this->ids(this->ledger().list(JobId(1500), 5).value()), (Numbers{7, 3}));
  EXPECT_EQ(this->reopen().last_job, JobId(1500));
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
    return this->numbers(this->events(after, job, limit));
  };
  EXPECT_EQ(page(0, 0, 100), (Numbers{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(page(2, 0, 2), (Numbers{3, 4}));
  EXPECT_EQ(page(0, 2, 100), (Numbers{1, 3, 5}));
  EXPECT_EQ(page(1, 2, 1), (Numbers{3}));
  EXPECT_EQ(page(6, 0, 100), (Numbers{}));
  EXPECT_EQ(page(0, 3, 100), (Numbers{}));
  EXPECT_EQ(page(0, 0, 0), (Numbers{}));
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
  for (std::uint64_t id = 1; id <= 10'000; ++id) {
    batch.jobs.push_back(this->job(id, id % 4 != 0, std::string(id % 700, 'b')));
    batch.events.push_back(this->event(id, id));
    if (id % 3 == 0) batch.idempotency.push_back(this->key("key-" + std::to_string(id), 1));
  }
  this->commit(std::move(batch));
  const LedgerRecovery recovery = this->reopen();
  EXPECT_EQ(recovery.live_jobs.size(), 7500u);
  EXPECT_EQ(recovery.idempotency.size(), 3333u);
  EXPECT_EQ(recovery.last_job, JobId(10'000));
  EXPECT_EQ(recovery.last_event, EventNumber(10'000));
  for (const JobRecord& record : recovery.live_jobs) ASSERT_EQ(record.body.size(), record.id.value % 700);
  EXPECT_EQ(this->events().size(), 10'000u);
  EXPECT_EQ(this->ledger().list(JobId(), 20'000).value().size(), 10'000u);
}

TYPED_TEST_P(JobLedgerContract, empty_batch_is_answered) {
  this->commit({});
  EXPECT_EQ(this->reopen().last_job, JobId());
}

TYPED_TEST_P(JobLedgerContract, event_number_that_leaves_a_gap_or_repeats_fails_the_whole_batch) {
  this->commit({{}, {this->event(1, 1), this->event(2, 1)}, {}});
  for (const Numbers& wrong : {Numbers{4}, Numbers{2}, Numbers{3, 5}, Numbers{3, 3}}) {
    LedgerBatch batch{{this->job(9)}, {}, {}};
    for (const std::uint64_t number : wrong) batch.events.push_back(this->event(number, 9));
    EXPECT_EQ(this->id_of(commit_and_wait(this->ledger(), batch)), "ledger.event_number");
    EXPECT_EQ(this->id_of(commit_and_wait(this->ledger(), {})), "ledger.event_number") << "nothing after a failure";
    const LedgerRecovery recovery = this->reopen();
    EXPECT_TRUE(recovery.live_jobs.empty());
    EXPECT_EQ(recovery.last_event, EventNumber(2));
  }
  this->commit({{}, {this->event(3, 1)}, {}});
  EXPECT_EQ(this->numbers(this->events()), (Numbers{1, 2, 3}));
}

TYPED_TEST_P(JobLedgerContract, reads_beside_commits_see_whole_batches) {
  constexpr std::uint64_t kRounds = 60;
  const auto batch_of = [this](std::uint64_t round) {
    const std::string body = std::to_string(round);
    return LedgerBatch{
        {this->job(1, true, body), this->job(2, true, body)}, {this->event(2 * round - 1, 1), this->event(2 * round, 2)}, {}};
  };
  this->commit(batch_of(1));
  std::atomic<bool> done = false;
  std::atomic<int> reads = 0;
  const auto read = [&] {
    while (!done) {
      const std::vector<JobRecord> jobs = this->ledger().list(JobId(), 10).value();
      ASSERT_EQ(jobs.size(), 2u);
      ASSERT_EQ(jobs[0].body, jobs[1].body) << "part of a batch was seen";
      const std::vector<EventRecord> events = this->events();
      ASSERT_EQ(events.size() % 2, 0u);
      ASSERT_EQ(events.back().number.value, events.size());
      ASSERT_TRUE(this->ledger().get(JobId(1)).ok());
      ++reads;
    }
  };
  {
    std::jthread first(read);
    std::jthread second(read);
    for (std::uint64_t round = 2; round <= kRounds; ++round) this->commit(batch_of(round));
    while (reads < 2 && !this->HasFailure()) std::this_thread::yield();
    done = true;
  }
  EXPECT_EQ(this->events().size(), 2 * kRounds);
}

REGISTER_TYPED_TEST_SUITE_P(JobLedgerContract, fresh_ledger_recovers_nothing, committed_batch_is_recovered_whole_after_a_restart,
                            texts_of_any_bytes_come_back, bodies_of_a_mebibyte_come_back, terminal_job_is_kept_but_not_recovered,
                            job_twice_in_a_batch_keeps_the_later, job_committed_again_with_the_same_record_changes_nothing,
                            idempotency_key_again_replaces_what_it_did, old_idempotency_keys_are_forgotten_and_new_ones_kept,
                            one_commit_forgets_a_bounded_number_of_keys, list_pages_from_the_newest_down,
                            list_passes_over_ids_that_were_never_given, unknown_job_is_not_found, events_follow_a_number_and_a_job,
                            answered_commit_is_visible_to_reads, batch_of_thousands_is_durable_whole, empty_batch_is_answered,
                            event_number_that_leaves_a_gap_or_repeats_fails_the_whole_batch, reads_beside_commits_see_whole_batches);

}  // namespace trainyard::store::testing
