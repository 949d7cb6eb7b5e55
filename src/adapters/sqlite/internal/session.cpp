#include "adapters/sqlite/internal/session.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

#include "adapters/sqlite/internal/log_check.h"
#include "base/file.h"

namespace trainyard::adapters::sqlite::internal {
namespace {

constexpr std::size_t kStatementsMax = 256;
constexpr off_t kFileSizeMin = 512;  // One page of the smallest size.

bool is_disk_full(sqlite3* database, int code) {
  if ((code & 0xff) == SQLITE_FULL) return true;
  const int error_number = database == nullptr ? 0 : sqlite3_system_errno(database);
  return ((code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN) && (error_number == ENOSPC || error_number == EDQUOT);
}

/// `code` is an extended result code.
Error error_of(sqlite3* database, int code, std::string_view doing) {
  const char* message = database == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(database);
  const std::string detail = fmt::format("{} ({}, code {})", doing, message, code);
  if (is_disk_full(database, code)) {
    return {Category::kResourceExhausted, "io.disk_full", "the disk is full, free some space: " + detail, {}, {}};
  }
  switch (code) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
      return {Category::kAlreadyExists, "db.unique", "there is already a row with this key: " + detail, {}, {}};
    case SQLITE_IOERR_CORRUPTFS:
    case SQLITE_IOERR_DATA:
      return data_loss("db.corrupt", "the database file is damaged, restore it from a backup: " + detail);
    default:
      break;
  }
  switch (code & 0xff) {
    case SQLITE_CONSTRAINT:
      return failed_precondition("db.constraint", "the change violates a constraint: " + detail);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return data_loss("db.corrupt", "the database file is damaged, restore it from a backup: " + detail);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return unavailable("db.unavailable", "the database is busy with another process: " + detail);
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_NOMEM:
    case SQLITE_NOLFS:
    case SQLITE_PROTOCOL:
      return unavailable("db.unavailable", "the database file cannot be used, look at the disk: " + detail);
    default:
      return internal_error("db.sql", "a statement failed: " + detail);
  }
}

std::string_view brief(std::string_view sql) { return sql.substr(0, 200); }

}  // namespace

Statement::Statement(Statement&& other) noexcept : database_(other.database_), statement_(std::exchange(other.statement_, nullptr)) {}

Statement::~Statement() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

void Statement::bind(int index, std::int64_t value) {
  CHECK(sqlite3_bind_int64(statement_, index, value) == SQLITE_OK, "a parameter is out of range");
}

void Statement::bind(int index, std::string_view text) {
  // An empty view may have no address, which SQLite would take for NULL.
  const char* data = text.empty() ? "" : text.data();
  const int code = sqlite3_bind_text64(statement_, index, data, text.size(), SQLITE_STATIC, SQLITE_UTF8);
  CHECK(code == SQLITE_OK, "a parameter is out of range or longer than 1 GB");
}

void Statement::bind(int index, const store::SqlValue& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    bind(index, *integer);
  } else if (const auto* real = std::get_if<double>(&value)) {
    CHECK(sqlite3_bind_double(statement_, index, *real) == SQLITE_OK, "a parameter is out of range");
  } else if (const auto* text = std::get_if<std::string>(&value)) {
    bind(index, std::string_view(*text));
  } else {
    CHECK(sqlite3_bind_null(statement_, index) == SQLITE_OK, "a parameter is out of range");
  }
}

int Statement::parameter_count() const { return sqlite3_bind_parameter_count(statement_); }

Result<bool> Statement::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return error_of(database_, code, brief(sqlite3_sql(statement_)));
}

Result<void> Statement::run() {
  for (;;) {
    ASSIGN_OR_RETURN(const bool more, step());
    if (!more) break;
  }
  sqlite3_reset(statement_);
  return {};
}

int Statement::column_count() const { return sqlite3_column_count(statement_); }

std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_, column); }

std::string Statement::text(int column) const {
  const void* bytes = sqlite3_column_blob(statement_, column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
  return size == 0 ? std::string() : std::string(static_cast<const char*>(bytes), size);
}

store::SqlValue Statement::value(int column) const {
  switch (sqlite3_column_type(statement_, column)) {
    case SQLITE_INTEGER:
      return sqlite3_column_int64(statement_, column);
    case SQLITE_FLOAT:
      return sqlite3_column_double(statement_, column);
    case SQLITE_NULL:
      return std::monostate{};
    default:
      return text(column);
  }
}

void Session::Closer::operator()(sqlite3* database) const { sqlite3_close_v2(database); }

Session::~Session() { forget_statements(); }

Result<std::unique_ptr<Session>> Session::open(const SessionSettings& settings) {
  std::unique_ptr<Session> session(new Session(settings.path));
  sqlite3* database = nullptr;
  constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int code = sqlite3_open_v2(settings.path.c_str(), &database, kFlags, nullptr);
  session->database_.reset(database);
  if (code != SQLITE_OK) return error_of(database, code, "opening " + settings.path);
  if (Result<void> done = session->configure(settings); !done.ok()) {
    return std::move(done).error().with_context("opening " + settings.path);
  }
  return session;
}

Result<void> Session::configure(const SessionSettings& settings) {
  const auto timeout = std::chrono::duration_cast<std::chrono::milliseconds>(settings.busy_timeout);
  sqlite3_busy_timeout(database_.get(), static_cast<int>(timeout.count()));
  if (settings.exclusive) {
    TRY(run("PRAGMA locking_mode=EXCLUSIVE"));
    sqlite3_db_config(database_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  }
  {
    ASSIGN_OR_RETURN(Statement mode, prepare("PRAGMA journal_mode=WAL"));
    ASSIGN_OR_RETURN(const bool answered, mode.step());
    if (!answered || mode.text(0) != "wal") {
      return unavailable("db.unavailable", "the file system of the database cannot hold a write-ahead log: " + path_);
    }
  }
  TRY(run(settings.durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=OFF"));
  for (const char* pragma : {"PRAGMA foreign_keys=ON", "PRAGMA trusted_schema=OFF", "PRAGMA cell_size_check=ON", "PRAGMA temp_store=MEMORY",
                             "PRAGMA cache_size=-32768", "PRAGMA journal_size_limit=67108864"}) {
    TRY(run(pragma));
  }
  if (settings.query_only) TRY(run("PRAGMA query_only=ON"));
  if (!settings.own_checkpoints) return {};
  // The hook takes the place of SQLite's own, which checkpoints inside the commit.
  const auto note_log_pages = [](void* session, sqlite3*, const char*, int pages) {
    static_cast<Session*>(session)->log_pages_ = pages;
    return SQLITE_OK;
  };
  sqlite3_wal_hook(database_.get(), note_log_pages, this);
  return {};
}

void Session::forget_statements() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  statements_.clear();
}

Result<Statement> Session::prepare(std::string_view sql) {
  if (const auto it = statements_.find(sql); it != statements_.end()) return Statement(database_.get(), it->second);
  // No statement is in use between two calls, so that all may go; a program with that many texts builds them from values.
  if (statements_.size() >= kStatementsMax) forget_statements();
  sqlite3_stmt* statement = nullptr;
  const char* tail = nullptr;
  const auto size = static_cast<int>(sql.size());
  const int code = sqlite3_prepare_v3(database_.get(), sql.data(), size, SQLITE_PREPARE_PERSISTENT, &statement, &tail);
  if (code != SQLITE_OK) return error_of(database_.get(), code, brief(sql));
  const std::string_view rest(tail, static_cast<std::size_t>(sql.data() + sql.size() - tail));
  if (statement == nullptr || rest.find_first_not_of(" \t\r\n;") != std::string_view::npos) {
    sqlite3_finalize(statement);
    return internal_error("db.sql", fmt::format("exactly one statement is run at a time: {}", brief(sql)));
  }
  statements_.emplace(sql, statement);
  return Statement(database_.get(), statement);
}

Result<void> Session::run(std::string_view sql) {
  ASSIGN_OR_RETURN(Statement statement, prepare(sql));
  return statement.run();
}

Result<std::int64_t> Session::integer(std::string_view sql) {
  ASSIGN_OR_RETURN(Statement statement, prepare(sql));
  ASSIGN_OR_RETURN(const bool found, statement.step());
  return found ? statement.integer(0) : std::int64_t{0};
}

std::int64_t Session::total_changes() const { return sqlite3_total_changes64(database_.get()); }

std::int64_t Session::last_changes() const { return sqlite3_changes64(database_.get()); }

bool Session::in_transaction() const { return sqlite3_get_autocommit(database_.get()) == 0; }

void Session::roll_back() {
  // A rollback that fails leaves the transaction open, and the next BEGIN reports it.
  if (in_transaction()) (void)run("ROLLBACK").ok();
}

Result<void> Session::checkpoint() {
  const int code = sqlite3_wal_checkpoint_v2(database_.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  if (code == SQLITE_OK || (code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED) return {};
  return error_of(database_.get(), code, "checkpoint of " + path_);
}

Result<void> check_database_file(const std::string& path) {
  // The file itself is not opened here: closing it would drop the locks of another session of this process.
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return system_error(errno, "open", path);
  if (!S_ISREG(info.st_mode)) return failed_precondition("db.not_a_file", "the database is no plain file: " + path);
  // SQLite would take the stump of a file for a fresh one; nothing at all is what a crash right after its making leaves.
  if (info.st_size > 0 && info.st_size < kFileSizeMin) {
    return data_loss("db.corrupt", fmt::format("the database file was cut to {} bytes, restore it from a backup: {}", info.st_size, path));
  }
  return check_write_ahead_log(path + "-wal");
}

Result<void> prepare_database_file(const std::string& path) {
  const Result<void> checked = check_database_file(path);
  if (checked.ok()) return ::chmod(path.c_str(), 0600) == 0 ? Result<void>() : system_error(errno, "chmod", path);
  if (checked.error().category != Category::kNotFound) return checked;
  // A log without its file belongs to a file that was lost: SQLite would delete it.
  if (file_exists(path + "-wal")) {
    return data_loss("db.corrupt",
                     "the database file is gone but its write-ahead log is there, restore the file or remove the log: " + path);
  }
  Result<UniqueFd> made = open_file(path, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (!made.ok() && made.error().category != Category::kAlreadyExists) return std::move(made).error();
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return sync_directory(parent.empty() ? "." : parent);
}

}  // namespace trainyard::adapters::sqlite::internal
