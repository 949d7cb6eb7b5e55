#pragma once
#include <vector>

#include "adapters/sqlite/internal/session.h"
#include "store/job_ledger.h"

namespace trainyard::adapters::sqlite::internal {

// The tables of the ledger (docs/formats/ledger.md) over one session. Every row carries a checksum of its other columns, which every read
// checks: a row that does not match is DATA_LOSS "ledger.corrupt".

/// Checks that the file is a ledger of a known version with exactly its tables, and returns the version. Errors: FAILED_PRECONDITION
/// "ledger.newer" for a file of a newer version, DATA_LOSS "ledger.corrupt".
Result<std::int64_t> check_tables(Session& session);
/// The same, but makes the tables in a fresh file and brings those of an older version to this one. Others may do the same meanwhile.
Result<void> prepare_tables(Session& session);
/// Checks the structure of every page and that indexes agree with their tables, which row checksums do not cover. Errors: DATA_LOSS
/// "ledger.corrupt".
Result<void> check_pages(Session& session);

// Writes, inside the transaction that the caller opened.

/// Raises the epoch and returns it.
Result<std::uint64_t> raise_epoch(Session& session);
/// Errors: ABORTED "ledger.fenced" when the epoch is another one.
Result<void> check_epoch(Session& session, std::uint64_t epoch);
/// Writes all of `batch`.
Result<void> write_batch(Session& session, const store::LedgerBatch& batch);

// Reads, inside the transaction that the caller opened. They do what the methods of store::JobLedger say.

/// The epoch is the one that is held, 0 in a file of version 1.
Result<store::LedgerRecovery> read_recovery(Session& session);
Result<std::vector<store::JobRecord>> read_jobs(Session& session, JobId before, std::size_t limit);
Result<store::JobRecord> read_job(Session& session, JobId id);
Result<std::vector<store::EventRecord>> read_events(Session& session, EventNumber after, JobId job, std::size_t limit);

}  // namespace trainyard::adapters::sqlite::internal
