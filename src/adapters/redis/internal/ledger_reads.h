#pragma once
#include <vector>

#include "adapters/redis/internal/connection.h"
#include "adapters/redis/internal/ledger_keys.h"
#include "store/job_ledger.h"

namespace trainyard::adapters::redis::internal {

// Reads of the ledger over one connection, in pages. They do what the methods of store::JobLedger say.

/// Fills live jobs and idempotency keys; `last_job`, `last_event` and `epoch` are there already, and what is read is checked against them.
Result<void> read_recovery(Connection& connection, const LedgerKeys& keys, store::LedgerRecovery& recovery);
Result<std::vector<store::JobRecord>> read_jobs(Connection& connection, const LedgerKeys& keys, JobId before, std::size_t limit);
Result<store::JobRecord> read_job(Connection& connection, const LedgerKeys& keys, JobId id);
Result<std::vector<store::EventRecord>> read_events(Connection& connection, const LedgerKeys& keys, EventNumber after, std::size_t limit);
Result<std::vector<store::EventRecord>> read_events_of(Connection& connection, const LedgerKeys& keys, JobId job, EventNumber after,
                                                       std::size_t limit);

}  // namespace trainyard::adapters::redis::internal
