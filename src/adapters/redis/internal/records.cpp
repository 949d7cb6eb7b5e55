#include "adapters/redis/internal/records.h"

#include <utility>

#include "store/ledger_rules.h"

namespace trainyard::adapters::redis::internal {
namespace {

/// An argument of Redis holds 512 MiB at most; smaller pieces are also easier on its memory.
constexpr std::size_t kArrayBytesMax = std::size_t{32} << 20;

void put_little_endian(std::string& bytes, std::uint64_t number, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(number >> (8 * i));
}

void put_text(std::string& bytes, std::string_view text) {
  put_little_endian(bytes, text.size(), 4);
  bytes += text;
}

/// Takes fields from the front; what is missing makes all of it bad.
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : rest_(bytes) {}

  std::uint64_t number(std::size_t size) {
    if (rest_.size() < size) return fail();
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < size; ++i) number |= std::uint64_t{static_cast<unsigned char>(rest_[i])} << (8 * i);
    rest_.remove_prefix(size);
    return number;
  }
  TimePoint time() { return time_from_micros(static_cast<std::int64_t>(number(8))); }
  std::string text() {
    const std::uint64_t size = number(4);
    if (rest_.size() < size) return fail(), std::string();
    std::string text(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return text;
  }
  /// Everything was there and nothing is left.
  bool whole() const { return good_ && rest_.empty(); }

 private:
  std::uint64_t fail() {
    good_ = false;
    rest_ = {};
    return 0;
  }
  std::string_view rest_;
  bool good_ = true;
};

/// An array that is closed and begun anew when it grows too large.
class ArraySequence {
 public:
  ArraySequence(std::string_view letter, std::vector<std::string>& out) : letter_(letter), out_(out) {}
  ~ArraySequence() { close(); }
  ArraySequence(const ArraySequence&) = delete;
  ArraySequence& operator=(const ArraySequence&) = delete;

  /// The array to add one group of texts to, which stays together.
  TextArray& group() {
    if (array_.size_bytes() >= kArrayBytesMax) close();
    return array_;
  }

 private:
  void close() {
    if (array_.empty()) return;
    out_.emplace_back(letter_);
    out_.push_back(std::exchange(array_, TextArray()).finish());
  }
  std::string_view letter_;
  std::vector<std::string>& out_;
  TextArray array_;
};

}  // namespace

std::string encode(const store::JobRecord& job) {
  std::string bytes;
  bytes.reserve(job.body.size() + 17);
  put_little_endian(bytes, store::checksum_of(job), 4);
  put_little_endian(bytes, job.live ? 1 : 0, 1);
  put_little_endian(bytes, static_cast<std::uint64_t>(micros(job.changed_at)), 8);
  put_text(bytes, job.body);
  return bytes;
}

std::string encode(const store::EventRecord& event) {
  std::string bytes;
  put_little_endian(bytes, store::checksum_of(event), 4);
  put_little_endian(bytes, event.job.value, 8);
  put_little_endian(bytes, static_cast<std::uint64_t>(micros(event.time)), 8);
  put_text(bytes, event.type);
  put_text(bytes, event.body);
  return bytes;
}

std::string encode(const store::IdempotencyRecord& record) {
  std::string bytes;
  put_little_endian(bytes, store::checksum_of(record), 4);
  put_little_endian(bytes, record.job.value, 8);
  put_little_endian(bytes, static_cast<std::uint64_t>(micros(record.created_at)), 8);
  put_text(bytes, record.fingerprint);
  return bytes;
}

Result<store::JobRecord> decode_job(JobId id, std::string_view bytes) {
  FieldReader fields(bytes);
  const std::uint64_t sum = fields.number(4);
  store::JobRecord job;
  job.id = id;
  job.live = fields.number(1) == 1;
  job.changed_at = fields.time();
  job.body = fields.text();
  if (!fields.whole() || sum != store::checksum_of(job)) return store::corrupt_ledger("job " + id.text());
  return job;
}

Result<store::EventRecord> decode_event(EventNumber number, std::string_view bytes) {
  FieldReader fields(bytes);
  const std::uint64_t sum = fields.number(4);
  store::EventRecord event;
  event.number = number;
  event.job = JobId(fields.number(8));
  event.time = fields.time();
  event.type = fields.text();
  event.body = fields.text();
  if (!fields.whole() || sum != store::checksum_of(event)) return store::corrupt_ledger("event " + number.text());
  return event;
}

Result<store::IdempotencyRecord> decode_key(std::string_view key, std::string_view bytes) {
  FieldReader fields(bytes);
  const std::uint64_t sum = fields.number(4);
  store::IdempotencyRecord record;
  record.key = std::string(key);
  record.job = JobId(fields.number(8));
  record.created_at = fields.time();
  record.fingerprint = fields.text();
  if (!fields.whole() || sum != store::checksum_of(record)) return store::corrupt_ledger("an idempotency key");
  return record;
}

void TextArray::add(std::string_view text) {
  bytes_ += '\xdb';
  for (int shift = 24; shift >= 0; shift -= 8) bytes_ += static_cast<char>(text.size() >> shift);
  bytes_ += text;
  ++count_;
}

std::string TextArray::finish() && {
  bytes_[0] = '\xdd';
  for (std::size_t i = 0; i < 4; ++i) bytes_[1 + i] = static_cast<char>(count_ >> (24 - 8 * i));
  return std::move(bytes_);
}

std::vector<std::string> arrays_of(const store::LedgerBatch& batch) {
  std::vector<std::string> arguments;
  {
    ArraySequence records("j", arguments);
    ArraySequence live("l", arguments);
    ArraySequence terminal("t", arguments);
    for (const store::JobRecord* job : store::newest_of_each_job(batch.jobs)) {
      TextArray& record = records.group();
      record.add(job->id.value);
      record.add(encode(*job));
      TextArray& state = job->live ? live.group() : terminal.group();
      state.add(job->id.value);
      if (job->live) state.add(job->id.value);  // Its score, so that they are in order.
    }
  }
  {
    ArraySequence events("e", arguments);
    for (const store::EventRecord& event : batch.events) {
      TextArray& group = events.group();
      group.add(event.number.value);
      group.add(event.job.value);
      group.add(encode(event));
    }
  }
  {
    ArraySequence keys("k", arguments);
    ArraySequence ages("a", arguments);
    for (const store::IdempotencyRecord* record : store::newest_of_each_key(batch.idempotency)) {
      TextArray& key = keys.group();
      key.add(record->key);
      key.add(encode(*record));
      TextArray& age = ages.group();
      age.add(std::to_string(micros(record->created_at)));
      age.add(record->key);
    }
  }
  return arguments;
}

}  // namespace trainyard::adapters::redis::internal
