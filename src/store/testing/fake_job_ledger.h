#pragma once
#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "store/job_ledger.h"
#include "store/ledger_rules.h"

namespace trainyard::store::testing {

/// What ledgers in memory open, as processes open one file. It outlives them. Thread-safe.
class FakeLedgerStorage {
 public:
  LedgerRecovery take_over() {
    const std::lock_guard lock(mutex_);
    LedgerRecovery recovery;
    recovery.epoch = ++epoch_;
    for (const auto& [id, job] : jobs_) {
      if (job.live) recovery.live_jobs.push_back(job);
      recovery.last_job = id;
    }
    for (const auto& [key, record] : idempotency_) recovery.idempotency.push_back(record);
    std::stable_sort(recovery.idempotency.begin(), recovery.idempotency.end(),
                     [](const IdempotencyRecord& a, const IdempotencyRecord& b) { return a.created_at < b.created_at; });
    if (!events_.empty()) recovery.last_event = events_.rbegin()->first;
    return recovery;
  }

  Result<void> apply(LedgerBatch batch, std::uint64_t epoch) {
    const std::lock_guard lock(mutex_);
    if (epoch != epoch_) return fenced_ledger(epoch);
    TRY(check_event_numbers(batch, events_.empty() ? EventNumber() : events_.rbegin()->first));
    for (JobRecord& job : batch.jobs) jobs_.insert_or_assign(job.id, std::move(job));
    for (EventRecord& event : batch.events) events_.emplace(event.number, std::move(event));
    if (batch.forget_keys_before) forget_keys(*batch.forget_keys_before);
    for (IdempotencyRecord& record : batch.idempotency) idempotency_.insert_or_assign(record.key, std::move(record));
    return {};
  }

  std::vector<JobRecord> list(JobId before, std::size_t limit) const {
    const std::lock_guard lock(mutex_);
    std::vector<JobRecord> page;
    auto it = before.valid() ? jobs_.lower_bound(before) : jobs_.end();
    while (it != jobs_.begin() && page.size() < limit) page.push_back((--it)->second);
    return page;
  }

  Result<JobRecord> get(JobId id) const {
    const std::lock_guard lock(mutex_);
    const auto it = jobs_.find(id);
    if (it == jobs_.end()) return unknown_ledger_job(id);
    return it->second;
  }

  std::vector<EventRecord> events(EventNumber after, JobId job, std::size_t limit) const {
    const std::lock_guard lock(mutex_);
    std::vector<EventRecord> page;
    for (auto it = events_.upper_bound(after); it != events_.end() && page.size() < limit; ++it) {
      if (!job.valid() || it->second.job == job) page.push_back(it->second);
    }
    return page;
  }

 private:
  void forget_keys(TimePoint before) {
    std::vector<std::pair<TimePoint, std::string>> old;
    for (const auto& [key, record] : idempotency_) {
      if (record.created_at < before) old.emplace_back(record.created_at, key);
    }
    std::sort(old.begin(), old.end());
    old.resize(std::min(old.size(), kForgottenKeysMax));
    for (const auto& [made, key] : old) idempotency_.erase(key);
  }

  mutable std::mutex mutex_;
  // All below is guarded by mutex_.
  std::uint64_t epoch_ = 0;
  std::map<JobId, JobRecord> jobs_;
  std::map<EventNumber, EventRecord> events_;
  std::map<std::string, IdempotencyRecord> idempotency_;
};

/// A ledger in memory. By default `commit` answers before it returns, on the caller's thread; while commits are held it answers when the
/// test says so. Unlike a real ledger it may be recovered again and again: a service made anew over the same fake finds what the old one
/// made durable. Thread-safe.
class FakeJobLedger final : public JobLedger {
 public:
  /// Over storage of its own, which it holds from the start.
  FakeJobLedger() : own_(std::make_unique<FakeLedgerStorage>()), storage_(*own_), epoch_(storage_.take_over().epoch) {}
  /// Over storage that others may open too.
  explicit FakeJobLedger(FakeLedgerStorage& storage) : storage_(storage) {}

  /// From now on a commit waits for `release`.
  void hold_commits() {
    const std::lock_guard lock(mutex_);
    holding_ = true;
  }
  /// Commits answer at once again; one that waits is released.
  void stop_holding() {
    {
      const std::lock_guard lock(mutex_);
      holding_ = false;
    }
    release();
  }
  bool commit_waits() const {
    const std::lock_guard lock(mutex_);
    return waiting_.has_value();
  }
  /// The batch that waits, empty when none does.
  LedgerBatch waiting_batch() const {
    const std::lock_guard lock(mutex_);
    return waiting_ ? waiting_->batch : LedgerBatch{};
  }
  /// Makes the commit that waits durable and answers it. False when none waits.
  bool release() { return finish_waiting(true, true); }
  /// A crash before the commit that waits became durable: it is gone and never answered.
  bool lose_waiting() { return finish_waiting(false, false); }
  /// A crash after the commit that waits became durable, before its answer.
  bool lose_answer() { return finish_waiting(true, false); }

  /// How many commits became durable.
  std::size_t commit_count() const {
    const std::lock_guard lock(mutex_);
    return commit_count_;
  }

  Result<LedgerRecovery> recover() override {
    const std::lock_guard lock(mutex_);
    LedgerRecovery recovery = storage_.take_over();
    epoch_ = recovery.epoch;
    failed_.reset();
    return recovery;
  }

  void commit(LedgerBatch batch, Committed done) override {
    Result<void> result;
    {
      const std::lock_guard lock(mutex_);
      CHECK(!waiting_.has_value(), "one commit at most is in flight");
      if (holding_) {
        waiting_ = Waiting{std::move(batch), std::move(done)};
        return;
      }
      result = apply(std::move(batch));
    }
    done(std::move(result));
  }

  Result<std::vector<JobRecord>> list(JobId before, std::size_t limit) override { return storage_.list(before, limit); }
  Result<JobRecord> get(JobId id) override { return storage_.get(id); }
  Result<std::vector<EventRecord>> events(EventNumber after, JobId job, std::size_t limit) override {
    return storage_.events(after, job, limit);
  }

 private:
  struct Waiting {
    LedgerBatch batch;
    Committed done;
  };

  bool finish_waiting(bool durable, bool answered) {
    std::optional<Waiting> finished;
    Result<void> result;
    {
      const std::lock_guard lock(mutex_);
      finished = std::exchange(waiting_, std::nullopt);
      if (finished && durable) result = apply(std::move(finished->batch));
    }
    if (finished && answered) finished->done(std::move(result));
    return finished.has_value();
  }

  Result<void> apply(LedgerBatch batch) {
    if (failed_) return *failed_;
    if (epoch_ == 0) return failed_precondition("ledger.not_recovered", "a ledger is recovered before it takes a commit");
    if (Result<void> applied = storage_.apply(std::move(batch), epoch_); !applied.ok()) {
      failed_ = applied.error();
      return applied;
    }
    ++commit_count_;
    return {};
  }

  std::unique_ptr<FakeLedgerStorage> own_;
  FakeLedgerStorage& storage_;
  mutable std::mutex mutex_;
  // All below is guarded by mutex_.
  std::uint64_t epoch_ = 0;
  std::optional<Error> failed_;
  bool holding_ = false;
  std::optional<Waiting> waiting_;
  std::size_t commit_count_ = 0;
};

}  // namespace trainyard::store::testing
