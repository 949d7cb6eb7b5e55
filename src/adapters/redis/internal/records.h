#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "store/job_ledger.h"

namespace trainyard::adapters::redis::internal {

// Records as Redis keeps them (docs/formats/ledger.md): a checksum of all fields, then those that the key does not tell. Decoding checks
// the checksum. Errors: DATA_LOSS "ledger.corrupt".

std::string encode(const store::JobRecord& job);
std::string encode(const store::EventRecord& event);
std::string encode(const store::IdempotencyRecord& record);
Result<store::JobRecord> decode_job(JobId id, std::string_view bytes);
Result<store::EventRecord> decode_event(EventNumber number, std::string_view bytes);
Result<store::IdempotencyRecord> decode_key(std::string_view key, std::string_view bytes);

/// A MessagePack array of texts, built piece by piece.
class TextArray {
 public:
  void add(std::string_view text);
  void add(std::uint64_t number) { add(std::to_string(number)); }
  bool empty() const { return count_ == 0; }
  std::size_t size_bytes() const { return bytes_.size(); }
  std::string finish() &&;

 private:
  std::string bytes_ = std::string(5, '\0');  // The header, filled in at the end.
  std::uint32_t count_ = 0;
};

/// The arguments of the commit script behind the first four: a letter that says what follows, then an array of texts, and again.
std::vector<std::string> arrays_of(const store::LedgerBatch& batch);

}  // namespace trainyard::adapters::redis::internal
