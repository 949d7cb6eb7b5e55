#pragma once
#include <cstddef>
#include <string_view>

#include "base/result.h"

namespace trainyard::store {

/// What the encoding of one log record takes besides the record's own bytes (docs/formats/log-segment.md).
inline constexpr std::size_t kLogRecordOverhead = 17;
/// The most bytes one log record may hold.
inline constexpr std::size_t kLogRecordBytesMax = std::size_t{64} << 10;

/// The encoded size of the whole, checked record at the start of `encoded`; 0 when the record is cut short or `encoded` is empty.
/// Errors: DATA_LOSS "log.corrupt" for a wrong checksum, an unknown stream or an impossible length.
Result<std::size_t> log_record_size(std::string_view encoded);

/// How much of the start of `encoded` is whole, checked records: what follows is cut short or damaged.
std::size_t intact_log_prefix(std::string_view encoded);

/// True when a whole, checked record starts anywhere in `encoded`: tells damage in the middle from a torn end.
bool holds_log_record(std::string_view encoded);

}  // namespace trainyard::store
