#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "domain/ids.h"

namespace trainyard::store {

enum class LogStream : std::uint8_t { kStdout = 1, kStderr = 2, kSystem = 3 };

/// A piece of output as it was read from the process: usually a line with its newline, at most 64 KiB.
struct LogRecord {
  TimePoint time;
  LogStream stream = LogStream::kStdout;
  std::string bytes;
};

/// Records from `offset`, and where the next read goes on.
struct LogSlice {
  std::vector<LogRecord> records;
  std::uint64_t next_offset = 0;
};

/// Append-only output of ranks. Offsets count bytes of the encoded stream of one rank (docs/formats/log-segment.md) from 0 and are
/// contiguous. Every method may block and may be called from several threads. Errors: UNAVAILABLE, RESOURCE_EXHAUSTED "io.disk_full",
/// DATA_LOSS "log.corrupt".
class LogStore {
 public:
  virtual ~LogStore() = default;

  /// Appends encoded records that start at `offset`. What is already there is ignored, a gap is refused with FAILED_PRECONDITION
  /// "log.gap", what is no sequence of whole undamaged records with INVALID_ARGUMENT "log.malformed". Returns the end afterwards; durable
  /// once `sync` returned.
  virtual Result<std::uint64_t> append(const RankKey& rank, std::uint64_t offset, std::string_view encoded) = 0;
  virtual Result<void> sync(const RankKey& rank) = 0;
  /// The end of what is stored, 0 when nothing is.
  virtual Result<std::uint64_t> end_offset(const RankKey& rank) = 0;
  /// Whole records from `offset` (a record boundary), at most `size_max` encoded bytes but at least one record if there is one. From the
  /// end or beyond it: no records, and `next_offset` is the end.
  virtual Result<LogSlice> read(const RankKey& rank, std::uint64_t offset, std::size_t size_max) = 0;
  virtual Result<void> remove_job(JobId job) = 0;
};

/// Appends `u64 time_us | u8 stream | u32 length | bytes | u32 crc32c of all before` (little-endian) to `out`.
void encode_log_record(const LogRecord& record, std::string& out);
/// Decodes whole records from the start of `encoded`; `consumed` is how many bytes they took. A record cut short at the end is left for
/// later. Errors: DATA_LOSS "log.corrupt" for a wrong checksum or an impossible length.
Result<std::vector<LogRecord>> decode_log_records(std::string_view encoded, std::size_t& consumed);

}  // namespace trainyard::store
