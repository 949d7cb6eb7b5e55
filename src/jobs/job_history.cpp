#include "jobs/job_history.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/check.h"
#include "base/failpoint.h"

namespace trainyard::jobs {
namespace {

using store::Connection;
using store::Row;
using store::SqlValue;

constexpr std::string_view kFirstTables = R"sql(CREATE TABLE job_history(
  id BIGINT PRIMARY KEY, namespace TEXT NOT NULL, owner TEXT NOT NULL, queue TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
  state TEXT NOT NULL, reason_code TEXT NOT NULL, array_parent BIGINT NOT NULL, is_array BIGINT NOT NULL,
  submitted_us BIGINT NOT NULL, started_us BIGINT, ended_us BIGINT NOT NULL,
  cpu_us BIGINT NOT NULL, gpu_us BIGINT NOT NULL, memory_mib_ms BIGINT NOT NULL, cpu_used_us BIGINT NOT NULL, max_rss_bytes BIGINT NOT NULL,
  body TEXT NOT NULL);
CREATE INDEX job_history_by_namespace ON job_history(namespace, id);
CREATE INDEX job_history_by_owner ON job_history(owner, id);
CREATE INDEX job_history_by_queue ON job_history(queue, id);
CREATE INDEX job_history_by_state ON job_history(state, id);
CREATE INDEX job_history_by_array ON job_history(array_parent, id);
CREATE INDEX job_history_by_end ON job_history(ended_us);
CREATE TABLE job_history_label(
  job BIGINT NOT NULL REFERENCES job_history(id), key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY(job, key));
CREATE INDEX job_history_label_by_value ON job_history_label(key, value, job);
CREATE TABLE job_history_position(one BIGINT PRIMARY KEY, event BIGINT NOT NULL))sql";

constexpr std::int64_t kMicrosPerDay = 86'400'000'000;

SqlValue number(std::uint64_t value) { return static_cast<std::int64_t>(value); }
SqlValue text(std::string_view value) { return std::string(value); }

/// ASCII letters in lower case, as SQL's lower() does in every locale for them.
std::string lower_case(std::string_view value) {
  std::string lower(value);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return lower;
}

/// A pattern of LIKE that finds `part` anywhere, with '!' as the escape.
std::string containing(std::string_view part) {
  std::string pattern = "%";
  for (const char c : lower_case(part)) {
    if (c == '%' || c == '_' || c == '!') pattern += '!';
    pattern += c;
  }
  return pattern + "%";
}

Result<void> insert_job(Connection& sql, const Job& job) {
  CHECK(is_terminal(job.state) && job.ended_at, "the history holds jobs that have ended");
  ASSIGN_OR_RETURN(
      const std::int64_t inserted,
      sql.execute(
          "INSERT INTO job_history(id, namespace, owner, queue, kind, name, state, reason_code, array_parent, is_array, "
          "submitted_us, started_us, ended_us, cpu_us, gpu_us, memory_mib_ms, cpu_used_us, max_rss_bytes, body) "
          "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(id) DO NOTHING",
          {number(job.id.value), job.spec.name_space, job.owner, job.spec.queue, job.spec.kind, job.spec.name, text(name_of(job.state)),
           text(name_of(job.reason_code)), number(job.array_parent.value), std::int64_t{is_array(job) ? 1 : 0}, micros(job.submitted_at),
           job.started_at ? SqlValue(micros(*job.started_at)) : SqlValue(), micros(*job.ended_at), job.usage.cpu_us, job.usage.gpu_us,
           job.usage.memory_mib_ms, job.usage.cpu_used_us, job.usage.max_rss_bytes, encode_job(job)}));
  if (inserted == 0) return {};
  for (const auto& [key, value] : job.spec.labels) {
    TRY(sql.execute("INSERT INTO job_history_label(job, key, value) VALUES(?, ?, ?)", {number(job.id.value), key, value}));
  }
  return {};
}

struct Condition {
  std::string sql = "1 = 1";
  std::vector<SqlValue> parameters;

  void add(std::string_view clause, SqlValue value) {
    sql += fmt::format(" AND {}", clause);
    parameters.push_back(std::move(value));
  }
  void add_if(std::string_view clause, const std::string& value) {
    if (!value.empty()) add(clause, value);
  }
};

Condition condition_of(const JobFilter& filter, JobId before) {
  Condition condition;
  if (before.valid()) condition.add("id < ?", number(before.value));
  if (!filter.states.empty()) {
    std::string marks;
    for (const JobState state : filter.states) {
      marks += marks.empty() ? "?" : ", ?";
      condition.parameters.push_back(text(name_of(state)));
    }
    condition.sql += fmt::format(" AND state IN ({})", marks);
  }
  condition.add_if("queue = ?", filter.queue);
  condition.add_if("owner = ?", filter.owner);
  condition.add_if("namespace = ?", filter.name_space);
  condition.add_if("kind = ?", filter.kind);
  if (!filter.name_part.empty()) condition.add("lower(name) LIKE ? ESCAPE '!'", containing(filter.name_part));
  if (filter.since) condition.add("submitted_us >= ?", micros(*filter.since));
  if (filter.until) condition.add("submitted_us < ?", micros(*filter.until));
  if (filter.array.valid()) condition.add("array_parent = ?", number(filter.array.value));
  for (const auto& [key, value] : filter.labels) {
    condition.add("EXISTS (SELECT 1 FROM job_history_label WHERE job = id AND key = ? AND value = ?)", key);
    condition.parameters.emplace_back(value);
  }
  return condition;
}

std::string_view column_of(UsageGroup group) {
  switch (group) {
    case UsageGroup::kUser:
      return "owner";
    case UsageGroup::kQueue:
      return "queue";
    case UsageGroup::kNamespace:
      return "namespace";
    case UsageGroup::kDay:
      break;
  }
  return "ended_us / 86400000000";
}

std::string key_of(UsageGroup group, const Row& row) {
  if (group != UsageGroup::kDay) return row.text(0);
  constexpr std::size_t kDateLength = 10;
  return to_rfc3339(time_from_micros(row.integer(0) * kMicrosPerDay)).substr(0, kDateLength);
}

/// What ends a job, by the type of its event.
bool is_end(std::string_view type) { return type == "succeeded" || type == "failed" || type == "cancelled" || type == "timed_out"; }

}  // namespace

const std::vector<store::Migration>& job_history_migrations() {
  static const std::vector<store::Migration> migrations{{1, kFirstTables}};
  return migrations;
}

bool matches(const JobFilter& filter, const Job& job) {
  const auto wanted = [](const std::string& asked, const std::string& value) { return asked.empty() || asked == value; };
  if (!filter.states.empty() && std::find(filter.states.begin(), filter.states.end(), job.state) == filter.states.end()) return false;
  if (!wanted(filter.queue, job.spec.queue) || !wanted(filter.owner, job.owner) || !wanted(filter.name_space, job.spec.name_space) ||
      !wanted(filter.kind, job.spec.kind)) {
    return false;
  }
  if (lower_case(job.spec.name).find(lower_case(filter.name_part)) == std::string::npos) return false;
  if ((filter.since && job.submitted_at < *filter.since) || (filter.until && job.submitted_at >= *filter.until)) return false;
  if (filter.array.valid() && job.array_parent != filter.array) return false;
  return std::all_of(filter.labels.begin(), filter.labels.end(), [&job](const auto& label) {
    const auto found = job.spec.labels.find(label.first);
    return found != job.spec.labels.end() && found->second == label.second;
  });
}

Result<UsageGroup> usage_group_from(std::string_view name) {
  if (name == "user") return UsageGroup::kUser;
  if (name == "queue") return UsageGroup::kQueue;
  if (name == "namespace") return UsageGroup::kNamespace;
  if (name == "day") return UsageGroup::kDay;
  return invalid_argument("query.group", fmt::format("usage is grouped by user, queue, namespace or day, not \"{}\"", name));
}

Result<EventNumber> JobHistory::position() {
  EventNumber position;
  TRY(database_.read([&position](Connection& sql) -> Result<void> {
    ASSIGN_OR_RETURN(const std::vector<Row> rows, sql.query("SELECT event FROM job_history_position WHERE one = 1"));
    if (!rows.empty()) position = EventNumber(static_cast<std::uint64_t>(rows.front().integer(0)));
    return {};
  }));
  return position;
}

Result<void> JobHistory::record(const std::vector<Job>& ended, EventNumber position) {
  return database_.write([&](Connection& sql) -> Result<void> {
    for (const Job& job : ended) TRY(insert_job(sql, job));
    FAILPOINT("history.before_commit");
    TRY(
        sql.execute("INSERT INTO job_history_position(one, event) VALUES(1, ?) ON CONFLICT(one) DO UPDATE SET event = excluded.event "
                    "WHERE excluded.event > job_history_position.event",
                    {number(position.value)}));
    return {};
  });
}

Result<bool> JobHistory::catch_up(store::JobLedger& ledger, std::size_t events_max) {
  ASSIGN_OR_RETURN(const EventNumber from, position());
  ASSIGN_OR_RETURN(const std::vector<store::EventRecord> events, ledger.events(from, JobId(), events_max));
  if (events.empty()) return false;
  std::set<JobId> ended;
  for (const store::EventRecord& event : events) {
    if (is_end(event.type)) ended.insert(event.job);
  }
  std::vector<Job> jobs;
  jobs.reserve(ended.size());
  for (const JobId id : ended) {
    ASSIGN_OR_RETURN(const store::JobRecord record, ledger.get(id));
    ASSIGN_OR_RETURN(Job job, decode_job(record.body));
    if (is_terminal(job.state)) jobs.push_back(std::move(job));
  }
  FAILPOINT("history.before_record");
  TRY(record(jobs, events.back().number));
  FAILPOINT("history.after_record");
  return events.size() == events_max;
}

Result<JobPage> JobHistory::query(const JobFilter& filter, JobId before, std::size_t limit) {
  JobPage page;
  const Condition condition = condition_of(filter, before);
  std::vector<SqlValue> parameters = condition.parameters;
  parameters.push_back(number(limit + 1));
  TRY(database_.read([&](Connection& sql) -> Result<void> {
    ASSIGN_OR_RETURN(const std::vector<Row> rows,
                     sql.query(fmt::format("SELECT body FROM job_history WHERE {} ORDER BY id DESC LIMIT ?", condition.sql), parameters));
    for (const Row& row : rows) {
      if (page.jobs.size() == limit) {
        page.next = page.jobs.empty() ? before : page.jobs.back().id;
        return {};
      }
      Result<Job> job = decode_job(row.text(0));
      if (!job.ok()) return data_loss("history.corrupt", "a job in the history cannot be read: " + job.error().describe());
      page.jobs.push_back(std::move(job).value());
    }
    return {};
  }));
  return page;
}

Result<std::vector<UsageSum>> JobHistory::usage(UsageGroup group, TimePoint from, TimePoint until) {
  constexpr double kMicros = 1e6;
  constexpr double kMibMillisPerGibSecond = 1024.0 * 1000.0;
  std::vector<UsageSum> sums;
  TRY(database_.read([&](Connection& sql) -> Result<void> {
    ASSIGN_OR_RETURN(
        const std::vector<Row> rows,
        sql.query(fmt::format("SELECT {0}, COUNT(*), SUM(CAST(cpu_us AS DOUBLE PRECISION)), SUM(CAST(gpu_us AS DOUBLE PRECISION)), "
                              "SUM(CAST(memory_mib_ms AS DOUBLE PRECISION)), SUM(CAST(cpu_used_us AS DOUBLE PRECISION)) FROM job_history "
                              "WHERE ended_us >= ? AND ended_us < ? AND is_array = 0 GROUP BY {0} ORDER BY {0}",
                              column_of(group)),
                  {micros(from), micros(until)}));
    for (const Row& row : rows) {
      sums.push_back({key_of(group, row), row.integer(1), row.real(2) / kMicros, row.real(3) / kMicros,
                      row.real(4) / kMibMillisPerGibSecond, row.real(5) / kMicros});
    }
    return {};
  }));
  return sums;
}

}  // namespace trainyard::jobs
