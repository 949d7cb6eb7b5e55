#pragma once
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "store/job_ledger.h"

namespace trainyard::store {

/// The writing half of a ledger whose storage blocks: one thread that carries out a commit at a time, the epoch it holds, and the rule that
/// nothing is written after a failure. An adapter says how its storage is taken over and written; the steps run one at a time, on the
/// caller's thread or the writer's. Make it the last member of the adapter, so that it ends first.
class LedgerWriter {
 public:
  struct Steps {
    /// Raises the epoch durably and loads the ledger, as JobLedger::recover says.
    std::function<Result<LedgerRecovery>()> take_over;
    /// Makes the batch durable if `epoch` still is the ledger's; otherwise ABORTED "ledger.fenced".
    std::function<Result<void>(const LedgerBatch& batch, std::uint64_t epoch)> write;
    /// Runs after an answer was given, so that nobody waits for it. May be empty.
    std::function<Result<void>()> after_answer;
  };

  explicit LedgerWriter(Steps steps);
  /// Carries out a commit that waits, then ends the thread.
  ~LedgerWriter();
  LedgerWriter(const LedgerWriter&) = delete;
  LedgerWriter& operator=(const LedgerWriter&) = delete;

  // As JobLedger says.
  Result<LedgerRecovery> recover();
  void commit(LedgerBatch batch, JobLedger::Committed done);

 private:
  struct Request {
    LedgerBatch batch;
    JobLedger::Committed done;
  };

  void serve();
  Result<void> write(const LedgerBatch& batch);
  void finish_answer();
  void note_failure(const Error& error);

  const Steps steps_;

  std::mutex steps_mutex_;              // held while a step runs
  std::optional<std::uint64_t> epoch_;  // guarded by steps_mutex_; none before the recovery
  EventNumber last_event_;              // guarded by steps_mutex_
  std::optional<Error> failed_;         // guarded by steps_mutex_

  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Request> request_;  // guarded by mutex_
  bool in_flight_ = false;          // guarded by mutex_
  bool stopping_ = false;           // guarded by mutex_

  std::thread thread_;
};

}  // namespace trainyard::store
