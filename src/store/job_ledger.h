#pragma once
#include <functional>
#include <map>
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

/// Changes that become durable together or not at all.
struct LedgerBatch {
  std::vector<JobRecord> jobs;
  std::vector<EventRecord> events;
  std::vector<IdempotencyRecord> idempotency;
  bool empty() const { return jobs.empty() && events.empty() && idempotency.empty(); }
};

/// All that a starting server needs.
struct LedgerRecovery {
  std::vector<JobRecord> live_jobs;  ///< By id.
  std::vector<IdempotencyRecord> idempotency;
  JobId last_job;  ///< The highest id ever given.
  EventNumber last_event;
};

/// The durable truth about jobs. Errors of every method: RESOURCE_EXHAUSTED "io.disk_full", UNAVAILABLE, DATA_LOSS "ledger.corrupt".
/// `commit` is called from one strand; the reads may be called from any thread and block.
class JobLedger {
 public:
  using Committed = std::function<void(Result<void>)>;

  virtual ~JobLedger() = default;

  /// Loads the state of the last commit that was acknowledged.
  virtual Result<LedgerRecovery> recover() = 0;
  /// Makes `batch` durable, then calls `done` exactly once, from a thread of the ledger's. Batches become durable in call order; at most
  /// one call is in flight. After a failure every later commit fails too: nothing may be shown that a crash could undo.
  virtual void commit(LedgerBatch batch, Committed done) = 0;
  /// Jobs with id < `before` (0 = from the newest), newest first, terminal ones included.
  virtual Result<std::vector<JobRecord>> list(JobId before, std::size_t limit) = 0;
  /// Errors: NOT_FOUND "job.unknown".
  virtual Result<JobRecord> get(JobId id) = 0;
  /// Events with number > `after`, ascending; of one job when `job` is valid.
  virtual Result<std::vector<EventRecord>> events(EventNumber after, JobId job, std::size_t limit) = 0;
};

}  // namespace trainyard::store
