#include "adapters/postgres/postgres_database.h"

#include <fmt/format.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "adapters/postgres/internal/session.h"
#include "adapters/postgres/internal/statements.h"

namespace trainyard::adapters::postgres {
namespace {

using internal::PgResult;
using internal::Session;
using internal::SessionSettings;
using internal::Statements;
using Work = std::function<Result<void>(store::Connection&)>;

/// A session with the statements that were prepared in it.
struct Link {
  explicit Link(SessionSettings settings) : session(std::move(settings)), statements(session) {}

  /// Starts a transaction. Over a connection that was lost meanwhile it is tried once more: nothing was sent in it yet.
  Result<void> begin(const std::string& sql) {
    const bool fresh = !session.connected();
    Result<void> begun = begin_once(sql);
    if (begun.ok() || fresh || session.connected()) return begun;
    return begin_once(sql);
  }
  void roll_back() {
    // A session that cannot roll back is of no use any more.
    if (session.connected() && !session.run("ROLLBACK").ok()) session.close();
  }

  Session session;
  Statements statements;

 private:
  Result<void> begin_once(const std::string& sql) {
    ASSIGN_OR_RETURN(const bool connected, session.connect());
    if (connected) statements.forget();
    Result<PgResult> begun = session.run(sql);
    if (begun.ok()) return {};
    roll_back();
    return std::move(begun).error();
  }
};

/// Lends a link to one piece of work, and remembers what failed: the server commits nothing after that.
class LinkConnection final : public store::Connection {
 public:
  explicit LinkConnection(Link& link) : link_(link) {}

  Result<std::vector<store::Row>> query(std::string_view sql, const std::vector<store::SqlValue>& parameters) override {
    ASSIGN_OR_RETURN(const PgResult result, run(sql, parameters));
    return internal::rows_of(*result);
  }

  Result<std::int64_t> execute(std::string_view sql, const std::vector<store::SqlValue>& parameters) override {
    ASSIGN_OR_RETURN(const PgResult result, run(sql, parameters));
    return internal::changed_rows(*result);
  }

  const std::optional<Error>& failure() const { return failure_; }

 private:
  Result<PgResult> run(std::string_view sql, const std::vector<store::SqlValue>& parameters) {
    if (failure_) return *failure_;
    if (!link_.session.connected()) return unavailable("db.unavailable", "the connection to PostgreSQL was lost in a transaction");
    Result<PgResult> result = link_.statements.run(sql, parameters);
    if (!result.ok()) failure_ = result.error();
    return result;
  }

  Link& link_;
  std::optional<Error> failure_;
};

class PostgresDatabase final : public store::Database {
 public:
  PostgresDatabase(std::unique_ptr<Link> writer, std::vector<std::unique_ptr<Link>> readers, Duration timeout)
      : begin_write_("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; " + internal::lock_statement(writer->session, "database")),
        writer_(std::move(writer)),
        timeout_(timeout),
        readers_(std::move(readers)) {
    for (const auto& reader : readers_) idle_.push_back(reader.get());
  }

  Result<void> write(const Work& work) override {
    const std::lock_guard lock(writer_mutex_);
    // Who waited for the lock sees what its holder committed, since every statement has a snapshot of its own.
    TRY(writer_->begin(begin_write_));
    LinkConnection connection(*writer_);
    Result<void> done = work(connection);
    if (done.ok() && connection.failure()) done = *connection.failure();
    if (!done.ok()) {
      writer_->roll_back();
      return done;
    }
    if (!writer_->session.connected()) return unavailable("db.unavailable", "the connection to PostgreSQL was lost in a transaction");
    return commit();
  }

  Result<void> read(const Work& work) override {
    Link* link = take_reader();
    if (link == nullptr) return unavailable("db.unavailable", "every connection for reads is busy, try again later");
    Result<void> done = read_with(*link, work);
    {
      const std::lock_guard lock(readers_mutex_);
      idle_.push_back(link);
    }
    reader_returned_.notify_one();
    return done;
  }

 private:
  Result<void> commit() {
    Result<PgResult> committed = writer_->session.run("COMMIT");
    if (!committed.ok()) {
      const bool unknown = !writer_->session.connected();
      writer_->roll_back();
      Error error = std::move(committed).error();
      if (unknown) error.message = "whether a change was stored is unknown, look before you repeat it: " + error.message;
      return error;
    }
    const std::string_view tag = PQcmdStatus(committed->get());
    if (tag == "COMMIT") return {};
    return unavailable("db.unavailable", fmt::format("PostgreSQL ended a transaction with {}", tag));
  }

  static Result<void> read_with(Link& link, const Work& work) {
    TRY(link.begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"));
    LinkConnection connection(link);
    Result<void> done = work(connection);
    link.roll_back();
    return done;
  }

  /// Waits for an idle connection; nullptr when there was none in time.
  Link* take_reader() {
    std::unique_lock lock(readers_mutex_);
    if (!reader_returned_.wait_for(lock, timeout_, [this] { return !idle_.empty(); })) return nullptr;
    Link* link = idle_.back();
    idle_.pop_back();
    return link;
  }

  const std::string begin_write_;
  std::mutex writer_mutex_;
  std::unique_ptr<Link> writer_;  // guarded by writer_mutex_

  const Duration timeout_;
  std::vector<std::unique_ptr<Link>> readers_;
  std::mutex readers_mutex_;
  std::condition_variable reader_returned_;
  std::vector<Link*> idle_;  // guarded by readers_mutex_
};

}  // namespace

Result<std::unique_ptr<store::Database>> make_postgres_database(const PostgresDatabaseSettings& settings) {
  CHECK(settings.readers > 0, "a database needs a connection to read through");
  ASSIGN_OR_RETURN(const store::StateUrl url, internal::parse_postgres_url(settings.url));
  const SessionSettings session{.url = url,
                                .connect_timeout = settings.connect_timeout,
                                .starting_timeout = settings.starting_timeout,
                                // The server gives up first, so that the connection stays.
                                .answer_timeout = settings.statement_timeout + settings.busy_timeout + std::chrono::seconds(5),
                                .statement_timeout = settings.statement_timeout,
                                .lock_timeout = settings.busy_timeout,
                                .idle_transaction_timeout = settings.idle_transaction_timeout};
  auto writer = std::make_unique<Link>(session);
  TRY(internal::prepare_server(writer->session));
  std::vector<std::unique_ptr<Link>> readers;
  for (std::size_t i = 0; i < settings.readers; ++i) readers.push_back(std::make_unique<Link>(session));
  return std::unique_ptr<store::Database>(std::make_unique<PostgresDatabase>(std::move(writer), std::move(readers), settings.busy_timeout));
}

}  // namespace trainyard::adapters::postgres
