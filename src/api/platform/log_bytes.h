#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "net/http.h"
#include "store/log_store.h"

namespace trainyard::api {

/// What a Range field asks for: one range of bytes.
struct ByteRange {
  std::optional<std::uint64_t> first;  ///< None: the last `last` bytes.
  std::optional<std::uint64_t> last;   ///< Inclusive; none: to the end.
};

/// "bytes=0-99", "bytes=100-", "bytes=-100". Nothing for any other text, also for several ranges: such a field is ignored, as HTTP lets a
/// server do.
std::optional<ByteRange> parse_byte_range(std::string_view field);

/// The range of what a rank wrote, as one answer: 206, or 416 when nothing lies in it. At most 64 MiB; the size of the whole is told when
/// it is found within as much more. Blocks.
net::Response log_range(store::LogStore& logs, const RankKey& rank, const ByteRange& range, const std::string& request_id);

}  // namespace trainyard::api
