#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace trainyard::train {

/// How one labelled image lies in its record: one byte of label and channels x height x width bytes of pixels.
struct RecordLayout {
  std::size_t record_bytes = 785;
  std::size_t label_offset = 0;
  std::size_t pixels_offset = 1;
  std::int64_t channels = 1;
  std::int64_t height = 28;
  std::int64_t width = 28;

  std::size_t pixel_count() const { return static_cast<std::size_t>(channels * height * width); }
  friend bool operator==(const RecordLayout&, const RecordLayout&) = default;
};

/// Fixed-size records one after the other, in memory that outlives the view (a mapped pack).
struct RecordTable {
  std::span<const std::byte> bytes;
  std::size_t record_bytes = 1;

  std::uint64_t rows() const { return bytes.size() / record_bytes; }
  std::span<const std::byte> record(std::uint64_t row) const { return bytes.subspan(row * record_bytes, record_bytes); }
};

/// The records that one rank works on in one step, by row, in order.
struct RecordBatch {
  const RecordTable& table;
  std::span<const std::uint64_t> rows;
};

}  // namespace trainyard::train
