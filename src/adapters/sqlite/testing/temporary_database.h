#pragma once
#include <memory>
#include <string>

#include "adapters/sqlite/sqlite_database.h"
#include "base/file.h"

namespace trainyard::adapters::sqlite::testing {

/// A database in a directory of its own, removed with it: for unit tests of repositories. Commits are not synced unless `durable`, which
/// makes it fast and changes nothing a test can see. Its constructor aborts when there is no place for temporary files.
class TemporaryDatabase {
 public:
  explicit TemporaryDatabase(bool durable = false)
      : durable_(durable), directory_(make_temporary_directory("trainyard-database-").value()) {
    reopen();
  }
  ~TemporaryDatabase() {
    database_.reset();
    (void)remove_tree(directory_).ok();
  }
  TemporaryDatabase(const TemporaryDatabase&) = delete;
  TemporaryDatabase& operator=(const TemporaryDatabase&) = delete;

  store::Database& database() { return *database_; }
  /// Leaves the database as a restarted process finds it. References to the old one are invalid afterwards.
  void reopen() {
    database_.reset();
    database_ = make_sqlite_database({.path = path(), .durable = durable_}).value();
  }
  std::string path() const { return directory_ + "/trainyard.db"; }

 private:
  bool durable_;
  std::string directory_;
  std::unique_ptr<store::Database> database_;
};

}  // namespace trainyard::adapters::sqlite::testing
