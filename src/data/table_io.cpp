#include "data/table_io.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

namespace trainyard::data {
namespace {

/// Rows that the values of a column make, or nothing when they have another type than its spec.
std::optional<std::size_t> rows_of(const ColumnSpec& column, const ColumnValues& values) {
  const auto count = [&values]<typename T>(std::in_place_type_t<T>) -> std::optional<std::size_t> {
    const auto* typed = std::get_if<std::vector<T>>(&values);
    return typed == nullptr ? std::nullopt : std::optional(typed->size());
  };
  switch (column.type) {
    case ColumnType::kUint8:
      return count(std::in_place_type<std::uint8_t>);
    case ColumnType::kInt64:
      return count(std::in_place_type<std::int64_t>);
    case ColumnType::kFloat:
      return count(std::in_place_type<float>);
    case ColumnType::kString:
    case ColumnType::kBinary:
      return count(std::in_place_type<std::string>);
    case ColumnType::kFixedBytes: {
      const std::optional<std::size_t> bytes = count(std::in_place_type<std::byte>);
      if (!bytes || column.width == 0 || *bytes % column.width != 0) return std::nullopt;
      return *bytes / column.width;
    }
  }
  return std::nullopt;
}

}  // namespace

std::string type_name(const ColumnSpec& column) {
  switch (column.type) {
    case ColumnType::kUint8:
      return "uint8";
    case ColumnType::kInt64:
      return "int64";
    case ColumnType::kFloat:
      return "float";
    case ColumnType::kString:
      return "string";
    case ColumnType::kBinary:
      return "binary";
    case ColumnType::kFixedBytes:
      return fmt::format("fixed_bytes[{}]", column.width);
  }
  return "";
}

Result<void> check_table(const TableSchema& schema, const Table& table) {
  if (schema.size() != table.columns.size()) {
    return internal_error("table.shape",
                          fmt::format("a table has {} columns where its schema has {}", table.columns.size(), schema.size()));
  }
  for (std::size_t i = 0; i < schema.size(); ++i) {
    if (rows_of(schema[i], table.columns[i]) != table.rows) {
      return internal_error("table.shape",
                            fmt::format("a column does not hold {} rows of {}: {}", table.rows, type_name(schema[i]), schema[i].name));
    }
  }
  return {};
}

}  // namespace trainyard::data
