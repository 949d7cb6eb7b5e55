#pragma once
#include <memory>
#include <string>

#include "adapters/sqlite/sqlite_database.h"
#include "base/file.h"
#include "store/database.h"

namespace trainyard::adapters::sqlite::testing {

/// A database of its own, removed with it: for unit tests of repositories. It is a SQLite file whose commits are not synced unless
/// `durable`, which makes it fast and changes nothing a test can see. With TRAINYARD_TEST_DATABASE=postgres it is a schema in a PostgreSQL
/// that the test program starts, so that the same tests show that the repositories work over both; where servers are left out on purpose,
/// the program ends with code 77 then. Its constructor aborts when the database cannot be made.
class TemporaryDatabase {
 public:
  explicit TemporaryDatabase(bool durable = false);
  ~TemporaryDatabase();
  TemporaryDatabase(const TemporaryDatabase&) = delete;
  TemporaryDatabase& operator=(const TemporaryDatabase&) = delete;

  store::Database& database() { return *database_; }
  /// Leaves the database as a restarted process finds it. References to the old one are invalid afterwards.
  void reopen();
  /// Of the SQLite file.
  std::string path() const { return directory_ + "/trainyard.db"; }

 private:
  bool durable_;
  std::string directory_;
  std::string postgres_url_;  // empty: SQLite
  std::unique_ptr<store::Database> database_;
};

}  // namespace trainyard::adapters::sqlite::testing
