#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "domain/ids.h"

namespace trainyard::store {

/// The durable form of one job: an opaque checksummed text written by `jobs`, with the few columns that listings select by.
struct JobRecord {
  JobId id;
  bool live = true;  ///< False once the job is terminal: recovery loads live ones only.
  TimePoint changed_at;
  std::string body;  ///< JSON.
};

/// One published fact about a job. Numbers are gapless over the installation.
struct EventRecord {
  EventNumber number;
  JobId job;
  TimePoint time;
  std::string type;  ///< "submitted", "started", "succeeded" ...
  std::string body;  ///< JSON.
};

/// What one idempotency key did: the same key and fingerprint again answers with the same job.
struct IdempotencyRecord {
  std::string key;
  std::string fingerprint;  ///< Hash of the request body.
  JobId job;
  TimePoint created_at;
};

/// How many idempotency keys one commit drops at most, so that no commit takes long.
inline constexpr std::size_t kForgottenKeysMax = 4096;

/// Changes that become durable together or not at all.
struct LedgerBatch {
  std::vector<JobRecord> jobs;      ///< Of two records of one job the later counts.
  std::vector<EventRecord> events;  ///< Their numbers go on from the last committed event without a gap.
  std::vector<IdempotencyRecord> idempotency;
  /// Drops keys that were made before this time, the oldest first and at most kForgottenKeysMax, before `idempotency` is written. Who
  /// wants to be rid of more says so again in the next batch.
  std::optional<TimePoint> forget_keys_before;
  bool empty() const { return jobs.empty() && events.empty() && idempotency.empty() && !forget_keys_before; }
};

/// All that a starting server needs.
struct LedgerRecovery {
  std::vector<JobRecord> live_jobs;            ///< By id.
  std::vector<IdempotencyRecord> idempotency;  ///< All that are not forgotten, oldest first.
  JobId last_job;                              ///< The highest id ever given.
  EventNumber last_event;
  std::uint64_t epoch = 0;  ///< Counts the recoveries of the installation: the fence of this holder's commits.
};

/// The durable truth about jobs. Errors of every method: RESOURCE_EXHAUSTED "io.disk_full", UNAVAILABLE "ledger.unavailable", DATA_LOSS
/// "ledger.corrupt". `recover` and `commit` are called from one strand; the reads may be called from any thread and block.
///
/// Several processes may open one ledger, but only one holds it: the one that recovered last. Recovery raises the installation's epoch
/// in the ledger itself, and every commit compares its holder's epoch with that in the transaction that makes it durable. A holder that
/// was overtaken, however long it slept, changes nothing any more, and learns it from its next commit.
class JobLedger {
 public:
  using Committed = std::function<void(Result<void>)>;

  virtual ~JobLedger() = default;

  /// Takes the ledger over: durably raises the epoch, then loads the state of the last commit that was acknowledged, to which no earlier
  /// holder can add. Called once, before the first commit. A ledger that was opened for reading only raises nothing.
  virtual Result<LedgerRecovery> recover() = 0;
  /// Makes `batch` durable, then calls `done` exactly once, from a thread of the ledger's. Batches become durable in call order; at most
  /// one call is in flight. An empty batch is answered too, and tells whether the ledger is still held. After a failure every later
  /// commit fails: nothing may be shown that a crash could undo. Errors: ABORTED "ledger.fenced" when another one has recovered
  /// meanwhile (nothing of the batch is durable); FAILED_PRECONDITION "ledger.not_recovered" before `recover`; INTERNAL
  /// "ledger.event_number" when event numbers leave a gap or repeat; any other error leaves open whether the batch is durable.
  virtual void commit(LedgerBatch batch, Committed done) = 0;
  /// Jobs with id < `before` (0 = from the newest), newest first, terminal ones included.
  virtual Result<std::vector<JobRecord>> list(JobId before, std::size_t limit) = 0;
  /// Errors: NOT_FOUND "job.unknown".
  virtual Result<JobRecord> get(JobId id) = 0;
  /// Events with number > `after`, ascending; of one job when `job` is valid.
  virtual Result<std::vector<EventRecord>> events(EventNumber after, JobId job, std::size_t limit) = 0;
};

}  // namespace trainyard::store
