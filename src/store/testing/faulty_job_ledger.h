#pragma once
#include <memory>
#include <mutex>
#include <utility>

#include "base/rng.h"
#include "store/job_ledger.h"

namespace trainyard::store::testing {

/// What goes wrong with one commit.
enum class CommitFault {
  kFails,              ///< Not durable, answered with an error; every later commit fails too.
  kFailsThoughStored,  ///< Outcome unknown: durable, but answered with an error; every later commit fails too.
  kDelayed,            ///< Waits for `release_delayed`, which passes it on.
  kLost,               ///< The process dies before the batch is durable: neither durable nor answered, and nothing is any more.
  kTorn,               ///< The process dies while the batch is written: by chance all of it is durable or nothing, never a part; no answer.
};

/// How often each fault comes, one in so many commits; 0 is never.
struct CommitFaultOdds {
  std::uint64_t fails = 0;
  std::uint64_t fails_though_stored = 0;
  std::uint64_t delayed = 0;
  std::uint64_t lost = 0;
  std::uint64_t torn = 0;
};

/// Passes calls on to `inner` until told that a commit goes wrong: the n-th from now, or each by chance. Reads are never touched.
/// Thread-safe.
class FaultyJobLedger final : public JobLedger {
 public:
  explicit FaultyJobLedger(JobLedger& inner) : inner_(inner) {}
  explicit FaultyJobLedger(std::unique_ptr<JobLedger> inner) : owned_(std::move(inner)), inner_(*owned_) {}

  /// `n` counts from 1: the next commit.
  void fault_commit(int n, CommitFault fault, Error error = default_error()) {
    const std::lock_guard lock(mutex_);
    commits_until_fault_ = n;
    fault_ = fault;
    error_ = std::move(error);
  }
  /// From now on every commit may go wrong; equal seeds give equal faults.
  void fault_at_random(std::uint64_t seed, CommitFaultOdds odds) {
    const std::lock_guard lock(mutex_);
    rng_ = SeededRng(seed);
    odds_ = odds;
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
  /// True after kLost and kTorn: commits are neither made nor answered any more, as after the death of a process.
  bool crashed() const {
    const std::lock_guard lock(mutex_);
    return crashed_;
  }

  Result<LedgerRecovery> recover() override { return inner_.recover(); }
  Result<std::vector<JobRecord>> list(JobId before, std::size_t limit) override { return inner_.list(before, limit); }
  Result<JobRecord> get(JobId id) override { return inner_.get(id); }
  Result<std::vector<EventRecord>> events(EventNumber after, JobId job, std::size_t limit) override {
    return inner_.events(after, job, limit);
  }

  void commit(LedgerBatch batch, Committed done) override {
    std::unique_lock lock(mutex_);
    if (crashed_) return;
    if (poisoned_) return answer(std::move(lock), done);
    const std::optional<CommitFault> fault = next_fault();
    if (!fault) {
      lock.unlock();
      inner_.commit(std::move(batch), std::move(done));
      return;
    }
    switch (*fault) {
      case CommitFault::kDelayed:
        delayed_ = Delayed{std::move(batch), std::move(done)};
        return;
      case CommitFault::kLost:
        crashed_ = true;
        return;
      case CommitFault::kTorn:
        crashed_ = true;
        if (rng_.below(2) == 0) return;
        lock.unlock();
        inner_.commit(std::move(batch), [](const Result<void>&) {});
        return;
      case CommitFault::kFails:
        poisoned_ = true;
        return answer(std::move(lock), done);
      case CommitFault::kFailsThoughStored:
        poisoned_ = true;
        const Error error = error_;
        lock.unlock();
        inner_.commit(std::move(batch), [done = std::move(done), error](const Result<void>&) { done(error); });
        return;
    }
  }

 private:
  struct Delayed {
    LedgerBatch batch;
    Committed done;
  };
  static Error default_error() { return unavailable("ledger.injected", "injected fault"); }

  void answer(std::unique_lock<std::mutex> lock, const Committed& done) {
    const Error error = error_;
    lock.unlock();
    done(error);
  }

  /// What goes wrong with this commit; none when nothing does. Called with the mutex held.
  std::optional<CommitFault> next_fault() {
    if (commits_until_fault_ > 0 && --commits_until_fault_ == 0) return fault_;
    const std::pair<std::uint64_t, CommitFault> chances[] = {{odds_.fails, CommitFault::kFails},
                                                             {odds_.fails_though_stored, CommitFault::kFailsThoughStored},
                                                             {odds_.delayed, CommitFault::kDelayed},
                                                             {odds_.lost, CommitFault::kLost},
                                                             {odds_.torn, CommitFault::kTorn}};
    for (const auto& [one_in, fault] : chances) {
      if (one_in > 0 && rng_.below(one_in) == 0) return fault;
    }
    return std::nullopt;
  }

  std::unique_ptr<JobLedger> owned_;
  JobLedger& inner_;
  mutable std::mutex mutex_;
  // All below is guarded by mutex_.
  int commits_until_fault_ = 0;
  CommitFault fault_ = CommitFault::kFails;
  Error error_ = default_error();
  SeededRng rng_{1};
  CommitFaultOdds odds_;
  bool poisoned_ = false;
  bool crashed_ = false;
  std::optional<Delayed> delayed_;
};

}  // namespace trainyard::store::testing
