#pragma once
#include <memory>
#include <string>

#include "store/job_ledger.h"

namespace trainyard::adapters::sqlite {

struct SqliteJobLedgerSettings {
  std::string path;  ///< The ledger file; made with mode 0600 when it is absent. Its directory exists.
  std::uint64_t check_bytes_max = std::uint64_t{256} << 20;  ///< Files up to this size are checked page by page when opened.
  int checkpoint_pages = 1000;  ///< Length of the write-ahead log, in 4 KiB pages, that is moved into the file.
  bool read_only = false;       ///< Takes no commit (UNAVAILABLE "ledger.read_only") and writes nothing: for a ledger on a full disk.
};

/// Opens the ledger in one SQLite file (docs/formats/ledger.md); one of an older version is brought to this one. It has one thread, which
/// writes, syncs and answers commits; a commit that waits when the ledger is destroyed is still carried out. Reads go through a connection
/// of their own and check the checksum of every row. Several processes may open the file; a commit waits up to 10 s for another's.
/// Failpoints: "ledger.before_commit", "ledger.after_write_before_commit", "ledger.after_commit". Errors: RESOURCE_EXHAUSTED
/// "io.disk_full", UNAVAILABLE "ledger.unavailable", DATA_LOSS "ledger.corrupt", FAILED_PRECONDITION "ledger.newer" for a file of a newer
/// version.
Result<std::unique_ptr<store::JobLedger>> make_sqlite_job_ledger(const SqliteJobLedgerSettings& settings);

}  // namespace trainyard::adapters::sqlite
