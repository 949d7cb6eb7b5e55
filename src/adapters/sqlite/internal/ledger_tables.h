#pragma once
#include <vector>

#include "adapters/sqlite/internal/session.h"
#include "store/job_ledger.h"

namespace trainyard::adapters::sqlite::internal {

// The tables of the ledger (docs/formats/ledger.md) over one session. Every row carries a checksum of its other columns, which every read
// checks: a row that does not match is DATA_LOSS "ledger.corrupt".

/// Checks that the file is a ledger of this version with exactly its tables. Errors: FAILED_PRECONDITION "ledger.newer" for a file of a
/// newer version, DATA_LOSS "ledger.corrupt".
Result<void> check_tables(Session& session);
/// The same, but makes the tables in a fresh file.
Result<void> create_tables(Session& session);
/// Checks the structure of every page and that indexes agree with their tables, which row checksums do not cover. Errors: DATA_LOSS
/// "ledger.corrupt".
Result<void> check_pages(Session& session);

/// Writes all of `batch` inside the transaction that the caller opened.
Result<void> write_batch(Session& session, const store::LedgerBatch& batch);

// Reads, inside the transaction that the caller opened. They do what the methods of store::JobLedger say.
Result<store::LedgerRecovery> read_recovery(Session& session);
Result<std::vector<store::JobRecord>> read_jobs(Session& session, JobId before, std::size_t limit);
Result<store::JobRecord> read_job(Session& session, JobId id);
Result<std::vector<store::EventRecord>> read_events(Session& session, EventNumber after, JobId job, std::size_t limit);

}  // namespace trainyard::adapters::sqlite::internal
