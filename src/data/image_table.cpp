#include "data/image_table.h"

#include <cstring>

namespace trainyard::data {

TableSchema image_table_schema(const ImageLayout& layout) {
  return {{"label", ColumnType::kUint8, 0},
          {"pixels", ColumnType::kFixedBytes, layout.pixel_bytes()},
          {"_src", ColumnType::kInt64, 0},
          {"_off", ColumnType::kInt64, 0}};
}

std::vector<SchemaField> image_schema_fields(const ImageLayout& layout) {
  return {{"label", "uint8"}, {"pixels", layout.pixels_type()}, {"_src", "int64"}, {"_off", "int64"}};
}

Table table_from(const RecordBatch& batch, const ImageLayout& layout) {
  std::vector<std::uint8_t> labels(batch.rows());
  std::vector<std::byte> pixels(batch.rows() * layout.pixel_bytes());
  for (std::size_t i = 0; i < batch.rows(); ++i) {
    const std::byte* record = batch.records.data() + i * layout.record_bytes();
    labels[i] = static_cast<std::uint8_t>(*record);
    std::memcpy(pixels.data() + i * layout.pixel_bytes(), record + 1, layout.pixel_bytes());
  }
  Table table;
  table.rows = batch.rows();
  table.columns.resize(4);
  table.columns[0] = std::move(labels);
  table.columns[1] = std::move(pixels);
  table.columns[2] = batch.sources;
  table.columns[3] = batch.offsets;
  return table;
}

void append_table(const Table& table, const ImageLayout& layout, RecordBatch& batch) {
  const auto& labels = std::get<std::vector<std::uint8_t>>(table.columns[0]);
  const auto& pixels = std::get<std::vector<std::byte>>(table.columns[1]);
  const auto& sources = std::get<std::vector<std::int64_t>>(table.columns[2]);
  const auto& offsets = std::get<std::vector<std::int64_t>>(table.columns[3]);
  std::size_t end = batch.records.size();
  batch.records.resize(end + table.rows * layout.record_bytes());
  for (std::size_t i = 0; i < table.rows; ++i, end += layout.record_bytes()) {
    batch.records[end] = static_cast<std::byte>(labels[i]);
    std::memcpy(batch.records.data() + end + 1, pixels.data() + i * layout.pixel_bytes(), layout.pixel_bytes());
  }
  batch.sources.insert(batch.sources.end(), sources.begin(), sources.end());
  batch.offsets.insert(batch.offsets.end(), offsets.begin(), offsets.end());
}

void append_row(const RecordBatch& from, std::size_t index, const ImageLayout& layout, RecordBatch& to) {
  const auto begin = from.records.begin() + static_cast<std::ptrdiff_t>(index * layout.record_bytes());
  to.records.insert(to.records.end(), begin, begin + static_cast<std::ptrdiff_t>(layout.record_bytes()));
  to.sources.push_back(from.sources[index]);
  to.offsets.push_back(from.offsets[index]);
}

}  // namespace trainyard::data
