#include "adapters/postgres/internal/ledger_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <span>

#include "adapters/postgres/internal/wire.h"
#include "store/ledger_rules.h"

namespace trainyard::adapters::postgres::internal {
namespace {

using store::corrupt_ledger;

constexpr std::int64_t kVersion = 1;
/// What one statement writes at most: PostgreSQL takes less than 1 GiB in a parameter.
constexpr std::size_t kStatementBytesMax = std::size_t{64} << 20;
constexpr std::size_t kStatementRowsMax = 10'000;

// Texts are BYTEA: they may hold any bytes. Jobs are updated often, and room in a page spares their indexes.
constexpr std::string_view kTables = R"sql(
CREATE TABLE ledger_holder(one BIGINT PRIMARY KEY CHECK(one = 1), version BIGINT NOT NULL, epoch BIGINT NOT NULL, crc BIGINT NOT NULL,
  session BIGINT, session_started TIMESTAMPTZ);
CREATE TABLE ledger_jobs(id BIGINT PRIMARY KEY, live BIGINT NOT NULL, changed_at BIGINT NOT NULL, crc BIGINT NOT NULL,
  body BYTEA NOT NULL) WITH (fillfactor = 70);
CREATE INDEX ledger_jobs_live ON ledger_jobs(id) WHERE live = 1;
CREATE TABLE ledger_events(number BIGINT PRIMARY KEY, job BIGINT NOT NULL, time BIGINT NOT NULL, crc BIGINT NOT NULL,
  type BYTEA NOT NULL, body BYTEA NOT NULL);
CREATE INDEX ledger_events_job ON ledger_events(job, number);
CREATE TABLE ledger_keys(key BYTEA PRIMARY KEY, fingerprint BYTEA NOT NULL, job BIGINT NOT NULL, created_at BIGINT NOT NULL,
  crc BIGINT NOT NULL);
CREATE INDEX ledger_keys_age ON ledger_keys(created_at))sql";

struct Named {
  const char* name;
  const char* sql;
};

/// A division by zero is how a statement of a pipeline fails on purpose: nothing behind it is carried out then.
constexpr std::array<Named, 5> kWrites{{
    {"epoch", "SELECT 1 / (SELECT count(*) FROM (SELECT 1 FROM ledger_holder WHERE one = 1 AND epoch = $1::bigint FOR SHARE) AS held)"},
    {"jobs",
     "INSERT INTO ledger_jobs(id, live, changed_at, crc, body) "
     "SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[]) ON CONFLICT(id) DO UPDATE SET "
     "live = excluded.live, changed_at = excluded.changed_at, crc = excluded.crc, body = excluded.body"},
    {"events",
     "INSERT INTO ledger_events(number, job, time, crc, type, body) "
     "SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[], $6::bytea[])"},
    {"keys",
     "INSERT INTO ledger_keys(key, fingerprint, job, created_at, crc) "
     "SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bigint[], $4::bigint[], $5::bigint[]) ON CONFLICT(key) DO UPDATE SET "
     "fingerprint = excluded.fingerprint, job = excluded.job, created_at = excluded.created_at, crc = excluded.crc"},
    {"forget",
     "DELETE FROM ledger_keys WHERE key IN "
     "(SELECT key FROM ledger_keys WHERE created_at < $1::bigint ORDER BY created_at LIMIT $2::bigint)"},
}};
constexpr const char* kDivisionByZero = "22012";

constexpr std::array<Named, 4> kReads{{
    {"list", "SELECT id, live, changed_at, crc, body FROM ledger_jobs WHERE id < $1::bigint ORDER BY id DESC LIMIT $2::bigint"},
    {"job", "SELECT id, live, changed_at, crc, body FROM ledger_jobs WHERE id = $1::bigint"},
    {"all_events",
     "SELECT number, job, time, crc, type, body FROM ledger_events WHERE number > $1::bigint ORDER BY number LIMIT $2::bigint"},
    {"job_events",
     "SELECT number, job, time, crc, type, body FROM ledger_events WHERE job = $3::bigint AND number > $1::bigint "
     "ORDER BY number LIMIT $2::bigint"},
}};

std::int64_t signed_of(std::uint64_t number) { return static_cast<std::int64_t>(number); }
std::uint64_t unsigned_of(std::int64_t number) { return static_cast<std::uint64_t>(number); }
std::int64_t limit_of(std::size_t limit) {
  return static_cast<std::int64_t>(std::min<std::size_t>(limit, std::numeric_limits<std::int64_t>::max()));
}

/// The columns of one statement, as arrays.
class Columns {
 public:
  explicit Columns(std::vector<WireArray::Of> types) {
    for (const WireArray::Of type : types) arrays_.emplace_back(type);
  }
  template <typename... Values>
  void add(const Values&... values) {
    std::size_t column = 0;
    (arrays_[column++].add(values), ...);
    ++rows_;
  }
  bool full() const {
    return rows_ >= kStatementRowsMax ||
           std::any_of(arrays_.begin(), arrays_.end(), [](const WireArray& array) { return array.size_bytes() >= kStatementBytesMax; });
  }
  Result<void> send(Session& session, const char* statement) && {
    std::vector<std::string> wire;
    for (WireArray& array : arrays_) wire.push_back(std::move(array).finish());
    std::vector<Bound> bounds;
    for (const std::string& bytes : wire) bounds.push_back({.bytes = bytes, .binary = true});
    return session.send_execution(statement, bounds);
  }

 private:
  std::vector<WireArray> arrays_;
  std::size_t rows_ = 0;
};

using Of = WireArray::Of;

void add_row(Columns& columns, const store::JobRecord& job) {
  columns.add(signed_of(job.id.value), std::int64_t{job.live}, std::int64_t{micros(job.changed_at)}, std::int64_t{store::checksum_of(job)},
              std::string_view(job.body));
}
void add_row(Columns& columns, const store::EventRecord& event) {
  columns.add(signed_of(event.number.value), signed_of(event.job.value), std::int64_t{micros(event.time)},
              std::int64_t{store::checksum_of(event)}, std::string_view(event.type), std::string_view(event.body));
}
void add_row(Columns& columns, const store::IdempotencyRecord& record) {
  columns.add(std::string_view(record.key), std::string_view(record.fingerprint), signed_of(record.job.value),
              std::int64_t{micros(record.created_at)}, std::int64_t{store::checksum_of(record)});
}

template <typename Record>
Result<void> send_rows(Session& session, const char* statement, const std::vector<Of>& types, const std::vector<const Record*>& records) {
  for (auto record = records.begin(); record != records.end();) {
    Columns columns(types);
    while (record != records.end() && !columns.full()) add_row(columns, **record++);
    TRY(std::move(columns).send(session, statement));
  }
  return {};
}

/// One row of a binary result.
class Fields {
 public:
  Fields(const PGresult& result, int row) : result_(result), row_(row) {}
  std::int64_t number(int column) {
    const Result<std::int64_t> number = bigint_from(text_at(result_, row_, column));
    good_ = good_ && number.ok();
    return number.ok() ? *number : 0;
  }
  std::string text(int column) const { return std::string(text_at(result_, row_, column)); }
  bool good() const { return good_; }

 private:
  const PGresult& result_;
  int row_;
  bool good_ = true;
};

Result<store::JobRecord> read_row(Fields fields, store::JobRecord job) {
  job.id = JobId(unsigned_of(fields.number(0)));
  job.live = fields.number(1) == 1;
  job.changed_at = time_from_micros(fields.number(2));
  job.body = fields.text(4);
  if (fields.number(3) != std::int64_t{store::checksum_of(job)} || !fields.good()) return corrupt_ledger("job " + job.id.text());
  return job;
}

Result<store::EventRecord> read_row(Fields fields, store::EventRecord event) {
  event.number = EventNumber(unsigned_of(fields.number(0)));
  event.job = JobId(unsigned_of(fields.number(1)));
  event.time = time_from_micros(fields.number(2));
  event.type = fields.text(4);
  event.body = fields.text(5);
  if (fields.number(3) != std::int64_t{store::checksum_of(event)} || !fields.good()) return corrupt_ledger("event " + event.number.text());
  return event;
}

Result<store::IdempotencyRecord> read_row(Fields fields, store::IdempotencyRecord record) {
  record.key = fields.text(0);
  record.fingerprint = fields.text(1);
  record.job = JobId(unsigned_of(fields.number(2)));
  record.created_at = time_from_micros(fields.number(3));
  if (fields.number(4) != std::int64_t{store::checksum_of(record)} || !fields.good()) return corrupt_ledger("an idempotency key");
  return record;
}

template <typename Record>
Result<void> append_rows(const PGresult& result, std::vector<Record>& records) {
  for (int row = 0; row < PQntuples(&result); ++row) {
    ASSIGN_OR_RETURN(Record record, read_row(Fields(result, row), Record{}));
    records.push_back(std::move(record));
  }
  return {};
}

template <typename Record>
Result<std::vector<Record>> execute(Session& session, const char* statement, const std::vector<std::int64_t>& parameters) {
  std::vector<std::string> wire;
  for (const std::int64_t parameter : parameters) wire.push_back(wire_bigint(parameter));
  std::vector<Bound> bounds;
  for (const std::string& bytes : wire) bounds.push_back({.bytes = bytes, .binary = true});
  ASSIGN_OR_RETURN(const PgResult result, session.execute(statement, bounds, true));
  std::vector<Record> records;
  TRY(append_rows(*result, records));
  return records;
}

/// All rows of a query, a few thousand at a time. Inside a transaction.
template <typename Record>
Result<std::vector<Record>> fetch(Session& session, const std::string& query) {
  std::vector<Record> records;
  TRY(session.run("DECLARE page BINARY CURSOR FOR " + query));
  for (;;) {
    ASSIGN_OR_RETURN(const PgResult result, session.run("FETCH 5000 FROM page"));
    if (PQntuples(result.get()) == 0) break;
    TRY(append_rows(*result, records));
  }
  TRY(session.run("CLOSE page"));
  return records;
}

Result<void> prepare_all(Session& session, std::span<const Named> statements) {
  for (const Named& statement : statements) TRY(session.prepare(statement.name, statement.sql));
  return {};
}

/// This session, as pg_stat_activity tells it.
constexpr std::string_view kThisSession =
    "session = pg_backend_pid(), session_started = (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())";

}  // namespace

Result<void> prepare_tables(Session& session) {
  ASSIGN_OR_RETURN(const PgResult begun, session.run("BEGIN; " + lock_statement(session, "ledger tables")));
  ASSIGN_OR_RETURN(const PgResult found, session.run("SELECT to_regclass('ledger_holder') IS NULL"));
  if (text_at(*found, 0, 0) == "t") {
    TRY(session.run(fmt::format("{}; INSERT INTO ledger_holder(one, version, epoch, crc) VALUES(1, {}, 0, {})", kTables, kVersion,
                                store::checksum_of(std::uint64_t{0}))));
  }
  TRY(session.run("COMMIT"));
  ASSIGN_OR_RETURN(const PgResult row, session.run("SELECT version FROM ledger_holder"));
  if (PQntuples(row.get()) != 1) return corrupt_ledger("the epoch is gone");
  const std::string version(text_at(*row, 0, 0));
  if (version == std::to_string(kVersion)) return {};
  return store::newer_ledger(std::stoll(version), kVersion, session.url().redacted());
}

Result<void> prepare_writes(Session& session) { return prepare_all(session, kWrites); }

Result<void> prepare_reads(Session& session) { return prepare_all(session, kReads); }

Result<std::uint64_t> raise_epoch(Session& session) {
  ASSIGN_OR_RETURN(const PgResult row, session.run("SELECT epoch, crc FROM ledger_holder WHERE one = 1 FOR UPDATE"));
  if (PQntuples(row.get()) != 1) return corrupt_ledger("the epoch is gone");
  const std::uint64_t epoch = std::stoull(std::string(text_at(*row, 0, 0)));
  if (text_at(*row, 0, 1) != std::to_string(store::checksum_of(epoch))) return corrupt_ledger("the epoch");
  TRY(session.run(fmt::format("UPDATE ledger_holder SET epoch = {}, crc = {}, {} WHERE one = 1", epoch + 1, store::checksum_of(epoch + 1),
                              kThisSession)));
  return epoch + 1;
}

Result<bool> note_session(Session& session, std::uint64_t epoch) {
  ASSIGN_OR_RETURN(const PgResult done,
                   session.run(fmt::format("UPDATE ledger_holder SET {} WHERE one = 1 AND epoch = {}", kThisSession, epoch)));
  return std::string_view(PQcmdTuples(done.get())) == "1";
}

Result<void> end_holder(Session& session) {
  TRY(
      session.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity, ledger_holder WHERE pid = session AND "
                  "backend_start = session_started AND pid <> pg_backend_pid()"));
  return {};
}

Result<void> send_batch(Session& session, const store::LedgerBatch& batch, std::uint64_t epoch) {
  TRY(session.begin_pipeline());
  TRY(session.send_statement("BEGIN"));
  const std::string held = wire_bigint(signed_of(epoch));
  TRY(session.send_execution("epoch", std::array{Bound{.bytes = held, .binary = true}}));
  TRY(send_rows(session, "jobs", {Of::kBigint, Of::kBigint, Of::kBigint, Of::kBigint, Of::kBytes}, store::newest_of_each_job(batch.jobs)));
  std::vector<const store::EventRecord*> events;
  for (const store::EventRecord& event : batch.events) events.push_back(&event);
  TRY(send_rows(session, "events", {Of::kBigint, Of::kBigint, Of::kBigint, Of::kBigint, Of::kBytes, Of::kBytes}, events));
  if (batch.forget_keys_before) {
    const std::string before = wire_bigint(micros(*batch.forget_keys_before));
    const std::string most = wire_bigint(signed_of(store::kForgottenKeysMax));
    TRY(session.send_execution("forget", std::array{Bound{.bytes = before, .binary = true}, Bound{.bytes = most, .binary = true}}));
  }
  TRY(send_rows(session, "keys", {Of::kBytes, Of::kBytes, Of::kBigint, Of::kBigint, Of::kBigint},
                store::newest_of_each_key(batch.idempotency)));
  TRY(session.send_statement("COMMIT"));
  return session.send_end();
}

bool says_fenced(const Error& error) { return error.id == "db.sql" && error.message.find(kDivisionByZero) != std::string::npos; }

Result<store::LedgerRecovery> read_recovery(Session& session) {
  store::LedgerRecovery recovery;
  ASSIGN_OR_RETURN(recovery.live_jobs, fetch<store::JobRecord>(session,
                                                               "SELECT id, live, changed_at, crc, body FROM ledger_jobs "
                                                               "WHERE live = 1 ORDER BY id"));
  for (const store::JobRecord& job : recovery.live_jobs) {
    if (!job.live) return corrupt_ledger("the index of live jobs");
  }
  ASSIGN_OR_RETURN(recovery.idempotency, fetch<store::IdempotencyRecord>(session,
                                                                         "SELECT key, fingerprint, job, created_at, crc FROM ledger_keys "
                                                                         "ORDER BY created_at, key"));
  ASSIGN_OR_RETURN(const std::vector<store::JobRecord> jobs,
                   fetch<store::JobRecord>(session, "SELECT id, live, changed_at, crc, body FROM ledger_jobs ORDER BY id DESC LIMIT 1"));
  if (!jobs.empty()) recovery.last_job = jobs.front().id;
  ASSIGN_OR_RETURN(
      const std::vector<store::EventRecord> events,
      fetch<store::EventRecord>(session, "SELECT number, job, time, crc, type, body FROM ledger_events ORDER BY number DESC LIMIT 1"));
  if (!events.empty()) recovery.last_event = events.front().number;
  return recovery;
}

Result<std::vector<store::JobRecord>> read_jobs(Session& session, JobId before, std::size_t limit) {
  const std::int64_t end = before.valid() ? signed_of(before.value) : std::numeric_limits<std::int64_t>::max();
  return execute<store::JobRecord>(session, "list", {end, limit_of(limit)});
}

Result<store::JobRecord> read_job(Session& session, JobId id) {
  ASSIGN_OR_RETURN(std::vector<store::JobRecord> found, execute<store::JobRecord>(session, "job", {signed_of(id.value)}));
  if (found.empty()) return store::unknown_ledger_job(id);
  return std::move(found.front());
}

Result<std::vector<store::EventRecord>> read_events(Session& session, EventNumber after, JobId job, std::size_t limit) {
  std::vector<std::int64_t> parameters{signed_of(after.value), limit_of(limit)};
  if (job.valid()) parameters.push_back(signed_of(job.value));
  ASSIGN_OR_RETURN(std::vector<store::EventRecord> found,
                   execute<store::EventRecord>(session, job.valid() ? "job_events" : "all_events", parameters));
  if (!job.valid()) TRY(store::check_no_gap(found));
  return found;
}

}  // namespace trainyard::adapters::postgres::internal
