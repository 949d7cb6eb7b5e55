#pragma once
#include <memory>
#include <string>

#include "base/time.h"
#include "store/database.h"

namespace trainyard::adapters::postgres {

struct PostgresDatabaseSettings {
  /// postgresql://[user[:password]@][host][:port]/database[?schema=..&..]; the tables lie in a schema of that name, "trainyard" by default.
  std::string url;
  Duration connect_timeout = std::chrono::seconds(5);
  Duration starting_timeout = std::chrono::seconds(60);          ///< How long a server that is starting is waited for.
  Duration statement_timeout = std::chrono::seconds(30);         ///< After which the server gives up a statement.
  Duration busy_timeout = std::chrono::seconds(10);              ///< How long a write waits for another process, a read for a connection.
  Duration idle_transaction_timeout = std::chrono::seconds(60);  ///< A process that stops amid a write lets go of it after this long.
  std::size_t readers = 2;                                       ///< Connections for reads; more reads than that at once wait.
};

/// Opens a database in PostgreSQL 12 or newer. All writers to one schema, of every process, take turns, as those of a SQLite file do: a
/// transaction holds an advisory lock, so that none ever fails because of another and `work` runs once. Reads see one snapshot. A
/// connection that was lost is replaced before the next transaction; one that is lost inside a transaction fails it (UNAVAILABLE
/// "db.unavailable"), and when that happens in the commit the error says that the outcome is unknown. `write` must not be called inside
/// `write`. Errors: those of store::Connection, INVALID_ARGUMENT "state.url", PERMISSION_DENIED "db.access", FAILED_PRECONDITION
/// "db.unsafe_settings". No error text holds a secret of the URL.
Result<std::unique_ptr<store::Database>> make_postgres_database(const PostgresDatabaseSettings& settings);

}  // namespace trainyard::adapters::postgres
