#include "adapters/redis/internal/ledger_reads.h"

#include <algorithm>
#include <span>

#include "adapters/redis/internal/records.h"
#include "store/ledger_rules.h"

namespace trainyard::adapters::redis::internal {
namespace {

/// How many records one command asks for: enough to make a round trip cheap, few enough that others are served between.
constexpr std::size_t kPage = 500;
/// Jobs of one listing come in one command up to this many, so that they are of one moment.
constexpr std::size_t kListedAtOnce = 4096;

std::vector<std::string_view> views_of(const std::vector<std::string>& texts) { return {texts.begin(), texts.end()}; }

/// The members of a sorted set from the `first`-th on, lowest score first; none behind its end.
Result<std::vector<std::string>> members(Connection& connection, const std::string& key, std::size_t first) {
  const std::string from = std::to_string(first);
  const std::string to = std::to_string(first + kPage - 1);
  ASSIGN_OR_RETURN(const Reply reply, connection.command({"ZRANGE", key, from, to}));
  ASSIGN_OR_RETURN(const std::vector<const redisReply*> elements, elements_of(*reply));
  std::vector<std::string> found;
  for (const redisReply* element : elements) {
    ASSIGN_OR_RETURN(const std::string_view text, text_of(*element));
    found.emplace_back(text);
  }
  return found;
}

Result<Reply> fields_of(Connection& connection, const std::string& key, const std::vector<std::string>& fields) {
  std::vector<std::string_view> words = views_of(fields);
  words.insert(words.begin(), {"HMGET", key});
  return connection.command(words);
}

Result<std::uint64_t> id_of(const std::string& text) {
  if (text.empty() || text.size() > 19 || !std::all_of(text.begin(), text.end(), [](char digit) { return digit >= '0' && digit <= '9'; })) {
    return store::corrupt_ledger("the id of a job");
  }
  return std::stoull(text);
}

Result<void> read_live_jobs(Connection& connection, const LedgerKeys& keys, store::LedgerRecovery& recovery) {
  for (std::size_t first = 0;; first += kPage) {
    ASSIGN_OR_RETURN(const std::vector<std::string> ids, members(connection, keys.live, first));
    if (ids.empty()) return {};
    ASSIGN_OR_RETURN(const Reply reply, fields_of(connection, keys.jobs, ids));
    ASSIGN_OR_RETURN(const std::vector<const redisReply*> records, elements_of(*reply));
    for (std::size_t i = 0; i < records.size(); ++i) {
      ASSIGN_OR_RETURN(const std::uint64_t id, id_of(ids[i]));
      ASSIGN_OR_RETURN(const std::string_view bytes, text_of(*records[i]));
      ASSIGN_OR_RETURN(store::JobRecord job, decode_job(JobId(id), bytes));
      const bool in_order = recovery.live_jobs.empty() || recovery.live_jobs.back().id < job.id;
      if (!job.live || !in_order || job.id > recovery.last_job) return store::corrupt_ledger("the set of live jobs");
      recovery.live_jobs.push_back(std::move(job));
    }
  }
}

Result<void> read_keys(Connection& connection, const LedgerKeys& keys, store::LedgerRecovery& recovery) {
  for (std::size_t first = 0;; first += kPage) {
    ASSIGN_OR_RETURN(const std::vector<std::string> page, members(connection, keys.ages, first));
    if (page.empty()) return {};
    ASSIGN_OR_RETURN(const Reply reply, fields_of(connection, keys.keys, page));
    ASSIGN_OR_RETURN(const std::vector<const redisReply*> records, elements_of(*reply));
    for (std::size_t i = 0; i < records.size(); ++i) {
      ASSIGN_OR_RETURN(const std::string_view bytes, text_of(*records[i]));
      ASSIGN_OR_RETURN(store::IdempotencyRecord record, decode_key(page[i], bytes));
      recovery.idempotency.push_back(std::move(record));
    }
  }
}

/// An entry of the stream is [id, [field, record]].
Result<store::EventRecord> event_of(const redisReply& entry) {
  ASSIGN_OR_RETURN(const std::vector<const redisReply*> parts, elements_of(entry));
  if (parts.size() != 2) return store::corrupt_ledger("an event");
  ASSIGN_OR_RETURN(const std::string_view id, text_of(*parts[0]));
  ASSIGN_OR_RETURN(const std::vector<const redisReply*> fields, elements_of(*parts[1]));
  if (fields.size() != 2 || !id.ends_with("-0")) return store::corrupt_ledger("an event");
  ASSIGN_OR_RETURN(const std::uint64_t number, id_of(std::string(id.substr(0, id.size() - 2))));
  ASSIGN_OR_RETURN(const std::string_view bytes, text_of(*fields[1]));
  return decode_event(EventNumber(number), bytes);
}

/// The numbers of a job's events behind `after`.
Result<std::vector<std::uint64_t>> event_numbers(Connection& connection, const LedgerKeys& keys, JobId job, EventNumber after,
                                                 std::size_t limit) {
  const std::string key = keys.of_job + job.text();
  ASSIGN_OR_RETURN(const Reply reply, connection.command({"LRANGE", key, "0", "-1"}));
  ASSIGN_OR_RETURN(const std::vector<const redisReply*> elements, elements_of(*reply));
  std::vector<std::uint64_t> numbers;
  for (const redisReply* element : elements) {
    ASSIGN_OR_RETURN(const std::uint64_t number, number_of(*element));
    if (number > after.value && numbers.size() < limit) numbers.push_back(number);
  }
  return numbers;
}

/// The answer to a question for one event.
Result<store::EventRecord> receive_event(Connection& connection, JobId job, std::uint64_t number) {
  ASSIGN_OR_RETURN(const Reply reply, connection.receive());
  if (const ServerError error = Connection::error_in(*reply); !error.kind.empty()) return connection.error_of(error);
  ASSIGN_OR_RETURN(const std::vector<const redisReply*> entries, elements_of(*reply));
  if (entries.size() != 1) return store::corrupt_ledger("event " + std::to_string(number));
  ASSIGN_OR_RETURN(store::EventRecord event, event_of(*entries.front()));
  if (event.job != job) return store::corrupt_ledger("the events of job " + job.text());
  return event;
}

}  // namespace

Result<void> read_recovery(Connection& connection, const LedgerKeys& keys, store::LedgerRecovery& recovery) {
  TRY(read_live_jobs(connection, keys, recovery));
  TRY(read_keys(connection, keys, recovery));
  if (recovery.last_job.valid()) TRY(read_job(connection, keys, recovery.last_job));
  ASSIGN_OR_RETURN(const Reply reply, connection.command({"XREVRANGE", keys.events, "+", "-", "COUNT", "1"}));
  ASSIGN_OR_RETURN(const std::vector<const redisReply*> newest, elements_of(*reply));
  EventNumber last;
  for (const redisReply* entry : newest) {
    ASSIGN_OR_RETURN(const store::EventRecord event, event_of(*entry));
    last = event.number;
  }
  return last == recovery.last_event ? Result<void>() : store::corrupt_ledger("the newest events are gone");
}

Result<std::vector<store::JobRecord>> read_jobs(Connection& connection, const LedgerKeys& keys, JobId before, std::size_t limit) {
  ASSIGN_OR_RETURN(const Reply newest, connection.command({"HGET", keys.meta, "last_job"}));
  std::uint64_t next = 0;  // The highest id that may come.
  if (!is_nil(*newest)) {
    ASSIGN_OR_RETURN(next, number_of(*newest));
  }
  if (before.valid()) next = std::min(next, before.value - 1);
  std::vector<store::JobRecord> page;
  while (next > 0 && page.size() < limit) {
    const std::uint64_t count = std::min<std::uint64_t>({limit - page.size(), kListedAtOnce, next});
    std::vector<std::string> ids;
    for (std::uint64_t id = next; id > next - count; --id) ids.push_back(std::to_string(id));
    ASSIGN_OR_RETURN(const Reply reply, fields_of(connection, keys.jobs, ids));
    ASSIGN_OR_RETURN(const std::vector<const redisReply*> records, elements_of(*reply));
    for (std::size_t i = 0; i < records.size(); ++i) {
      if (is_nil(*records[i])) continue;
      ASSIGN_OR_RETURN(const std::string_view bytes, text_of(*records[i]));
      ASSIGN_OR_RETURN(store::JobRecord job, decode_job(JobId(next - i), bytes));
      page.push_back(std::move(job));
    }
    next -= count;
  }
  return page;
}

Result<store::JobRecord> read_job(Connection& connection, const LedgerKeys& keys, JobId id) {
  const std::string field = id.text();
  ASSIGN_OR_RETURN(const Reply reply, connection.command({"HGET", keys.jobs, field}));
  if (is_nil(*reply)) return store::unknown_ledger_job(id);
  ASSIGN_OR_RETURN(const std::string_view bytes, text_of(*reply));
  return decode_job(id, bytes);
}

Result<std::vector<store::EventRecord>> read_events(Connection& connection, const LedgerKeys& keys, EventNumber after, std::size_t limit) {
  std::vector<store::EventRecord> found;
  while (found.size() < limit) {
    const std::string from = std::to_string((found.empty() ? after.value : found.back().number.value) + 1) + "-0";
    const std::size_t wanted = std::min(limit - found.size(), kPage);
    const std::string count = std::to_string(wanted);
    ASSIGN_OR_RETURN(const Reply reply, connection.command({"XRANGE", keys.events, from, "+", "COUNT", count}));
    ASSIGN_OR_RETURN(const std::vector<const redisReply*> entries, elements_of(*reply));
    for (const redisReply* entry : entries) {
      ASSIGN_OR_RETURN(store::EventRecord event, event_of(*entry));
      found.push_back(std::move(event));
    }
    if (entries.size() < wanted) break;
  }
  TRY(store::check_no_gap(found));
  return found;
}

Result<std::vector<store::EventRecord>> read_events_of(Connection& connection, const LedgerKeys& keys, JobId job, EventNumber after,
                                                       std::size_t limit) {
  ASSIGN_OR_RETURN(const std::vector<std::uint64_t> numbers, event_numbers(connection, keys, job, after, limit));
  std::vector<store::EventRecord> found;
  for (std::size_t first = 0; first < numbers.size(); first += kPage) {
    const std::span<const std::uint64_t> page = std::span(numbers).subspan(first, std::min(kPage, numbers.size() - first));
    for (const std::uint64_t number : page) {
      const std::string id = std::to_string(number) + "-0";
      TRY(connection.send({"XRANGE", keys.events, id, id}));
    }
    for (const std::uint64_t number : page) {
      Result<store::EventRecord> event = receive_event(connection, job, number);
      if (!event.ok()) {
        connection.close();  // Answers to the rest are still on their way.
        return std::move(event).error();
      }
      found.push_back(*std::move(event));
    }
  }
  return found;
}

}  // namespace trainyard::adapters::redis::internal
