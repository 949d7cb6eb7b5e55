#include "api/platform/log_bytes.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace trainyard::api {
namespace {

constexpr std::size_t kSliceBytes = 256 * 1024;
constexpr std::uint64_t kRangeBytesMax = 64 * 1024 * 1024;

/// Calls `visit` with each piece of text in turn until it returns false. False when it did.
template <typename Visit>
bool each_piece(store::LogStore& logs, const RankKey& rank, Visit visit) {
  for (std::uint64_t offset = 0;;) {
    const Result<store::LogSlice> slice = logs.read(rank, offset, kSliceBytes);
    if (!slice.ok() || slice->records.empty()) return true;
    for (const store::LogRecord& record : slice->records) {
      if (!visit(std::string_view(record.bytes))) return false;
    }
    offset = slice->next_offset;
  }
}

std::uint64_t whole_size(store::LogStore& logs, const RankKey& rank) {
  std::uint64_t size = 0;
  each_piece(logs, rank, [&size](std::string_view piece) {
    size += piece.size();
    return true;
  });
  return size;
}

std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole ? std::optional(value) : std::nullopt;
}

net::Response unsatisfiable(std::uint64_t size, const std::string& request_id) {
  net::Response refused = net::problem_response(
      416, Error{Category::kOutOfRange, "log.range", fmt::format("nothing lies in this range; bytes so far: {}", size), {}, {}},
      request_id);
  refused.headers.set("Content-Range", fmt::format("bytes */{}", size));
  return refused;
}

}  // namespace

std::optional<ByteRange> parse_byte_range(std::string_view field) {
  constexpr std::string_view kUnit = "bytes=";
  if (!field.starts_with(kUnit)) return std::nullopt;
  field.remove_prefix(kUnit.size());
  const std::size_t dash = field.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const std::optional<std::uint64_t> first = whole_number(field.substr(0, dash));
  const std::optional<std::uint64_t> last = whole_number(field.substr(dash + 1));
  if ((dash > 0 && !first) || (dash + 1 < field.size() && !last) || (!first && !last)) return std::nullopt;
  if (first && last && *last < *first) return std::nullopt;
  return ByteRange{first, last};
}

net::Response log_range(store::LogStore& logs, const RankKey& rank, const ByteRange& range, const std::string& request_id) {
  std::uint64_t first = range.first.value_or(0);
  std::uint64_t end = range.last && range.first && *range.last - first < kRangeBytesMax ? *range.last + 1 : first + kRangeBytesMax;
  if (!range.first) {
    const std::uint64_t size = whole_size(logs, rank);
    if (size == 0 || *range.last == 0) return unsatisfiable(size, request_id);
    first = size - std::min(size, std::min(*range.last, kRangeBytesMax));
    end = size;
  }
  std::string text;
  std::uint64_t at = 0;
  const bool counted = each_piece(logs, rank, [&](std::string_view piece) {
    const std::uint64_t begin = std::max(at, first);
    const std::uint64_t stop = std::min(at + piece.size(), end);
    if (begin < stop) text += piece.substr(begin - at, stop - begin);
    at += piece.size();
    return at < end + kRangeBytesMax;
  });
  if (text.empty()) return unsatisfiable(at, request_id);
  net::Response part = net::text_response(206, "");
  const std::uint64_t last = first + text.size() - 1;
  part.headers.set("Content-Range", fmt::format("bytes {}-{}/{}", first, last, counted ? std::to_string(at) : "*"));
  part.headers.set("Accept-Ranges", "bytes");
  part.body = std::move(text);
  return part;
}

}  // namespace trainyard::api
