#include "adapters/postgres/internal/session.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "adapters/postgres/internal/errors.h"
#include "base/checksum.h"
#include "base/file.h"

namespace trainyard::adapters::postgres::internal {
namespace {

constexpr int kStartingPollMilliseconds = 50;
constexpr int kOldestServer = 120000;
constexpr std::string_view kDefaultSchema = "trainyard";

MonotonicPoint now() { return SystemClock().monotonic_now(); }

std::int64_t milliseconds(Duration duration) { return duration.count() / 1000; }

void ignore_notice(void*, const char*) {}

/// Names that need no thought about quoting.
bool is_schema_name(std::string_view name) {
  const auto plain = [](char letter) { return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') || letter == '_'; };
  return !name.empty() && name.size() <= 63 && !name.starts_with("pg_") && std::all_of(name.begin(), name.end(), plain);
}

bool is_own_option(const std::string& name) { return name == "schema" || name == "unchecked"; }

bool is_failure(ExecStatusType status) {
  return status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE || status == PGRES_EMPTY_QUERY || status == PGRES_PIPELINE_ABORTED;
}

/// How PQexecPrepared and its kin take parameters.
struct ParameterList {
  explicit ParameterList(std::span<const Bound> parameters) {
    for (const Bound& bound : parameters) {
      // An empty view may have no address, which would be NULL.
      values.push_back(bound.is_null ? nullptr : (bound.bytes.empty() ? "" : bound.bytes.data()));
      sizes.push_back(static_cast<int>(bound.bytes.size()));
      formats.push_back(bound.binary ? 1 : 0);
    }
  }
  int count() const { return static_cast<int>(values.size()); }
  std::vector<const char*> values;
  std::vector<int> sizes;
  std::vector<int> formats;
};

}  // namespace

std::string_view text_at(const PGresult& result, int row, int column) {
  return {PQgetvalue(&result, row, column), static_cast<std::size_t>(PQgetlength(&result, row, column))};
}

Session::~Session() { close(); }

void Session::close() {
  if (connection_ != nullptr) PQfinish(connection_);
  connection_ = nullptr;
}

std::string Session::quoted_schema() const { return '"' + settings_.url.option("schema", std::string(kDefaultSchema)) + '"'; }

Error Session::lost(std::string_view why) {
  std::string text(why);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  close();
  return unavailable("db.unavailable", settings_.url.without_secrets(fmt::format(
                                           "PostgreSQL cannot be reached, look at the server: {} ({})", text, settings_.url.redacted())));
}

Error Session::error_of(const PGresult& result) const {
  const char* state = PQresultErrorField(&result, PG_DIAG_SQLSTATE);
  const char* message = PQresultErrorField(&result, PG_DIAG_MESSAGE_PRIMARY);
  std::string text = message != nullptr ? message : PQresultErrorMessage(&result);
  if (text.empty()) text = "exactly one statement is run at a time";
  return error_of_state(state == nullptr ? "" : state, settings_.url.without_secrets(std::move(text)));
}

Result<bool> Session::connect() {
  if (connected()) return false;
  const MonotonicPoint deadline = now() + settings_.starting_timeout;
  for (;;) {
    Result<void> opened = open();
    if (opened.ok()) break;
    const bool starting = opened.error().message.find("starting up") != std::string::npos;
    if (!starting || now() > deadline) return std::move(opened).error();
    (void)::poll(nullptr, 0, kStartingPollMilliseconds);
  }
  if (Result<void> done = set_up(); !done.ok()) {
    close();
    return std::move(done).error();
  }
  return true;
}

Result<void> Session::open() {
  const store::StateUrl& url = settings_.url;
  std::vector<std::pair<std::string, std::string>> words;
  for (const auto& [name, value] : url.options) {
    if (!is_own_option(name)) words.emplace_back(name, value);
  }
  if (!url.host.empty()) words.emplace_back("host", url.host);
  if (url.port != 0) words.emplace_back("port", fmt::format("{}", url.port));
  if (!url.user.empty()) words.emplace_back("user", url.user);
  if (!url.password.empty()) words.emplace_back("password", url.password);
  words.emplace_back("dbname", url.database);
  words.emplace_back("client_encoding", "UTF8");
  if (!url.options.contains("application_name")) words.emplace_back("application_name", "trainyard");
  const std::int64_t seconds = std::max<std::int64_t>(2, milliseconds(settings_.connect_timeout) / 1000);
  words.emplace_back("connect_timeout", fmt::format("{}", seconds));
  words.emplace_back("keepalives_idle", "15");
  words.emplace_back("keepalives_interval", "5");
  words.emplace_back("keepalives_count", "3");
  std::vector<const char*> names;
  std::vector<const char*> values;
  for (const auto& [name, value] : words) {
    names.push_back(name.c_str());
    values.push_back(value.c_str());
  }
  names.push_back(nullptr);
  values.push_back(nullptr);
  connection_ = PQconnectdbParams(names.data(), values.data(), 0);
  if (connection_ == nullptr) return lost("out of memory");
  if (PQstatus(connection_) != CONNECTION_OK) {
    const std::string why = PQerrorMessage(connection_);
    if (!is_refusal(why)) return lost(why);
    close();
    return access_refused(url.without_secrets(why) + " (" + url.redacted() + ")");
  }
  PQsetNoticeProcessor(connection_, ignore_notice, nullptr);
  if (PQsetnonblocking(connection_, 1) != 0) return lost(PQerrorMessage(connection_));
  last_used_ = now();
  return {};
}

Result<void> Session::set_up() {
  // A server whose peer vanished lets go of its locks within half a minute.
  TRY(
      run(fmt::format("SET search_path = {}; SET synchronous_commit = on; SET statement_timeout = {}; SET lock_timeout = {}; "
                      "SET idle_in_transaction_session_timeout = {}; SET tcp_keepalives_idle = 15; SET tcp_keepalives_interval = 5; "
                      "SET tcp_keepalives_count = 3",
                      quoted_schema(), milliseconds(settings_.statement_timeout), milliseconds(settings_.lock_timeout),
                      milliseconds(settings_.idle_transaction_timeout))));
  return {};
}

Result<void> Session::flush() {
  const MonotonicPoint deadline = now() + settings_.answer_timeout;
  for (;;) {
    const int left = PQflush(connection_);
    if (left < 0) return lost(PQerrorMessage(connection_));
    if (left == 0) return {};
    if (now() > deadline) return lost("the server takes nothing any more");
    // What the server says meanwhile is taken in, or both would wait for each other.
    pollfd ready{PQsocket(connection_), POLLIN | POLLOUT, 0};
    (void)::poll(&ready, 1, 100);
    if ((ready.revents & POLLIN) != 0 && PQconsumeInput(connection_) == 0) return lost(PQerrorMessage(connection_));
  }
}

Result<void> Session::wait_for_answer() {
  TRY(flush());
  const MonotonicPoint deadline = now() + settings_.answer_timeout;
  while (PQisBusy(connection_) != 0) {
    const Duration left = deadline - now();
    if (left <= Duration(0)) return lost("the server did not answer in time");
    pollfd ready{PQsocket(connection_), POLLIN, 0};
    (void)::poll(&ready, 1, static_cast<int>(std::min<std::int64_t>(milliseconds(left) + 1, 1000)));
    if (ready.revents != 0 && PQconsumeInput(connection_) == 0) return lost(PQerrorMessage(connection_));
  }
  return {};
}

Result<PgResult> Session::next_result() {
  TRY(wait_for_answer());
  PgResult result(PQgetResult(connection_));
  last_used_ = now();
  return result;
}

Result<PgResult> Session::finish() {
  PgResult last;
  std::optional<Error> failure;
  for (;;) {
    ASSIGN_OR_RETURN(PgResult result, next_result());
    if (result == nullptr) break;
    if (is_failure(PQresultStatus(result.get())) && !failure) failure = error_of(*result);
    last = std::move(result);
  }
  if (PQstatus(connection_) != CONNECTION_OK) return lost(failure ? failure->message : std::string(PQerrorMessage(connection_)));
  if (failure) return *failure;
  if (last == nullptr) return lost("the server sent no result");
  return last;
}

Result<PgResult> Session::run(const std::string& sql) {
  if (PQsendQuery(connection_, sql.c_str()) == 0) return lost(PQerrorMessage(connection_));
  return finish();
}

Result<void> Session::prepare(const std::string& name, const std::string& sql) {
  if (PQsendPrepare(connection_, name.c_str(), sql.c_str(), 0, nullptr) == 0) return lost(PQerrorMessage(connection_));
  TRY(finish());
  return {};
}

Result<PgResult> Session::describe(const std::string& name) {
  if (PQsendDescribePrepared(connection_, name.c_str()) == 0) return lost(PQerrorMessage(connection_));
  return finish();
}

Result<PgResult> Session::execute(const std::string& name, std::span<const Bound> parameters, bool binary_results) {
  const ParameterList list(parameters);
  const int sent = PQsendQueryPrepared(connection_, name.c_str(), list.count(), list.values.data(), list.sizes.data(), list.formats.data(),
                                       binary_results ? 1 : 0);
  if (sent == 0) return lost(PQerrorMessage(connection_));
  return finish();
}

Result<void> Session::begin_pipeline() {
  if (PQenterPipelineMode(connection_) == 0) return lost(PQerrorMessage(connection_));
  return {};
}

Result<void> Session::send_statement(const std::string& sql) {
  if (PQsendQueryParams(connection_, sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 1) == 0) return lost(PQerrorMessage(connection_));
  return {};
}

Result<void> Session::send_execution(const std::string& name, std::span<const Bound> parameters) {
  const ParameterList list(parameters);
  const int sent =
      PQsendQueryPrepared(connection_, name.c_str(), list.count(), list.values.data(), list.sizes.data(), list.formats.data(), 1);
  if (sent == 0) return lost(PQerrorMessage(connection_));
  return {};
}

Result<void> Session::send_end() {
  if (PQpipelineSync(connection_) == 0) return lost(PQerrorMessage(connection_));
  return flush();
}

Result<void> Session::receive_pipeline(std::string_view last_tag) {
  std::optional<Error> failure;
  std::string tag;
  int ends = 0;
  for (bool ended = false; !ended;) {
    ASSIGN_OR_RETURN(const PgResult result, next_result());
    if (result == nullptr) {
      // One stands behind the results of each statement, and two when nothing more comes.
      if (++ends > 1) return lost(failure ? failure->message : std::string(PQerrorMessage(connection_)));
      continue;
    }
    ends = 0;
    const ExecStatusType status = PQresultStatus(result.get());
    ended = status == PGRES_PIPELINE_SYNC;
    if (!ended) tag = PQcmdStatus(result.get());
    if (is_failure(status) && !failure) failure = error_of(*result);
  }
  if (PQexitPipelineMode(connection_) == 0) return lost(PQerrorMessage(connection_));
  if (failure) return *failure;
  if (tag != last_tag) return lost(fmt::format("the server ended a transaction with {}", tag));
  return {};
}

Result<store::StateUrl> parse_postgres_url(const std::string& text) {
  ASSIGN_OR_RETURN(store::StateUrl url, store::parse_state_url(text));
  if (url.kind != store::StateKind::kPostgres) return invalid_argument("state.url", "this is no PostgreSQL URL: " + url.redacted());
  struct Freeing {
    void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
  };
  const std::unique_ptr<PQconninfoOption, Freeing> known(PQconndefaults());
  for (const auto& [name, value] : url.options) {
    bool good = name == "schema" ? is_schema_name(value) : name == "unchecked" && (value == "0" || value == "1");
    for (const PQconninfoOption* option = known.get(); option != nullptr && option->keyword != nullptr; ++option) {
      good = good || (!is_own_option(name) && name == option->keyword);
    }
    if (!good) {
      return invalid_argument(
          "state.url",
          "a PostgreSQL URL takes schema (small letters, digits and _), unchecked (0 or 1) and the options of libpq; wrong is: " + name);
    }
  }
  return url;
}

std::string lock_statement(const Session& session, std::string_view purpose) {
  const std::string name = fmt::format("trainyard {} {}", purpose, session.quoted_schema());
  return fmt::format("SELECT pg_advisory_xact_lock({})", static_cast<std::int64_t>(xxh3_64(as_bytes(name))));
}

Result<void> prepare_server(Session& session) {
  TRY(session.connect());
  ASSIGN_OR_RETURN(
      const PgResult settings,
      session.run("SELECT current_setting('server_version_num'), current_setting('fsync'), current_setting('server_encoding')"));
  const auto unsafe = [&](std::string_view name, std::string_view wanted, int column) {
    return failed_precondition("db.unsafe_settings",
                               fmt::format("PostgreSQL could lose or misread what it is given, `{}` must be {}; it is: {}", name, wanted,
                                           text_at(*settings, 0, column)));
  };
  if (session.url().option("unchecked", "0") != "1") {
    if (std::stoi(std::string(text_at(*settings, 0, 0))) < kOldestServer) return unsafe("server_version_num", "120000 or more", 0);
    if (text_at(*settings, 0, 1) != "on") return unsafe("fsync", "on", 1);
    if (text_at(*settings, 0, 2) != "UTF8") return unsafe("server_encoding", "UTF8", 2);
  }
  const std::string find =
      fmt::format("SELECT 1 FROM pg_namespace WHERE nspname = '{}'", session.url().option("schema", std::string(kDefaultSchema)));
  ASSIGN_OR_RETURN(const PgResult found, session.run(find));
  if (PQntuples(found.get()) > 0) return {};
  // Others may make it at the same time, which "IF NOT EXISTS" alone does not survive.
  Result<PgResult> made = session.run(
      fmt::format("BEGIN; {}; CREATE SCHEMA IF NOT EXISTS {}; COMMIT", lock_statement(session, "schema"), session.quoted_schema()));
  if (made.ok()) return {};
  if (session.connected()) (void)session.run("ROLLBACK").ok();
  return std::move(made).error().with_context("making the schema " + session.quoted_schema());
}

}  // namespace trainyard::adapters::postgres::internal
