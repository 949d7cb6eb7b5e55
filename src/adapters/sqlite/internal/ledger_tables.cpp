#include "adapters/sqlite/internal/ledger_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <span>

#include "store/ledger_rules.h"

namespace trainyard::adapters::sqlite::internal {
namespace {

using store::corrupt_ledger;

constexpr std::int64_t kApplicationId = 0x54594c47;  // "TYLG": tells a ledger from other SQLite files.
constexpr std::int64_t kVersion = 2;

/// The tables of version 1, and those that version 2 added behind them: a file that was migrated equals a fresh one.
constexpr std::array kFirstTables{
    "CREATE TABLE jobs(id INTEGER PRIMARY KEY, live INTEGER NOT NULL, changed_at INTEGER NOT NULL, crc INTEGER NOT NULL, "
    "body TEXT NOT NULL)",
    "CREATE INDEX jobs_live ON jobs(id) WHERE live = 1",
    "CREATE TABLE events(number INTEGER PRIMARY KEY, job INTEGER NOT NULL, time INTEGER NOT NULL, crc INTEGER NOT NULL, "
    "type TEXT NOT NULL, body TEXT NOT NULL)",
    "CREATE INDEX events_job ON events(job)",
    "CREATE TABLE idempotency(key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, job INTEGER NOT NULL, created_at INTEGER NOT NULL, "
    "crc INTEGER NOT NULL) WITHOUT ROWID",
};
constexpr std::array kSecondTables{
    "CREATE TABLE holder(only INTEGER PRIMARY KEY CHECK(only = 1), epoch INTEGER NOT NULL, crc INTEGER NOT NULL)",
    "CREATE INDEX idempotency_age ON idempotency(created_at)",
};

/// Rows that one statement writes: enough to make the cost of starting a statement small.
constexpr std::size_t kRowsPerStatement = 32;

std::int64_t signed_of(std::uint64_t number) { return static_cast<std::int64_t>(number); }
std::uint64_t unsigned_of(std::int64_t number) { return static_cast<std::uint64_t>(number); }

template <typename Record>
std::int64_t crc_of(const Record& record) {
  return std::int64_t{store::checksum_of(record)};
}

/// Binds parameters in order.
class Binder {
 public:
  explicit Binder(Statement& statement) : statement_(statement) {}
  template <typename Value>
  Binder& operator<<(const Value& value) {
    statement_.bind(next_++, value);
    return *this;
  }

 private:
  Statement& statement_;
  int next_ = 1;
};

void bind_row(Binder& binder, const store::JobRecord& job) {
  binder << signed_of(job.id.value) << std::int64_t{job.live} << std::int64_t{micros(job.changed_at)} << crc_of(job)
         << std::string_view(job.body);
}
void bind_row(Binder& binder, const store::EventRecord& event) {
  binder << signed_of(event.number.value) << signed_of(event.job.value) << std::int64_t{micros(event.time)} << crc_of(event)
         << std::string_view(event.type) << std::string_view(event.body);
}
void bind_row(Binder& binder, const store::IdempotencyRecord& record) {
  binder << std::string_view(record.key) << std::string_view(record.fingerprint) << signed_of(record.job.value)
         << std::int64_t{micros(record.created_at)} << crc_of(record);
}

/// The text of a statement that writes several rows: "INSERT INTO table(columns) VALUES (?,?),(?,?) suffix".
struct Insert {
  std::string_view head;  ///< Up to VALUES.
  std::string_view row;   ///< One row of parameters.
  std::string_view suffix;
  std::string for_rows(std::size_t count) const {
    std::string sql(head);
    for (std::size_t i = 0; i < count; ++i) {
      if (i > 0) sql += ',';
      sql += row;
    }
    sql += suffix;
    return sql;
  }
};

constexpr Insert kUpsertJob{
    "INSERT INTO jobs(id, live, changed_at, crc, body) VALUES", "(?,?,?,?,?)",
    " ON CONFLICT(id) DO UPDATE SET live = excluded.live, changed_at = excluded.changed_at, crc = excluded.crc, body = excluded.body"};
constexpr Insert kInsertEvent{"INSERT INTO events(number, job, time, crc, type, body) VALUES", "(?,?,?,?,?,?)", ""};
constexpr Insert kUpsertKey{"INSERT INTO idempotency(key, fingerprint, job, created_at, crc) VALUES", "(?,?,?,?,?)",
                            " ON CONFLICT(key) DO UPDATE SET fingerprint = excluded.fingerprint, job = excluded.job, "
                            "created_at = excluded.created_at, crc = excluded.crc"};

/// Writes `records` with statements of `rows` rows each and returns those that are left.
template <typename Record>
Result<std::span<const Record>> write_groups(Session& session, const Insert& insert, std::span<const Record> records, std::size_t rows) {
  if (records.size() < rows) return records;
  ASSIGN_OR_RETURN(Statement statement, session.prepare(insert.for_rows(rows)));
  while (records.size() >= rows) {
    Binder binder(statement);
    for (const Record& record : records.first(rows)) bind_row(binder, record);
    TRY(statement.run());
    records = records.subspan(rows);
  }
  return records;
}

template <typename Record>
Result<void> write_rows(Session& session, const Insert& insert, const std::vector<Record>& records) {
  std::span<const Record> rest(records);
  ASSIGN_OR_RETURN(rest, write_groups(session, insert, rest, kRowsPerStatement));
  TRY(write_groups(session, insert, rest, 1));
  return {};
}

Result<store::JobRecord> job_of(const Statement& row) {
  store::JobRecord job{JobId(unsigned_of(row.integer(0))), row.integer(1) == 1, time_from_micros(row.integer(2)), row.text(4)};
  if (row.integer(3) != crc_of(job)) return corrupt_ledger("job " + job.id.text());
  return job;
}

Result<store::EventRecord> event_of(const Statement& row) {
  store::EventRecord event{EventNumber(unsigned_of(row.integer(0))), JobId(unsigned_of(row.integer(1))), time_from_micros(row.integer(2)),
                           row.text(4), row.text(5)};
  if (row.integer(3) != crc_of(event)) return corrupt_ledger("event " + event.number.text());
  return event;
}

Result<store::IdempotencyRecord> key_of(const Statement& row) {
  store::IdempotencyRecord record{row.text(0), row.text(1), JobId(unsigned_of(row.integer(2))), time_from_micros(row.integer(3))};
  if (row.integer(4) != crc_of(record)) return corrupt_ledger("an idempotency key");
  return record;
}

template <typename Record>
Result<std::vector<Record>> all_rows(Statement& statement, Result<Record> (*record_of)(const Statement&)) {
  std::vector<Record> records;
  for (;;) {
    ASSIGN_OR_RETURN(const bool more, statement.step());
    if (!more) return records;
    ASSIGN_OR_RETURN(Record record, record_of(statement));
    records.push_back(std::move(record));
  }
}

std::int64_t limit_of(std::size_t limit) {
  return static_cast<std::int64_t>(std::min<std::size_t>(limit, std::numeric_limits<std::int64_t>::max()));
}

Result<bool> is_fresh(Session& session) {
  ASSIGN_OR_RETURN(const std::int64_t version, session.integer("PRAGMA user_version"));
  ASSIGN_OR_RETURN(const std::int64_t application, session.integer("PRAGMA application_id"));
  ASSIGN_OR_RETURN(const std::int64_t objects, session.integer("SELECT COUNT(*) FROM sqlite_master"));
  return application == 0 && version == 0 && objects == 0;
}

Result<void> write_epoch(Session& session, std::uint64_t epoch) {
  ASSIGN_OR_RETURN(Statement statement, session.prepare("INSERT INTO holder(only, epoch, crc) VALUES(1, ?, ?) "
                                                        "ON CONFLICT(only) DO UPDATE SET epoch = excluded.epoch, crc = excluded.crc"));
  Binder(statement) << signed_of(epoch) << crc_of(epoch);
  return statement.run();
}

Result<std::uint64_t> read_epoch(Session& session) {
  ASSIGN_OR_RETURN(Statement statement, session.prepare("SELECT epoch, crc FROM holder"));
  ASSIGN_OR_RETURN(const bool found, statement.step());
  if (!found) return corrupt_ledger("the epoch is gone");
  const std::uint64_t epoch = unsigned_of(statement.integer(0));
  if (statement.integer(1) != crc_of(epoch)) return corrupt_ledger("the epoch");
  return epoch;
}

/// Makes what is missing, inside a transaction. Another process may have done so before it.
Result<void> upgrade(Session& session) {
  ASSIGN_OR_RETURN(const bool fresh, is_fresh(session));
  std::int64_t version = 0;
  if (!fresh) {
    ASSIGN_OR_RETURN(version, check_tables(session));
  }
  if (version == kVersion) return {};
  if (version < 1) {
    for (const char* table : kFirstTables) TRY(session.run(table));
  }
  for (const char* table : kSecondTables) TRY(session.run(table));
  TRY(write_epoch(session, 0));
  TRY(session.run(fmt::format("PRAGMA application_id={}", kApplicationId)));
  return session.run(fmt::format("PRAGMA user_version={}", kVersion));
}

Result<void> forget_keys(Session& session, TimePoint before) {
  ASSIGN_OR_RETURN(Statement statement, session.prepare("DELETE FROM idempotency WHERE key IN "
                                                        "(SELECT key FROM idempotency WHERE created_at < ? ORDER BY created_at LIMIT ?)"));
  Binder(statement) << std::int64_t{micros(before)} << static_cast<std::int64_t>(store::kForgottenKeysMax);
  return statement.run();
}

}  // namespace

Result<std::int64_t> check_tables(Session& session) {
  ASSIGN_OR_RETURN(const std::int64_t version, session.integer("PRAGMA user_version"));
  ASSIGN_OR_RETURN(const std::int64_t application, session.integer("PRAGMA application_id"));
  if (application == kApplicationId && version > kVersion) return store::newer_ledger(version, kVersion, session.path());
  if (application != kApplicationId || version < 1) {
    return data_loss("ledger.corrupt", "the file is no ledger, or a damaged one, name another file or restore it: " + session.path());
  }
  ASSIGN_OR_RETURN(Statement tables, session.prepare("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid"));
  std::vector<std::string_view> expected(kFirstTables.begin(), kFirstTables.end());
  if (version >= 2) expected.insert(expected.end(), kSecondTables.begin(), kSecondTables.end());
  for (const std::string_view definition : expected) {
    ASSIGN_OR_RETURN(const bool found, tables.step());
    if (!found || tables.text(0) != definition) return corrupt_ledger("the definition of a table");
  }
  ASSIGN_OR_RETURN(const bool more, tables.step());
  if (more) return corrupt_ledger("there is a table too many");
  return version;
}

Result<void> prepare_tables(Session& session) {
  ASSIGN_OR_RETURN(const bool fresh, is_fresh(session));
  if (!fresh) {
    ASSIGN_OR_RETURN(const std::int64_t version, check_tables(session));
    if (version == kVersion) return {};
  }
  TRY(session.run("BEGIN IMMEDIATE"));
  Result<void> done = upgrade(session);
  if (done.ok()) done = session.run("COMMIT");
  if (!done.ok()) session.roll_back();
  return done;
}

Result<void> check_pages(Session& session) {
  ASSIGN_OR_RETURN(Statement check, session.prepare("PRAGMA integrity_check(1)"));
  ASSIGN_OR_RETURN(const bool answered, check.step());
  if (answered && check.text(0) == "ok") return {};
  return corrupt_ledger(answered ? check.text(0) : std::string("the check of its pages had no answer"));
}

Result<std::uint64_t> raise_epoch(Session& session) {
  ASSIGN_OR_RETURN(const std::uint64_t epoch, read_epoch(session));
  TRY(write_epoch(session, epoch + 1));
  return epoch + 1;
}

Result<void> check_epoch(Session& session, std::uint64_t epoch) {
  ASSIGN_OR_RETURN(const std::uint64_t current, read_epoch(session));
  return current == epoch ? Result<void>() : store::fenced_ledger(epoch);
}

Result<void> write_batch(Session& session, const store::LedgerBatch& batch) {
  TRY(write_rows(session, kUpsertJob, batch.jobs));
  TRY(write_rows(session, kInsertEvent, batch.events));
  if (batch.forget_keys_before) TRY(forget_keys(session, *batch.forget_keys_before));
  TRY(write_rows(session, kUpsertKey, batch.idempotency));
  return {};
}

Result<store::LedgerRecovery> read_recovery(Session& session) {
  store::LedgerRecovery recovery;
  {
    ASSIGN_OR_RETURN(Statement jobs, session.prepare("SELECT id, live, changed_at, crc, body FROM jobs INDEXED BY jobs_live "
                                                     "WHERE live = 1 ORDER BY id"));
    ASSIGN_OR_RETURN(recovery.live_jobs, all_rows(jobs, job_of));
  }
  // A damaged index can name another row, or one twice.
  for (std::size_t i = 0; i < recovery.live_jobs.size(); ++i) {
    const bool in_order = i == 0 || recovery.live_jobs[i - 1].id < recovery.live_jobs[i].id;
    if (!recovery.live_jobs[i].live || !in_order) return corrupt_ledger("the index of live jobs");
  }
  {
    ASSIGN_OR_RETURN(Statement keys,
                     session.prepare("SELECT key, fingerprint, job, created_at, crc FROM idempotency ORDER BY created_at, key"));
    ASSIGN_OR_RETURN(recovery.idempotency, all_rows(keys, key_of));
  }
  ASSIGN_OR_RETURN(const std::vector<store::JobRecord> newest, read_jobs(session, JobId(), 1));
  if (!newest.empty()) recovery.last_job = newest.front().id;
  ASSIGN_OR_RETURN(Statement last, session.prepare("SELECT number, job, time, crc, type, body FROM events ORDER BY number DESC LIMIT 1"));
  ASSIGN_OR_RETURN(const std::vector<store::EventRecord> events, all_rows(last, event_of));
  if (!events.empty()) recovery.last_event = events.front().number;
  ASSIGN_OR_RETURN(const std::int64_t version, session.integer("PRAGMA user_version"));
  if (version >= 2) {
    ASSIGN_OR_RETURN(recovery.epoch, read_epoch(session));
  }
  return recovery;
}

Result<std::vector<store::JobRecord>> read_jobs(Session& session, JobId before, std::size_t limit) {
  ASSIGN_OR_RETURN(Statement jobs,
                   session.prepare("SELECT id, live, changed_at, crc, body FROM jobs WHERE id < ? ORDER BY id DESC LIMIT ?"));
  Binder(jobs) << (before.valid() ? signed_of(before.value) : std::numeric_limits<std::int64_t>::max()) << limit_of(limit);
  return all_rows(jobs, job_of);
}

Result<store::JobRecord> read_job(Session& session, JobId id) {
  ASSIGN_OR_RETURN(Statement job, session.prepare("SELECT id, live, changed_at, crc, body FROM jobs WHERE id = ?"));
  Binder(job) << signed_of(id.value);
  ASSIGN_OR_RETURN(const bool found, job.step());
  if (!found) return store::unknown_ledger_job(id);
  return job_of(job);
}

Result<std::vector<store::EventRecord>> read_events(Session& session, EventNumber after, JobId job, std::size_t limit) {
  const std::string_view sql =
      job.valid() ? "SELECT number, job, time, crc, type, body FROM events WHERE job = ?2 AND number > ?1 ORDER BY number LIMIT ?3"
                  : "SELECT number, job, time, crc, type, body FROM events WHERE number > ?1 AND ?2 = 0 ORDER BY number LIMIT ?3";
  ASSIGN_OR_RETURN(Statement events, session.prepare(sql));
  Binder(events) << signed_of(after.value) << signed_of(job.value) << limit_of(limit);
  ASSIGN_OR_RETURN(std::vector<store::EventRecord> found, all_rows(events, event_of));
  if (!job.valid()) TRY(store::check_no_gap(found));
  return found;
}

}  // namespace trainyard::adapters::sqlite::internal
