#include "adapters/sqlite/internal/ledger_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <span>

#include "base/checksum.h"
#include "base/file.h"

namespace trainyard::adapters::sqlite::internal {
namespace {

constexpr std::int64_t kApplicationId = 0x54594c47;  // "TYLG": tells a ledger from other SQLite files.
constexpr std::int64_t kVersion = 1;

constexpr std::array kTables{
    "CREATE TABLE jobs(id INTEGER PRIMARY KEY, live INTEGER NOT NULL, changed_at INTEGER NOT NULL, crc INTEGER NOT NULL, "
    "body TEXT NOT NULL)",
    "CREATE INDEX jobs_live ON jobs(id) WHERE live = 1",
    "CREATE TABLE events(number INTEGER PRIMARY KEY, job INTEGER NOT NULL, time INTEGER NOT NULL, crc INTEGER NOT NULL, "
    "type TEXT NOT NULL, body TEXT NOT NULL)",
    "CREATE INDEX events_job ON events(job)",
    "CREATE TABLE idempotency(key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, job INTEGER NOT NULL, created_at INTEGER NOT NULL, "
    "crc INTEGER NOT NULL) WITHOUT ROWID",
};

/// Rows that one statement writes: enough to make the cost of starting a statement small.
constexpr std::size_t kRowsPerStatement = 32;

std::int64_t signed_of(std::uint64_t number) { return static_cast<std::int64_t>(number); }
std::uint64_t unsigned_of(std::int64_t number) { return static_cast<std::uint64_t>(number); }

/// CRC-32C over a sequence of columns; a text is summed with its length before it.
class RowChecksum {
 public:
  RowChecksum& add(std::uint64_t number) {
    std::array<std::byte, 8> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(number >> (8 * i));
    sum_ = crc32c(bytes, sum_);
    return *this;
  }
  RowChecksum& add(std::int64_t number) { return add(unsigned_of(number)); }
  RowChecksum& add(std::string_view text) {
    add(std::uint64_t{text.size()});
    sum_ = crc32c(as_bytes(text), sum_);
    return *this;
  }
  std::int64_t value() const { return std::int64_t{sum_}; }

 private:
  std::uint32_t sum_ = 0;
};

std::int64_t checksum_of(const store::JobRecord& job) {
  return RowChecksum().add(job.id.value).add(std::int64_t{job.live}).add(micros(job.changed_at)).add(job.body).value();
}
std::int64_t checksum_of(const store::EventRecord& event) {
  return RowChecksum().add(event.number.value).add(event.job.value).add(micros(event.time)).add(event.type).add(event.body).value();
}
std::int64_t checksum_of(const store::IdempotencyRecord& record) {
  return RowChecksum().add(record.key).add(record.fingerprint).add(record.job.value).add(micros(record.created_at)).value();
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
  binder << signed_of(job.id.value) << std::int64_t{job.live} << std::int64_t{micros(job.changed_at)} << checksum_of(job)
         << std::string_view(job.body);
}
void bind_row(Binder& binder, const store::EventRecord& event) {
  binder << signed_of(event.number.value) << signed_of(event.job.value) << std::int64_t{micros(event.time)} << checksum_of(event)
         << std::string_view(event.type) << std::string_view(event.body);
}
void bind_row(Binder& binder, const store::IdempotencyRecord& record) {
  binder << std::string_view(record.key) << std::string_view(record.fingerprint) << signed_of(record.job.value)
         << std::int64_t{micros(record.created_at)} << checksum_of(record);
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

Error corrupt(std::string what) {
  return data_loss("ledger.corrupt", "the ledger holds damaged data, restore it from a backup: " + std::move(what));
}

Result<store::JobRecord> job_of(const Statement& row) {
  store::JobRecord job{JobId(unsigned_of(row.integer(0))), row.integer(1) == 1, time_from_micros(row.integer(2)), row.text(4)};
  if (row.integer(3) != checksum_of(job)) return corrupt("job " + job.id.text());
  return job;
}

Result<store::EventRecord> event_of(const Statement& row) {
  store::EventRecord event{EventNumber(unsigned_of(row.integer(0))), JobId(unsigned_of(row.integer(1))), time_from_micros(row.integer(2)),
                           row.text(4), row.text(5)};
  if (row.integer(3) != checksum_of(event)) return corrupt("event " + event.number.text());
  return event;
}

Result<store::IdempotencyRecord> key_of(const Statement& row) {
  store::IdempotencyRecord record{row.text(0), row.text(1), JobId(unsigned_of(row.integer(2))), time_from_micros(row.integer(3))};
  if (row.integer(4) != checksum_of(record)) return corrupt("an idempotency key");
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

}  // namespace

Result<void> check_tables(Session& session) {
  ASSIGN_OR_RETURN(const std::int64_t version, session.integer("PRAGMA user_version"));
  ASSIGN_OR_RETURN(const std::int64_t application, session.integer("PRAGMA application_id"));
  if (application == kApplicationId && version > kVersion) {
    return failed_precondition("ledger.newer",
                               fmt::format("the ledger was written by a newer version of this program, install that version or restore a "
                                           "backup; format {}, known here {}: {}",
                                           version, kVersion, session.path()));
  }
  if (application != kApplicationId || version != kVersion) {
    return data_loss("ledger.corrupt", "the file is no ledger, or a damaged one, name another file or restore it: " + session.path());
  }
  ASSIGN_OR_RETURN(Statement tables, session.prepare("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid"));
  for (const std::string_view expected : kTables) {
    ASSIGN_OR_RETURN(const bool found, tables.step());
    if (!found || tables.text(0) != expected) return corrupt("the definition of a table");
  }
  ASSIGN_OR_RETURN(const bool more, tables.step());
  if (more) return corrupt("there is a table too many");
  return {};
}

Result<void> create_tables(Session& session) {
  ASSIGN_OR_RETURN(const std::int64_t version, session.integer("PRAGMA user_version"));
  ASSIGN_OR_RETURN(const std::int64_t application, session.integer("PRAGMA application_id"));
  ASSIGN_OR_RETURN(const std::int64_t objects, session.integer("SELECT COUNT(*) FROM sqlite_master"));
  if (application != 0 || version != 0 || objects != 0) return check_tables(session);
  TRY(session.run("BEGIN IMMEDIATE"));
  for (const char* table : kTables) TRY(session.run(table));
  TRY(session.run(fmt::format("PRAGMA application_id={}", kApplicationId)));
  TRY(session.run(fmt::format("PRAGMA user_version={}", kVersion)));
  return session.run("COMMIT");
}

Result<void> check_pages(Session& session) {
  ASSIGN_OR_RETURN(Statement check, session.prepare("PRAGMA integrity_check(1)"));
  ASSIGN_OR_RETURN(const bool answered, check.step());
  if (answered && check.text(0) == "ok") return {};
  return corrupt(answered ? check.text(0) : std::string("the check of its pages had no answer"));
}

Result<void> write_batch(Session& session, const store::LedgerBatch& batch) {
  TRY(write_rows(session, kUpsertJob, batch.jobs));
  TRY(write_rows(session, kInsertEvent, batch.events));
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
    if (!recovery.live_jobs[i].live || !in_order) return corrupt("the index of live jobs");
  }
  {
    ASSIGN_OR_RETURN(Statement keys, session.prepare("SELECT key, fingerprint, job, created_at, crc FROM idempotency ORDER BY key"));
    ASSIGN_OR_RETURN(recovery.idempotency, all_rows(keys, key_of));
  }
  ASSIGN_OR_RETURN(const std::vector<store::JobRecord> newest, read_jobs(session, JobId(), 1));
  if (!newest.empty()) recovery.last_job = newest.front().id;
  ASSIGN_OR_RETURN(Statement last, session.prepare("SELECT number, job, time, crc, type, body FROM events ORDER BY number DESC LIMIT 1"));
  ASSIGN_OR_RETURN(const std::vector<store::EventRecord> events, all_rows(last, event_of));
  if (!events.empty()) recovery.last_event = events.front().number;
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
  if (!found) return not_found("job.unknown", "there is no job " + id.text() + "; `trainyard job ls` lists them");
  return job_of(job);
}

Result<std::vector<store::EventRecord>> read_events(Session& session, EventNumber after, JobId job, std::size_t limit) {
  const std::string_view sql =
      job.valid() ? "SELECT number, job, time, crc, type, body FROM events WHERE job = ?2 AND number > ?1 ORDER BY number LIMIT ?3"
                  : "SELECT number, job, time, crc, type, body FROM events WHERE number > ?1 AND ?2 = 0 ORDER BY number LIMIT ?3";
  ASSIGN_OR_RETURN(Statement events, session.prepare(sql));
  Binder(events) << signed_of(after.value) << signed_of(job.value) << limit_of(limit);
  ASSIGN_OR_RETURN(std::vector<store::EventRecord> found, all_rows(events, event_of));
  // Numbers have no gaps: a missing one is a lost row.
  for (std::size_t i = 1; !job.valid() && i < found.size(); ++i) {
    if (found[i].number.value != found[i - 1].number.value + 1) return corrupt("no event after " + found[i - 1].number.text());
  }
  return found;
}

}  // namespace trainyard::adapters::sqlite::internal
