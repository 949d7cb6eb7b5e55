#include "adapters/sqlite/sqlite_database.h"

#include <fmt/format.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "adapters/sqlite/internal/session.h"

namespace trainyard::adapters::sqlite {
namespace {

using internal::Session;
using internal::SessionSettings;
using internal::Statement;
using Work = std::function<Result<void>(store::Connection&)>;

/// Lends a session to one piece of work, and remembers what failed: no other statement runs after that, and nothing is committed.
class SessionConnection final : public store::Connection {
 public:
  explicit SessionConnection(Session& session) : session_(session) {}

  Result<std::vector<store::Row>> query(std::string_view sql, const std::vector<store::SqlValue>& parameters) override {
    return noted([&] { return run_query(sql, parameters); });
  }
  Result<std::int64_t> execute(std::string_view sql, const std::vector<store::SqlValue>& parameters) override {
    return noted([&] { return run_change(sql, parameters); });
  }
  const std::optional<Error>& failure() const { return failure_; }

 private:
  template <typename Run>
  auto noted(const Run& run) -> decltype(run()) {
    if (failure_) return *failure_;
    auto result = run();
    if (!result.ok()) failure_ = result.error();
    return result;
  }

  Result<std::vector<store::Row>> run_query(std::string_view sql, const std::vector<store::SqlValue>& parameters) {
    ASSIGN_OR_RETURN(Statement statement, session_.prepare(sql));
    TRY(bind(statement, parameters, sql));
    std::vector<store::Row> rows;
    for (;;) {
      ASSIGN_OR_RETURN(const bool more, statement.step());
      if (!more) return rows;
      std::vector<store::SqlValue> values;
      values.reserve(static_cast<std::size_t>(statement.column_count()));
      for (int column = 0; column < statement.column_count(); ++column) values.push_back(statement.value(column));
      rows.emplace_back(std::move(values));
    }
  }

  Result<std::int64_t> run_change(std::string_view sql, const std::vector<store::SqlValue>& parameters) {
    ASSIGN_OR_RETURN(Statement statement, session_.prepare(sql));
    TRY(bind(statement, parameters, sql));
    const std::int64_t before = session_.total_changes();
    TRY(statement.run());
    return session_.total_changes() == before ? std::int64_t{0} : session_.last_changes();
  }

  static Result<void> bind(Statement& statement, const std::vector<store::SqlValue>& parameters, std::string_view sql) {
    if (statement.parameter_count() != static_cast<int>(parameters.size())) {
      return internal_error("db.sql", fmt::format("a statement takes {} parameters, not {}: {}", statement.parameter_count(),
                                                  parameters.size(), sql.substr(0, 200)));
    }
    for (std::size_t i = 0; i < parameters.size(); ++i) statement.bind(static_cast<int>(i) + 1, parameters[i]);
    return {};
  }

  Session& session_;
  std::optional<Error> failure_;
};

class SqliteDatabase final : public store::Database {
 public:
  SqliteDatabase(std::unique_ptr<Session> writer, std::vector<std::unique_ptr<Session>> readers, Duration timeout)
      : writer_(std::move(writer)), timeout_(timeout), readers_(std::move(readers)) {
    for (const auto& reader : readers_) idle_.push_back(reader.get());
  }

  Result<void> write(const Work& work) override {
    const std::lock_guard lock(writer_mutex_);
    if (failed_) return *failed_;
    if (writer_ == nullptr) {
      return unavailable("db.read_only", "the database is open for reading only, free some space and restart the server");
    }
    TRY(writer_->run("BEGIN IMMEDIATE"));
    SessionConnection connection(*writer_);
    Result<void> done = work(connection);
    if (done.ok() && connection.failure()) done = *connection.failure();
    if (!done.ok()) {
      writer_->roll_back();
      return done;
    }
    if (Result<void> committed = writer_->run("COMMIT"); !committed.ok()) {
      writer_->roll_back();
      if (committed.error().id == "db.unavailable") failed_ = unavailable("db.unavailable", kUnknownState + committed.error().message);
      return committed;
    }
    return {};
  }

  Result<void> read(const Work& work) override {
    Session* session = take_reader();
    if (session == nullptr) return unavailable("db.unavailable", "every connection for reads is busy, try again later");
    Result<void> done = read_with(*session, work);
    {
      const std::lock_guard lock(readers_mutex_);
      idle_.push_back(session);
    }
    reader_returned_.notify_one();
    return done;
  }

 private:
  static constexpr const char* kUnknownState = "an earlier commit failed and what reached the disk is unknown, restart the server: ";

  static Result<void> read_with(Session& session, const Work& work) {
    TRY(session.run("BEGIN"));
    SessionConnection connection(session);
    Result<void> done = work(connection);
    session.roll_back();
    return done;
  }

  /// Waits for an idle connection; nullptr when there was none in time.
  Session* take_reader() {
    std::unique_lock lock(readers_mutex_);
    if (!reader_returned_.wait_for(lock, timeout_, [this] { return !idle_.empty(); })) return nullptr;
    Session* session = idle_.back();
    idle_.pop_back();
    return session;
  }

  std::mutex writer_mutex_;
  std::unique_ptr<Session> writer_;  // guarded by writer_mutex_; none in a database that is open for reading only
  std::optional<Error> failed_;      // guarded by writer_mutex_

  const Duration timeout_;
  std::vector<std::unique_ptr<Session>> readers_;
  std::mutex readers_mutex_;
  std::condition_variable reader_returned_;
  std::vector<Session*> idle_;  // guarded by readers_mutex_
};

}  // namespace

Result<std::unique_ptr<store::Database>> make_sqlite_database(const SqliteDatabaseSettings& settings) {
  CHECK(settings.readers > 0, "a database needs a connection to read through");
  SessionSettings session{.path = settings.path, .busy_timeout = settings.busy_timeout, .durable = settings.durable};
  std::unique_ptr<Session> writer;
  if (settings.read_only) {
    TRY(internal::check_database_file(settings.path));
  } else {
    TRY(internal::prepare_database_file(settings.path));
    ASSIGN_OR_RETURN(writer, Session::open(session));
  }
  session.query_only = true;
  session.exclusive = settings.read_only;
  std::vector<std::unique_ptr<Session>> readers;
  for (std::size_t i = 0; i < (settings.read_only ? 1 : settings.readers); ++i) {
    ASSIGN_OR_RETURN(std::unique_ptr<Session> reader, Session::open(session));
    readers.push_back(std::move(reader));
  }
  return std::unique_ptr<store::Database>(std::make_unique<SqliteDatabase>(std::move(writer), std::move(readers), settings.busy_timeout));
}

}  // namespace trainyard::adapters::sqlite
