#pragma once
#include <algorithm>
#include <mutex>
#include <utility>

#include "store/job_ledger.h"

namespace trainyard::store::testing {

/// A ledger in memory. It outlives the service under test: a service made anew over the same fake finds what the old one made durable.
/// By default `commit` answers before it returns, on the caller's thread; while commits are held it answers when the test says so.
/// Thread-safe.
class FakeJobLedger final : public JobLedger {
 public:
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
    LedgerRecovery recovery;
    for (const auto& [id, job] : jobs_) {
      if (job.live) recovery.live_jobs.push_back(job);
      recovery.last_job = id;
    }
    for (const auto& [key, record] : idempotency_) recovery.idempotency.push_back(record);
    if (!events_.empty()) recovery.last_event = events_.rbegin()->first;
    return recovery;
  }

  void commit(LedgerBatch batch, Committed done) override {
    {
      const std::lock_guard lock(mutex_);
      CHECK(!waiting_.has_value(), "one commit at most is in flight");
      if (holding_) {
        waiting_ = Waiting{std::move(batch), std::move(done)};
        return;
      }
      apply(std::move(batch));
    }
    done({});
  }

  Result<std::vector<JobRecord>> list(JobId before, std::size_t limit) override {
    const std::lock_guard lock(mutex_);
    std::vector<JobRecord> page;
    auto it = before.valid() ? jobs_.lower_bound(before) : jobs_.end();
    while (it != jobs_.begin() && page.size() < limit) page.push_back((--it)->second);
    return page;
  }

  Result<JobRecord> get(JobId id) override {
    const std::lock_guard lock(mutex_);
    const auto it = jobs_.find(id);
    if (it == jobs_.end()) return not_found("job.unknown", "there is no such job: " + id.text());
    return it->second;
  }

  Result<std::vector<EventRecord>> events(EventNumber after, JobId job, std::size_t limit) override {
    const std::lock_guard lock(mutex_);
    std::vector<EventRecord> page;
    for (auto it = events_.upper_bound(after); it != events_.end() && page.size() < limit; ++it) {
      if (!job.valid() || it->second.job == job) page.push_back(it->second);
    }
    return page;
  }

 private:
  struct Waiting {
    LedgerBatch batch;
    Committed done;
  };

  bool finish_waiting(bool durable, bool answered) {
    std::optional<Waiting> finished;
    {
      const std::lock_guard lock(mutex_);
      finished = std::exchange(waiting_, std::nullopt);
      if (finished && durable) apply(std::move(finished->batch));
    }
    if (finished && answered) finished->done({});
    return finished.has_value();
  }

  void apply(LedgerBatch batch) {
    for (JobRecord& job : batch.jobs) jobs_.insert_or_assign(job.id, std::move(job));
    for (EventRecord& event : batch.events) {
      CHECK(!events_.contains(event.number), "an event number is given once");
      events_.emplace(event.number, std::move(event));
    }
    for (IdempotencyRecord& record : batch.idempotency) idempotency_.insert_or_assign(record.key, std::move(record));
    ++commit_count_;
  }

  mutable std::mutex mutex_;
  // All below is guarded by mutex_.
  bool holding_ = false;
  std::optional<Waiting> waiting_;
  std::size_t commit_count_ = 0;
  std::map<JobId, JobRecord> jobs_;
  std::map<EventNumber, EventRecord> events_;
  std::map<std::string, IdempotencyRecord> idempotency_;
};

}  // namespace trainyard::store::testing
