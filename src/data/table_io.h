#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"

namespace trainyard::data {

enum class ColumnType { kUint8, kInt64, kFloat, kString, kBinary, kFixedBytes };

/// One column; no value is ever null.
struct ColumnSpec {
  std::string name;
  ColumnType type = ColumnType::kInt64;
  std::size_t width = 0;  ///< Bytes of one value; only for kFixedBytes.
  bool operator==(const ColumnSpec&) const = default;
};

/// "uint8", "int64", "float", "string", "binary" or "fixed_bytes[784]": for messages.
std::string type_name(const ColumnSpec& column);

using TableSchema = std::vector<ColumnSpec>;

/// The values of one column: kUint8, kInt64, kFloat; strings for kString (UTF-8) and kBinary; rows * width bytes for kFixedBytes.
using ColumnValues = std::variant<std::vector<std::uint8_t>, std::vector<std::int64_t>, std::vector<float>, std::vector<std::string>,
                                  std::vector<std::byte>>;

/// Some rows of a table, column by column, as its schema says.
struct Table {
  std::vector<ColumnValues> columns;
  std::size_t rows = 0;
};

/// Whether every column has the type of the schema and the same number of rows. Errors: INTERNAL "table.shape" naming the column.
Result<void> check_table(const TableSchema& schema, const Table& table);

/// Writes one table file. Destroyed before `finish` succeeded, it leaves nothing behind. Not thread-safe.
class TableWriter {
 public:
  virtual ~TableWriter() = default;
  virtual Result<void> append(const Table& rows) = 0;
  /// Makes the file durable and gives it its name: before, nothing is at that path.
  virtual Result<void> finish() = 0;
};

/// Reads one table file from the first row to the last, in batches of bounded size. Not thread-safe.
class TableReader {
 public:
  virtual ~TableReader() = default;
  /// All columns of the file, whatever was selected.
  virtual const TableSchema& file_schema() const = 0;
  virtual std::int64_t rows() const = 0;
  /// Replaces `batch` by the next rows of the selected columns, in their order; false when there are none left.
  virtual Result<bool> next(Table& batch) = 0;
};

struct TableWriteSettings {
  int compression_level = 3;            ///< Of zstd.
  std::int64_t rows_per_group = 8'192;  ///< A power of two, so that sample number -> (group, row) is arithmetic.
};

/// Table files (Parquet in production). Methods may block. Errors: NOT_FOUND, RESOURCE_EXHAUSTED "io.disk_full", UNAVAILABLE,
/// DATA_LOSS "data.table" for a file that is damaged or no table, INVALID_ARGUMENT "data.table_column" for a column that is missing or has
/// another type than expected.
class TableIo {
 public:
  virtual ~TableIo() = default;
  virtual Result<std::unique_ptr<TableWriter>> create(const std::string& path, const TableSchema& schema,
                                                      const TableWriteSettings& settings) = 0;
  /// Opens a file to read the columns of `expected`; others are ignored.
  virtual Result<std::unique_ptr<TableReader>> open(const std::string& path, const TableSchema& expected) = 0;
};

}  // namespace trainyard::data
