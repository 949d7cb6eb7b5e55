#include "adapters/arrow_table/arrow_table_io.h"

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/writer.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <utility>

#include "base/file.h"

namespace trainyard::adapters::arrow_table {
namespace {

using data::ColumnSpec;
using data::ColumnType;
using data::ColumnValues;
using data::Table;
using data::TableSchema;

constexpr std::int64_t kReadBatchRows = 8192;

Error table_error(const arrow::Status& status, std::string_view what, const std::string& path) {
  if (status.IsOutOfMemory())
    return {Category::kResourceExhausted, "io.memory", fmt::format("no memory to {} a table: {}", what, path), {}, {}};
  return data_loss("data.table", fmt::format("a table file cannot be {}; publish its version again: {}: {}", what, path, status.message()));
}

/// Runs foreign code that may throw: what it threw becomes its status.
template <typename Call>
arrow::Status guarded(Call call) {
  try {
    return call();
  } catch (const std::exception& exception) {
    return arrow::Status::IOError(exception.what());
  }
}

/// Arrow's view of a file that we own, so that errors of the system keep their cause. Not thread-safe.
class FileSink final : public arrow::io::OutputStream {
 public:
  FileSink(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  arrow::Status Write(const void* bytes, std::int64_t size) override {
    const Result<void> written =
        write_all(fd_.get(), std::span(static_cast<const std::byte*>(bytes), static_cast<std::size_t>(size)), path_);
    if (!written.ok()) {
      error_ = written.error();
      return arrow::Status::IOError(error_->message);
    }
    position_ += size;
    return arrow::Status::OK();
  }
  using arrow::io::OutputStream::Write;
  arrow::Status Close() override {
    closed_ = true;
    return arrow::Status::OK();
  }
  arrow::Result<std::int64_t> Tell() const override { return position_; }
  bool closed() const override { return closed_; }

  int fd() const { return fd_.get(); }
  const std::optional<Error>& error() const { return error_; }

 private:
  UniqueFd fd_;
  std::string path_;
  std::int64_t position_ = 0;
  bool closed_ = false;
  std::optional<Error> error_;
};

using ArrowTypePtr = std::shared_ptr<arrow::DataType>;  // shared: Arrow's interface
using ArrowArrayPtr = std::shared_ptr<arrow::Array>;    // shared: Arrow's interface
using ArrowSchemaPtr = std::shared_ptr<arrow::Schema>;  // shared: Arrow's interface
using BatchPtr = std::shared_ptr<arrow::RecordBatch>;   // shared: Arrow's interface

ArrowTypePtr arrow_type(const ColumnSpec& column) {
  switch (column.type) {
    case ColumnType::kUint8:
      return arrow::uint8();
    case ColumnType::kInt64:
      return arrow::int64();
    case ColumnType::kFloat:
      return arrow::float32();
    case ColumnType::kString:
      return arrow::utf8();
    case ColumnType::kBinary:
      return arrow::binary();
    case ColumnType::kFixedBytes:
      return arrow::fixed_size_binary(static_cast<std::int32_t>(column.width));
  }
  return nullptr;
}

ArrowSchemaPtr arrow_schema(const TableSchema& schema) {
  arrow::FieldVector fields;
  for (const ColumnSpec& column : schema) fields.push_back(arrow::field(column.name, arrow_type(column), /*nullable=*/false));
  return arrow::schema(std::move(fields));
}

/// Views the values without a copy; they outlive the array.
template <typename Array, typename T>
ArrowArrayPtr fixed_array(const ArrowTypePtr& type, const std::vector<T>& values, std::int64_t rows) {
  return std::make_shared<Array>(type, rows, arrow::Buffer::Wrap(values));  // shared: Arrow's interface
}

template <typename Builder>
arrow::Result<ArrowArrayPtr> text_array(const std::vector<std::string>& values) {
  Builder builder;
  ARROW_RETURN_NOT_OK(builder.AppendValues(values));
  return builder.Finish();
}

/// `values` fits `column`: the port's check_table has said so.
arrow::Result<ArrowArrayPtr> to_arrow(const ColumnSpec& column, const ColumnValues& values, std::int64_t rows) {
  const ArrowTypePtr type = arrow_type(column);
  switch (column.type) {
    case ColumnType::kUint8:
      return fixed_array<arrow::UInt8Array>(type, std::get<std::vector<std::uint8_t>>(values), rows);
    case ColumnType::kInt64:
      return fixed_array<arrow::Int64Array>(type, std::get<std::vector<std::int64_t>>(values), rows);
    case ColumnType::kFloat:
      return fixed_array<arrow::FloatArray>(type, std::get<std::vector<float>>(values), rows);
    case ColumnType::kString:
      return text_array<arrow::StringBuilder>(std::get<std::vector<std::string>>(values));
    case ColumnType::kBinary:
      return text_array<arrow::BinaryBuilder>(std::get<std::vector<std::string>>(values));
    case ColumnType::kFixedBytes:
      return fixed_array<arrow::FixedSizeBinaryArray>(type, std::get<std::vector<std::byte>>(values), rows);
  }
  return arrow::Status::TypeError("unknown column type");
}

template <typename Array>
auto copy_values(const arrow::Array& array) {
  const auto& typed = static_cast<const Array&>(array);
  return std::vector<typename Array::value_type>(typed.raw_values(), typed.raw_values() + typed.length());
}

std::vector<std::string> copy_text(const arrow::Array& array) {
  const auto& typed = static_cast<const arrow::BinaryArray&>(array);
  std::vector<std::string> values;
  values.reserve(static_cast<std::size_t>(typed.length()));
  for (std::int64_t i = 0; i < typed.length(); ++i) values.emplace_back(typed.GetView(i));
  return values;
}

ColumnValues from_arrow(const ColumnSpec& column, const arrow::Array& array) {
  switch (column.type) {
    case ColumnType::kUint8:
      return copy_values<arrow::UInt8Array>(array);
    case ColumnType::kInt64:
      return copy_values<arrow::Int64Array>(array);
    case ColumnType::kFloat:
      return copy_values<arrow::FloatArray>(array);
    case ColumnType::kString:
    case ColumnType::kBinary:
      return copy_text(array);
    case ColumnType::kFixedBytes: {
      const auto* begin =
          static_cast<const std::byte*>(static_cast<const void*>(static_cast<const arrow::FixedSizeBinaryArray&>(array).raw_values()));
      return std::vector<std::byte>(begin, begin + static_cast<std::size_t>(array.length()) * column.width);
    }
  }
  return {};
}

std::optional<ColumnSpec> column_from(const arrow::Field& field) {
  ColumnSpec column{field.name(), ColumnType::kInt64, 0};
  const arrow::DataType& type = *field.type();
  if (type.id() == arrow::Type::UINT8)
    column.type = ColumnType::kUint8;
  else if (type.id() == arrow::Type::INT64)
    column.type = ColumnType::kInt64;
  else if (type.id() == arrow::Type::FLOAT)
    column.type = ColumnType::kFloat;
  else if (type.id() == arrow::Type::STRING)
    column.type = ColumnType::kString;
  else if (type.id() == arrow::Type::BINARY)
    column.type = ColumnType::kBinary;
  else if (type.id() == arrow::Type::FIXED_SIZE_BINARY) {
    column.type = ColumnType::kFixedBytes;
    column.width = static_cast<std::size_t>(static_cast<const arrow::FixedSizeBinaryType&>(type).byte_width());
  } else {
    return std::nullopt;
  }
  return column;
}

auto writer_properties(const TableSchema& schema, const data::TableWriteSettings& settings) {
  parquet::WriterProperties::Builder builder;
  builder.compression(parquet::Compression::ZSTD)
      ->compression_level(settings.compression_level)
      ->max_row_group_length(settings.rows_per_group)
      ->enable_page_checksum();
  for (const ColumnSpec& column : schema) {
    if (column.type == ColumnType::kFixedBytes || column.type == ColumnType::kBinary) builder.disable_dictionary(column.name);
    if (column.name == "_off") builder.disable_dictionary(column.name)->encoding(column.name, parquet::Encoding::DELTA_BINARY_PACKED);
  }
  return builder.build();
}

/// Writes PATH.tmp and renames it in `finish`.
class ArrowTableWriter final : public data::TableWriter {
 public:
  ArrowTableWriter(std::string path, TableSchema schema)
      : path_(std::move(path)), schema_(std::move(schema)), arrow_schema_(arrow_schema(schema_)) {}
  ~ArrowTableWriter() override {
    // An unfinished writer must not try to write a footer when it is destroyed.
    if (!finished_) abandon();
  }

  Result<void> start(const data::TableWriteSettings& settings) {
    ASSIGN_OR_RETURN(UniqueFd fd, open_file(temporary(), O_WRONLY | O_CREAT | O_TRUNC));
    sink_ = std::make_shared<FileSink>(std::move(fd), path_);  // shared: Arrow's interface
    return check(guarded([&]() -> arrow::Status {
      return parquet::arrow::FileWriter::Open(*arrow_schema_, arrow::default_memory_pool(), sink_, writer_properties(schema_, settings))
          .Value(&writer_);
    }));
  }

  Result<void> append(const Table& rows) override {
    TRY(data::check_table(schema_, rows));
    return check(guarded([&]() -> arrow::Status {
      const auto count = static_cast<std::int64_t>(rows.rows);
      arrow::ArrayVector arrays;
      for (std::size_t i = 0; i < schema_.size(); ++i) {
        ARROW_ASSIGN_OR_RAISE(ArrowArrayPtr array, to_arrow(schema_[i], rows.columns[i], count));
        arrays.push_back(std::move(array));
      }
      return writer_->WriteRecordBatch(*arrow::RecordBatch::Make(arrow_schema_, count, std::move(arrays)));
    }));
  }

  Result<void> finish() override {
    TRY(check(guarded([&] { return writer_->Close(); })));
    TRY(sync_data(sink_->fd(), path_));
    if (::rename(temporary().c_str(), path_.c_str()) != 0) return system_error(errno, "rename", path_);
    finished_ = true;
    return sync_directory(std::filesystem::path(path_).parent_path().string());
  }

 private:
  std::string temporary() const { return path_ + ".tmp"; }

  Result<void> check(const arrow::Status& status) const {
    if (status.ok()) return {};
    if (sink_->error()) return *sink_->error();
    return table_error(status, "written", path_);
  }

  void abandon() {
    ::unlink(temporary().c_str());
    if (writer_) static_cast<void>(guarded([&] { return writer_->Close(); }));
  }

  std::string path_;
  TableSchema schema_;
  ArrowSchemaPtr arrow_schema_;
  std::shared_ptr<FileSink> sink_;  // shared: Arrow's interface
  std::unique_ptr<parquet::arrow::FileWriter> writer_;
  bool finished_ = false;
};

class ArrowTableReader final : public data::TableReader {
 public:
  explicit ArrowTableReader(std::string path) : path_(std::move(path)) {}

  Result<void> start(const TableSchema& expected) {
    TRY(check(guarded([&] { return open(); })));
    for (const ColumnSpec& column : expected) {
      const auto found = std::find_if(columns_.begin(), columns_.end(), [&](const ColumnSpec& other) { return other.name == column.name; });
      if (found == columns_.end() || *found != column) {
        return invalid_argument("data.table_column",
                                fmt::format("a table file has no column {} of type {}{}: {}", column.name, data::type_name(column),
                                            found == columns_.end() ? "" : " but one of type " + data::type_name(*found), path_));
      }
      selected_.push_back(column);
    }
    return check(guarded([&] { return start_batches(); }));
  }

  const TableSchema& file_schema() const override { return columns_; }
  std::int64_t rows() const override { return rows_; }

  Result<bool> next(Table& batch) override {
    BatchPtr read;
    TRY(check(guarded([&] { return batches_->ReadNext(&read); })));
    batch.columns.clear();
    batch.rows = read ? static_cast<std::size_t>(read->num_rows()) : 0;
    if (!read) return false;
    for (std::size_t i = 0; i < selected_.size(); ++i) {
      const ArrowArrayPtr array = read->GetColumnByName(selected_[i].name);
      if (!array || array->null_count() != 0)
        return data_loss("data.table", fmt::format("a column has missing values: {} in {}", selected_[i].name, path_));
      batch.columns.push_back(from_arrow(selected_[i], *array));
    }
    return true;
  }

 private:
  Result<void> check(const arrow::Status& status) const {
    return status.ok() ? Result<void>() : Result<void>(table_error(status, "read", path_));
  }

  arrow::Status open() {
    ARROW_ASSIGN_OR_RAISE(const auto file, arrow::io::ReadableFile::Open(path_));
    parquet::ReaderProperties properties;
    properties.set_page_checksum_verification(true);
    parquet::ArrowReaderProperties arrow_properties;
    arrow_properties.set_batch_size(kReadBatchRows);
    arrow_properties.set_use_threads(false);
    parquet::arrow::FileReaderBuilder builder;
    ARROW_RETURN_NOT_OK(builder.Open(file, properties));
    ARROW_RETURN_NOT_OK(builder.properties(arrow_properties)->Build(&reader_));
    ArrowSchemaPtr schema;
    ARROW_RETURN_NOT_OK(reader_->GetSchema(&schema));
    for (const auto& field : schema->fields()) {
      // A column of a type that the port does not know is listed under no type and cannot be selected.
      columns_.push_back(column_from(*field).value_or(ColumnSpec{field->name(), ColumnType::kFixedBytes, 0}));
    }
    rows_ = reader_->parquet_reader()->metadata()->num_rows();
    return arrow::Status::OK();
  }

  arrow::Status start_batches() {
    std::vector<int> groups(static_cast<std::size_t>(reader_->num_row_groups()));
    for (std::size_t i = 0; i < groups.size(); ++i) groups[i] = static_cast<int>(i);
    std::vector<int> indices;
    for (const ColumnSpec& column : selected_) {
      const auto at = std::find(columns_.begin(), columns_.end(), column) - columns_.begin();
      indices.push_back(static_cast<int>(at));
    }
    return reader_->GetRecordBatchReader(groups, indices).Value(&batches_);
  }

  std::string path_;
  std::unique_ptr<parquet::arrow::FileReader> reader_;
  std::unique_ptr<arrow::RecordBatchReader> batches_;
  TableSchema columns_;
  TableSchema selected_;
  std::int64_t rows_ = 0;
};

class ArrowTableIo final : public data::TableIo {
 public:
  Result<std::unique_ptr<data::TableWriter>> create(const std::string& path, const TableSchema& schema,
                                                    const data::TableWriteSettings& settings) override {
    auto writer = std::make_unique<ArrowTableWriter>(path, schema);
    TRY(writer->start(settings));
    return std::unique_ptr<data::TableWriter>(std::move(writer));
  }

  Result<std::unique_ptr<data::TableReader>> open(const std::string& path, const TableSchema& expected) override {
    if (!file_exists(path)) return not_found("data.table", fmt::format("a table file is not there: {}", path));
    auto reader = std::make_unique<ArrowTableReader>(path);
    TRY(reader->start(expected));
    return std::unique_ptr<data::TableReader>(std::move(reader));
  }
};

}  // namespace

std::unique_ptr<data::TableIo> make_arrow_table_io() { return std::make_unique<ArrowTableIo>(); }

}  // namespace trainyard::adapters::arrow_table
