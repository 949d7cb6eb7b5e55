#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "track/types.h"

namespace trainyard::track {

/// A piece of one metric's history as bytes, little-endian:
///
///     u8 version = 1 | u32 count | count x { i64 step | i64 timestamp_ms | u64 bits of the value | u32 attempt } | u32 crc32c of all
///     before
std::string encode_metric_block(const std::vector<MetricPoint>& points);

/// Errors: DATA_LOSS "track.metric_block".
Result<std::vector<MetricPoint>> decode_metric_block(std::string_view bytes);

}  // namespace trainyard::track
