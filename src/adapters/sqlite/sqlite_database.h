#pragma once
#include <memory>
#include <string>

#include "base/time.h"
#include "store/database.h"

namespace trainyard::adapters::sqlite {

struct SqliteDatabaseSettings {
  std::string path;                                  ///< The database file; made with mode 0600 when it is absent. Its directory exists.
  Duration busy_timeout = std::chrono::seconds(10);  ///< How long a write waits for another process, a read for a connection.
  std::size_t readers = 2;                           ///< Connections for reads; more reads than that at once wait.
  bool durable = true;                               ///< False trades durability for speed: for tests that never lose power.
  bool read_only = false;                            ///< Refuses `write` (UNAVAILABLE "db.read_only"): opens a file on a full disk.
};

/// Opens a database in one SQLite file: write-ahead log, every commit synced before it returns, foreign keys enforced, one writer at a
/// time. A commit whose sync failed ends all later writes (UNAVAILABLE "db.unavailable"): what reached the disk is unknown until a restart.
/// `write` must not be called inside `write`. Errors: those of store::Connection; DATA_LOSS "db.corrupt" also when commits that had been
/// acknowledged can no longer be read from the write-ahead log.
Result<std::unique_ptr<store::Database>> make_sqlite_database(const SqliteDatabaseSettings& settings);

}  // namespace trainyard::adapters::sqlite
