#include "store/log_store.h"

#include <fmt/format.h>

#include "base/checksum.h"
#include "base/file.h"
#include "store/log_record.h"

namespace trainyard::store {
namespace {

constexpr std::size_t kStreamAt = 8;
constexpr std::size_t kLengthAt = 9;
constexpr std::size_t kBytesAt = 13;
constexpr std::size_t kChecksumSize = 4;

template <typename Number>
void append_little_endian(Number value, std::string& out) {
  for (std::size_t i = 0; i < sizeof(Number); ++i) out += static_cast<char>(static_cast<unsigned char>(value >> (8 * i)));
}

template <typename Number>
Number read_little_endian(std::string_view bytes) {
  Number value = 0;
  for (std::size_t i = 0; i < sizeof(Number); ++i) {
    value = static_cast<Number>(value | static_cast<Number>(static_cast<Number>(static_cast<unsigned char>(bytes[i])) << (8 * i)));
  }
  return value;
}

bool is_stream(char code) { return code >= static_cast<char>(LogStream::kStdout) && code <= static_cast<char>(LogStream::kSystem); }

/// `encoded` starts with a whole record.
LogRecord decode_record(std::string_view encoded) {
  LogRecord record;
  record.time = time_from_micros(static_cast<std::int64_t>(read_little_endian<std::uint64_t>(encoded)));
  record.stream = static_cast<LogStream>(encoded[kStreamAt]);
  record.bytes = encoded.substr(kBytesAt, read_little_endian<std::uint32_t>(encoded.substr(kLengthAt)));
  return record;
}

}  // namespace

void encode_log_record(const LogRecord& record, std::string& out) {
  CHECK(record.bytes.size() <= kLogRecordBytesMax, "a log record is too long");
  const std::size_t start = out.size();
  out.reserve(start + kLogRecordOverhead + record.bytes.size());
  append_little_endian(static_cast<std::uint64_t>(micros(record.time)), out);
  out += static_cast<char>(record.stream);
  append_little_endian(static_cast<std::uint32_t>(record.bytes.size()), out);
  out += record.bytes;
  append_little_endian(crc32c(as_bytes(std::string_view(out).substr(start))), out);
}

Result<std::size_t> log_record_size(std::string_view encoded) {
  if (encoded.size() > kStreamAt && !is_stream(encoded[kStreamAt])) {
    return data_loss("log.corrupt", fmt::format("a log record has an unknown stream: {}", static_cast<unsigned char>(encoded[kStreamAt])));
  }
  if (encoded.size() < kBytesAt) return std::size_t{0};
  const std::size_t length = read_little_endian<std::uint32_t>(encoded.substr(kLengthAt));
  if (length > kLogRecordBytesMax) {
    return data_loss("log.corrupt", fmt::format("a log record has an impossible length: {} bytes", length));
  }
  const std::size_t size = kLogRecordOverhead + length;
  if (encoded.size() < size) return std::size_t{0};
  const std::string_view summed = encoded.substr(0, size - kChecksumSize);
  if (crc32c(as_bytes(summed)) != read_little_endian<std::uint32_t>(encoded.substr(size - kChecksumSize))) {
    return data_loss("log.corrupt", fmt::format("a log record does not match its checksum; length {} bytes", length));
  }
  return size;
}

std::size_t intact_log_prefix(std::string_view encoded) {
  std::size_t end = 0;
  for (;;) {
    const Result<std::size_t> size = log_record_size(encoded.substr(end));
    if (!size.ok() || size.value() == 0) return end;
    end += size.value();
  }
}

bool holds_log_record(std::string_view encoded) {
  for (std::size_t at = 0; at + kLogRecordOverhead <= encoded.size(); ++at) {
    if (!is_stream(encoded[at + kStreamAt])) continue;
    if (const Result<std::size_t> size = log_record_size(encoded.substr(at)); size.ok() && size.value() > 0) return true;
  }
  return false;
}

Result<std::vector<LogRecord>> decode_log_records(std::string_view encoded, std::size_t& consumed) {
  consumed = 0;
  std::vector<LogRecord> records;
  for (;;) {
    ASSIGN_OR_RETURN(const std::size_t size, log_record_size(encoded.substr(consumed)));
    if (size == 0) return records;
    records.push_back(decode_record(encoded.substr(consumed, size)));
    consumed += size;
  }
}

}  // namespace trainyard::store
