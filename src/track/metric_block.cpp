#include "track/metric_block.h"

#include <bit>
#include <cstring>

#include "base/checksum.h"
#include "base/file.h"

namespace trainyard::track {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kHeaderBytes = 5;
constexpr std::size_t kPointBytes = 28;
constexpr std::size_t kChecksumBytes = 4;

template <typename T>
void append(T value, std::string& out) {
  out.append(as_text(std::as_bytes(std::span(&value, 1))));
}

template <typename T>
T take(std::string_view& bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  bytes.remove_prefix(sizeof(T));
  return value;
}

Error damaged() {
  return data_loss("track.metric_block", "A stored piece of a metric's history is damaged; restore the database from a backup");
}

}  // namespace

std::string encode_metric_block(const std::vector<MetricPoint>& points) {
  std::string out;
  out.reserve(kHeaderBytes + points.size() * kPointBytes + kChecksumBytes);
  append(kVersion, out);
  append(static_cast<std::uint32_t>(points.size()), out);
  for (const MetricPoint& point : points) {
    append(point.step, out);
    append(point.timestamp_ms, out);
    append(std::bit_cast<std::uint64_t>(point.value), out);
    append(point.attempt, out);
  }
  append(crc32c(as_bytes(out)), out);
  return out;
}

Result<std::vector<MetricPoint>> decode_metric_block(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes + kChecksumBytes) return damaged();
  std::string_view checksum = bytes.substr(bytes.size() - kChecksumBytes);
  bytes.remove_suffix(kChecksumBytes);
  if (take<std::uint32_t>(checksum) != crc32c(as_bytes(bytes))) return damaged();
  if (take<std::uint8_t>(bytes) != kVersion) return damaged();
  const auto count = take<std::uint32_t>(bytes);
  if (bytes.size() != count * kPointBytes) return damaged();
  std::vector<MetricPoint> points(count);
  for (MetricPoint& point : points) {
    point.step = take<std::int64_t>(bytes);
    point.timestamp_ms = take<std::int64_t>(bytes);
    point.value = std::bit_cast<double>(take<std::uint64_t>(bytes));
    point.attempt = take<std::uint32_t>(bytes);
  }
  return points;
}

}  // namespace trainyard::track
