#include "store/ledger_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <unordered_set>

#include "base/checksum.h"
#include "base/file.h"

namespace trainyard::store {
namespace {

class RecordChecksum {
 public:
  RecordChecksum& add(std::uint64_t number) {
    std::array<std::byte, 8> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(number >> (8 * i));
    sum_ = crc32c(bytes, sum_);
    return *this;
  }
  RecordChecksum& add(TimePoint time) { return add(static_cast<std::uint64_t>(micros(time))); }
  RecordChecksum& add(std::string_view text) {
    add(std::uint64_t{text.size()});
    sum_ = crc32c(as_bytes(text), sum_);
    return *this;
  }
  std::uint32_t value() const { return sum_; }

 private:
  std::uint32_t sum_ = 0;
};

/// Keeps the last record of each identity.
template <typename Record, typename Identity>
std::vector<const Record*> newest_of_each(const std::vector<Record>& records, Identity Record::*identity) {
  std::vector<const Record*> newest;
  newest.reserve(records.size());
  std::unordered_set<Identity> seen;
  seen.reserve(records.size());
  for (auto record = records.rbegin(); record != records.rend(); ++record) {
    if (seen.insert((*record).*identity).second) newest.push_back(&*record);
  }
  std::reverse(newest.begin(), newest.end());
  return newest;
}

}  // namespace

std::uint32_t checksum_of(const JobRecord& job) {
  return RecordChecksum().add(job.id.value).add(std::uint64_t{job.live}).add(job.changed_at).add(std::string_view(job.body)).value();
}

std::uint32_t checksum_of(const EventRecord& event) {
  return RecordChecksum()
      .add(event.number.value)
      .add(event.job.value)
      .add(event.time)
      .add(std::string_view(event.type))
      .add(std::string_view(event.body))
      .value();
}

std::uint32_t checksum_of(const IdempotencyRecord& record) {
  return RecordChecksum()
      .add(std::string_view(record.key))
      .add(std::string_view(record.fingerprint))
      .add(record.job.value)
      .add(record.created_at)
      .value();
}

std::uint32_t checksum_of(std::uint64_t number) { return RecordChecksum().add(number).value(); }

Error corrupt_ledger(std::string what) {
  return data_loss("ledger.corrupt", "the ledger holds damaged data, restore it from a backup: " + std::move(what));
}

Error fenced_ledger(std::uint64_t epoch) {
  return {Category::kAborted,
          "ledger.fenced",
          fmt::format("another server has taken the ledger over, this one must end: start it again if the other one is the mistake; epoch "
                      "held here {}",
                      epoch),
          {},
          {}};
}

Error unknown_ledger_job(JobId id) { return not_found("job.unknown", "there is no job " + id.text() + "; `trainyard job ls` lists them"); }

Error newer_ledger(std::int64_t version, std::int64_t known, const std::string& place) {
  return failed_precondition("ledger.newer",
                             fmt::format("the ledger was written by a newer version of this program, install that version or restore a "
                                         "backup; format {}, known here {}: {}",
                                         version, known, place));
}

Result<void> check_event_numbers(const LedgerBatch& batch, EventNumber last) {
  for (const EventRecord& event : batch.events) {
    if (event.number.value != ++last.value) {
      return internal_error("ledger.event_number", fmt::format("event numbers have no gap and do not repeat, this is a fault of the "
                                                               "program; due {}, given {}",
                                                               last.value, event.number.value));
    }
  }
  return {};
}

Result<void> check_no_gap(const std::vector<EventRecord>& events) {
  for (std::size_t i = 1; i < events.size(); ++i) {
    if (events[i].number.value != events[i - 1].number.value + 1) return corrupt_ledger("no event after " + events[i - 1].number.text());
  }
  return {};
}

std::vector<const JobRecord*> newest_of_each_job(const std::vector<JobRecord>& jobs) { return newest_of_each(jobs, &JobRecord::id); }

std::vector<const IdempotencyRecord*> newest_of_each_key(const std::vector<IdempotencyRecord>& records) {
  return newest_of_each(records, &IdempotencyRecord::key);
}

}  // namespace trainyard::store
