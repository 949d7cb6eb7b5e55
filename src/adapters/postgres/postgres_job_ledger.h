#pragma once
#include <memory>
#include <string>

#include "base/time.h"
#include "store/job_ledger.h"

namespace trainyard::adapters::postgres {

struct PostgresJobLedgerSettings {
  /// postgresql://[user[:password]@][host][:port]/database[?schema=..&..]; the tables lie in a schema of that name, "trainyard" by default.
  std::string url;
  Duration connect_timeout = std::chrono::seconds(5);
  Duration starting_timeout = std::chrono::seconds(60);  ///< How long a server that is starting is waited for.
  Duration read_timeout = std::chrono::seconds(30);      ///< After which the server gives up a read.
  Duration commit_timeout = std::chrono::seconds(60);    ///< Of the answer to a commit; without one the commit has failed.
  Duration takeover_timeout = std::chrono::seconds(5);   ///< How long the commit of an earlier holder is waited for, before it is ended.
  Duration idle_check = std::chrono::seconds(5);  ///< A connection unused for longer is tried, and replaced, before a commit is sent.
};

/// Opens a ledger in PostgreSQL 12 or newer (docs/formats/ledger.md). A batch is one transaction with `synchronous_commit = on`, sent in
/// one go over a connection of its own; it starts by locking the epoch and comparing it. A holder that stopped amid a commit, and so holds
/// the lock, is disconnected by the one that takes over. Reads go over a second connection, which connects again by itself, and check the
/// checksum of every row; a commit whose answer does not come is a failed one. No error text holds a secret of the URL. Failpoints:
/// "ledger.before_commit", "ledger.after_write_before_commit" (sent, not answered), "ledger.after_commit". Errors: INVALID_ARGUMENT
/// "state.url", UNAVAILABLE "ledger.unavailable", PERMISSION_DENIED "ledger.access", FAILED_PRECONDITION "ledger.unsafe_settings" and
/// "ledger.newer", RESOURCE_EXHAUSTED "io.disk_full", DATA_LOSS "ledger.corrupt".
Result<std::unique_ptr<store::JobLedger>> make_postgres_job_ledger(const PostgresJobLedgerSettings& settings);

}  // namespace trainyard::adapters::postgres
