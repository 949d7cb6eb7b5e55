#pragma once
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "store/database.h"

struct sqlite3;
struct sqlite3_stmt;

namespace trainyard::adapters::sqlite::internal {

/// A prepared statement in use. It is reset and its parameters are forgotten when it goes out of scope.
class Statement {
 public:
  Statement(sqlite3* database, sqlite3_stmt* statement) : database_(database), statement_(statement) {}
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  /// Parameters count from 1. Text is not copied: it must outlive the execution.
  void bind(int index, std::int64_t value);
  void bind(int index, std::string_view text);
  void bind(int index, const store::SqlValue& value);
  int parameter_count() const;

  /// Moves to the next row: true when there is one, false at the end.
  Result<bool> step();
  /// Runs to the end, and makes the statement ready to be bound and run again.
  Result<void> run();

  int column_count() const;
  std::int64_t integer(int column) const;
  std::string text(int column) const;
  store::SqlValue value(int column) const;

 private:
  sqlite3* database_;
  sqlite3_stmt* statement_;
};

struct SessionSettings {
  std::string path;
  Duration busy_timeout = std::chrono::seconds(10);
  bool query_only = false;
  /// The only session on the file: it needs no shared memory, and so opens on a full disk. It leaves the write-ahead log as it is.
  bool exclusive = false;
  bool durable = true;
  bool own_checkpoints = false;  ///< The caller watches `log_pages` and calls `checkpoint`; otherwise SQLite does at 1,000 pages.
};

/// One connection to a database file in write-ahead mode, with a cache of prepared statements. For one thread at a time.
/// Errors of every method are those of store::Connection.
class Session {
 public:
  static Result<std::unique_ptr<Session>> open(const SessionSettings& settings);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// The one statement in `sql`, prepared once per text.
  Result<Statement> prepare(std::string_view sql);
  /// Prepares, runs to the end and drops the rows.
  Result<void> run(std::string_view sql);
  /// The integer in the first column of the first row.
  Result<std::int64_t> integer(std::string_view sql);

  /// How many rows the last INSERT, UPDATE or DELETE changed itself.
  std::int64_t last_changes() const;
  /// How many rows all statements changed, with what followed from them: other statements leave it as it is.
  std::int64_t total_changes() const;
  /// False after BEGIN, until COMMIT, ROLLBACK or an error that rolled back by itself.
  bool in_transaction() const;
  /// Rolls an open transaction back.
  void roll_back();
  /// Pages in the write-ahead log after the last commit of this session; counted with `own_checkpoints`.
  int log_pages() const { return log_pages_; }
  /// Moves what the write-ahead log holds into the file as far as readers allow. Busy is no error.
  Result<void> checkpoint();
  const std::string& path() const { return path_; }

 private:
  explicit Session(std::string path) : path_(std::move(path)) {}
  Result<void> configure(const SessionSettings& settings);
  void forget_statements();

  struct Closer {
    void operator()(sqlite3* database) const;
  };

  std::string path_;
  std::unique_ptr<sqlite3, Closer> database_;
  std::map<std::string, sqlite3_stmt*, std::less<>> statements_;
  int log_pages_ = 0;
};

/// Refuses a database file that was cut to a stump, or whose write-ahead log has lost acknowledged commits. Called before a session on the
/// file is opened. Errors: NOT_FOUND, DATA_LOSS "db.corrupt" and those of the system.
Result<void> check_database_file(const std::string& path);
/// The same, but makes the file, with mode 0600, when it is absent, and makes an existing one private.
Result<void> prepare_database_file(const std::string& path);

}  // namespace trainyard::adapters::sqlite::internal
