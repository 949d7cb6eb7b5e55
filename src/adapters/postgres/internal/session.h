#pragma once
#include <libpq-fe.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "store/state_url.h"

namespace trainyard::adapters::postgres::internal {

struct ResultDeleter {
  void operator()(PGresult* result) const { PQclear(result); }
};
using PgResult = std::unique_ptr<PGresult, ResultDeleter>;

std::string_view text_at(const PGresult& result, int row, int column);

/// A value of a parameter; the bytes outlive the call. Text that is not binary ends with a NUL byte.
struct Bound {
  std::string_view bytes;
  bool is_null = false;
  bool binary = false;
};

struct SessionSettings {
  store::StateUrl url;
  Duration connect_timeout;
  Duration starting_timeout;          ///< How long a server that is starting is waited for.
  Duration answer_timeout;            ///< Longer without an answer and the connection is given up.
  Duration statement_timeout;         ///< After which the server gives up a statement; 0 never.
  Duration lock_timeout;              ///< How long a statement waits for a lock; 0 as long as it may run.
  Duration idle_transaction_timeout;  ///< After which the server ends a transaction that does nothing; 0 never.
};

/// One connection to a PostgreSQL server, in the schema of its URL. For one thread at a time. Errors of every method are those of
/// store::Connection, and PERMISSION_DENIED "db.access". When the connection fails it is closed (UNAVAILABLE "db.unavailable"), and the
/// next call of `connect` makes a new one. No error text holds a secret of the URL.
class Session {
 public:
  explicit Session(SessionSettings settings) : settings_(std::move(settings)) {}
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// Connects and sets the session up; nothing happens when it is connected. True when it is a new connection.
  Result<bool> connect();
  void close();
  bool connected() const { return connection_ != nullptr; }
  MonotonicPoint last_used() const { return last_used_; }

  /// Runs statements without parameters, separated by semicolons, and returns the result of the last one.
  Result<PgResult> run(const std::string& sql);
  Result<void> prepare(const std::string& name, const std::string& sql);
  /// What parameters and columns a prepared statement has (PQparamtype, PQftype).
  Result<PgResult> describe(const std::string& name);
  /// Runs a prepared statement. Results come as text, or all in binary form.
  Result<PgResult> execute(const std::string& name, std::span<const Bound> parameters, bool binary_results);

  // A pipeline: statements are sent one behind the other without waiting, then the first error, or success of all, is received.
  Result<void> begin_pipeline();
  Result<void> send_statement(const std::string& sql);
  Result<void> send_execution(const std::string& name, std::span<const Bound> parameters);
  /// Sends what is still here, and the mark at which answers end.
  Result<void> send_end();
  /// The last statement of the pipeline must end with the command tag `last_tag`.
  Result<void> receive_pipeline(std::string_view last_tag);

  const store::StateUrl& url() const { return settings_.url; }
  /// The name of the schema, quoted for SQL.
  std::string quoted_schema() const;

 private:
  Result<void> open();
  Result<void> set_up();
  Result<void> flush();
  /// Waits until an answer is here or `timeout` has passed, writing what waits to be written.
  Result<void> wait_for_answer();
  Result<PgResult> next_result();
  /// The last result of what was sent; the error of the first that failed.
  Result<PgResult> finish();
  Error error_of(const PGresult& result) const;
  Error lost(std::string_view why);

  SessionSettings settings_;
  PGconn* connection_ = nullptr;
  MonotonicPoint last_used_;
};

/// Checks the options of a PostgreSQL URL; `schema`, `unchecked` and those of libpq are known. Errors: INVALID_ARGUMENT "state.url".
Result<store::StateUrl> parse_postgres_url(const std::string& text);
/// Refuses a server that would lose or misread what is given to it, and makes the schema when it is absent. Errors: FAILED_PRECONDITION
/// "db.unsafe_settings", which names the setting.
Result<void> prepare_server(Session& session);
/// Waits for, and holds until the end of the transaction, the lock of all that write to the schema.
std::string lock_statement(const Session& session, std::string_view purpose);

}  // namespace trainyard::adapters::postgres::internal
