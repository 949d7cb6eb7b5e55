#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace trainyard::store {

/// A value in or out of SQL. Blobs travel as std::string. SQL NULL is std::monostate.
using SqlValue = std::variant<std::monostate, std::int64_t, double, std::string>;

/// One result row. Reads out of type or range abort by CHECK: a query and its reader are written together.
class Row {
 public:
  explicit Row(std::vector<SqlValue> values) : values_(std::move(values)) {}
  std::size_t size() const { return values_.size(); }
  bool is_null(std::size_t column) const;
  std::int64_t integer(std::size_t column) const;
  double real(std::size_t column) const;  ///< Also an integer column.
  const std::string& text(std::size_t column) const;
  std::optional<std::string> optional_text(std::size_t column) const;
  std::optional<std::int64_t> optional_integer(std::size_t column) const;

 private:
  std::vector<SqlValue> values_;
};

/// A connection that executes SQL in the dialect SQLite and PostgreSQL share: `INSERT .. ON CONFLICT`, `RETURNING`, `?` parameters, the
/// types BIGINT, DOUBLE PRECISION, TEXT (UTF-8 without NUL, compared byte by byte) and BLOB, written in capitals. Integers stand for truth.
/// LIKE is case-sensitive in one and not in the other: use it on small letters alone. A statement that failed ends its transaction: what
/// follows fails too, and nothing is committed. Errors: ALREADY_EXISTS "db.unique" for a violated UNIQUE or PRIMARY KEY,
/// FAILED_PRECONDITION "db.constraint" for other constraints, RESOURCE_EXHAUSTED "io.disk_full", UNAVAILABLE "db.unavailable", DATA_LOSS
/// "db.corrupt", INTERNAL "db.sql" for a faulty statement.
class Connection {
 public:
  virtual ~Connection() = default;
  /// Runs one statement to its end and returns its rows. Prepared statements are cached by text.
  virtual Result<std::vector<Row>> query(std::string_view sql, const std::vector<SqlValue>& parameters = {}) = 0;
  /// Runs one statement and returns how many rows it changed.
  virtual Result<std::int64_t> execute(std::string_view sql, const std::vector<SqlValue>& parameters = {}) = 0;
};

/// A relational database. `write` and `read` may be called from any thread and block; writes are serialised, a read sees a consistent
/// snapshot. The connection must not be kept after the function returns.
class Database {
 public:
  virtual ~Database() = default;
  /// Runs `work` in one durable transaction: it is committed when `work` succeeds, rolled back when it returns an error.
  virtual Result<void> write(const std::function<Result<void>(Connection&)>& work) = 0;
  /// Runs `work` in one read transaction.
  virtual Result<void> read(const std::function<Result<void>(Connection&)>& work) = 0;
};

/// One numbered step of a schema. Numbers are dense from 1 inside one component; released steps never change.
struct Migration {
  std::int64_t number = 0;
  std::string_view sql;  ///< Statements separated by ";\n".
};

/// Brings the tables of `component` to the newest step, each step in a transaction of its own, recorded in `schema_migrations`.
/// Errors: FAILED_PRECONDITION "db.schema_newer" when the database was written by a newer version.
Result<void> migrate(Database& database, std::string_view component, const std::vector<Migration>& migrations);

}  // namespace trainyard::store
