#pragma once
#include <mutex>
#include <utility>

#include "store/job_ledger.h"

namespace trainyard::store::testing {

/// What goes wrong with one commit.
enum class CommitFault {
  kFails,              ///< Not durable, answered with an error; every later commit fails too.
  kFailsThoughStored,  ///< Durable, but answered with an error (the disk failed after the write); every later commit fails too.
  kDelayed,            ///< Waits for `release_delayed`, which passes it on.
  kLost,               ///< Neither durable nor answered, as in a crash.
};

/// Passes calls on to `inner` until told that the n-th commit from now goes wrong. Reads are never touched. Thread-safe.
class FaultyJobLedger final : public JobLedger {
 public:
  explicit FaultyJobLedger(JobLedger& inner) : inner_(inner) {}

  /// `n` counts from 1: the next commit.
  void fault_commit(int n, CommitFault fault, Error error = default_error()) {
    const std::lock_guard lock(mutex_);
    commits_until_fault_ = n;
    fault_ = fault;
    error_ = std::move(error);
  }
  /// Passes a delayed commit on. False when none waits.
  bool release_delayed() {
    std::optional<Delayed> delayed;
    {
      const std::lock_guard lock(mutex_);
      delayed = std::exchange(delayed_, std::nullopt);
    }
    if (delayed) inner_.commit(std::move(delayed->batch), std::move(delayed->done));
    return delayed.has_value();
  }

  Result<LedgerRecovery> recover() override { return inner_.recover(); }
  Result<std::vector<JobRecord>> list(JobId before, std::size_t limit) override { return inner_.list(before, limit); }
  Result<JobRecord> get(JobId id) override { return inner_.get(id); }
  Result<std::vector<EventRecord>> events(EventNumber after, JobId job, std::size_t limit) override {
    return inner_.events(after, job, limit);
  }

  void commit(LedgerBatch batch, Committed done) override {
    std::unique_lock lock(mutex_);
    if (poisoned_) {
      const Error error = error_;
      lock.unlock();
      done(error);
      return;
    }
    if (commits_until_fault_ == 0 || --commits_until_fault_ > 0) {
      lock.unlock();
      inner_.commit(std::move(batch), std::move(done));
      return;
    }
    switch (fault_) {
      case CommitFault::kLost:
        return;
      case CommitFault::kDelayed:
        delayed_ = Delayed{std::move(batch), std::move(done)};
        return;
      case CommitFault::kFails:
      case CommitFault::kFailsThoughStored:
        break;
    }
    poisoned_ = true;
    const Error error = error_;
    const bool stored = fault_ == CommitFault::kFailsThoughStored;
    lock.unlock();
    if (!stored) {
      done(error);
      return;
    }
    inner_.commit(std::move(batch), [done = std::move(done), error](const Result<void>&) { done(error); });
  }

 private:
  struct Delayed {
    LedgerBatch batch;
    Committed done;
  };
  static Error default_error() { return unavailable("ledger.injected", "injected fault"); }

  JobLedger& inner_;
  std::mutex mutex_;
  // All below is guarded by mutex_.
  int commits_until_fault_ = 0;
  CommitFault fault_ = CommitFault::kFails;
  Error error_;
  bool poisoned_ = false;
  std::optional<Delayed> delayed_;
};

}  // namespace trainyard::store::testing
