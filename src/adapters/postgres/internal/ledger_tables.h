#pragma once
#include <string>
#include <vector>

#include "adapters/postgres/internal/session.h"
#include "store/job_ledger.h"

namespace trainyard::adapters::postgres::internal {

// The tables of the ledger (docs/formats/ledger.md) over one session. Every row carries a checksum of its other columns, which every read
// checks: a row that does not match is DATA_LOSS "ledger.corrupt".

/// Makes the tables where they are absent. Errors: FAILED_PRECONDITION "ledger.newer" when a newer version wrote them.
Result<void> prepare_tables(Session& session);
/// Prepares the statements below in a new connection.
Result<void> prepare_writes(Session& session);
Result<void> prepare_reads(Session& session);

/// Raises the epoch and notes that this session holds it; returns the epoch. The caller has opened a transaction.
Result<std::uint64_t> raise_epoch(Session& session);
/// Notes a new session of the holder. False when the epoch is another one.
Result<bool> note_session(Session& session, std::uint64_t epoch);
/// Ends the session of the holder that the ledger names, unless it is this one.
Result<void> end_holder(Session& session);

/// Sends a whole batch as one transaction, without waiting for the answer: Session::receive_pipeline("COMMIT") tells how it ended.
Result<void> send_batch(Session& session, const store::LedgerBatch& batch, std::uint64_t epoch);
/// Whether an error of the pipeline says that the epoch is another one.
bool says_fenced(const Error& error);

/// Live jobs, keys and the newest job and event. The caller has opened a transaction that sees one snapshot.
Result<store::LedgerRecovery> read_recovery(Session& session);
Result<std::vector<store::JobRecord>> read_jobs(Session& session, JobId before, std::size_t limit);
Result<store::JobRecord> read_job(Session& session, JobId id);
Result<std::vector<store::EventRecord>> read_events(Session& session, EventNumber after, JobId job, std::size_t limit);

}  // namespace trainyard::adapters::postgres::internal
