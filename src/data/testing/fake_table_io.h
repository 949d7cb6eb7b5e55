#pragma once
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "base/file.h"
#include "data/table_io.h"

namespace trainyard::data::testing {

/// Tables in memory. A finished table also leaves a small file at its path that names it, so that code which stores and verifies files
/// works; `open` finds the table by what such a file says, wherever it was copied to. Not thread-safe.
class FakeTableIo final : public TableIo {
 public:
  struct Stored {
    TableSchema schema;
    std::vector<Table> batches;
    std::int64_t rows = 0;
  };

  /// The n-th append from now fails as on a full disk.
  void fail_append(int n) { appends_until_failure_ = n; }
  /// The table whose file is at `path`.
  const Stored& at(const std::string& path) const { return tables_.at(read_file(path).value()); }
  std::size_t unfinished() const { return unfinished_; }

  Result<std::unique_ptr<TableWriter>> create(const std::string& path, const TableSchema& schema, const TableWriteSettings&) override {
    return std::unique_ptr<TableWriter>(std::make_unique<Writer>(*this, path, schema));
  }

  Result<std::unique_ptr<TableReader>> open(const std::string& path, const TableSchema& expected) override {
    ASSIGN_OR_RETURN(const std::string label, read_file(path));
    const auto found = tables_.find(label);
    if (found == tables_.end()) return data_loss("data.table", "no table file: " + path);
    for (const ColumnSpec& column : expected) {
      const TableSchema& schema = found->second.schema;
      if (std::find(schema.begin(), schema.end(), column) == schema.end()) return invalid_argument("data.table_column", column.name);
    }
    return std::unique_ptr<TableReader>(std::make_unique<Reader>(found->second, expected));
  }

 private:
  class Writer final : public TableWriter {
   public:
    Writer(FakeTableIo& io, std::string path, TableSchema schema) : io_(io), path_(std::move(path)), stored_{std::move(schema), {}, 0} {
      ++io_.unfinished_;
    }
    ~Writer() override { --io_.unfinished_; }

    Result<void> append(const Table& rows) override {
      if (--io_.appends_until_failure_ == 0) return Error{Category::kResourceExhausted, "io.disk_full", "injected", {}, {}};
      TRY(check_table(stored_.schema, rows));
      stored_.rows += static_cast<std::int64_t>(rows.rows);
      stored_.batches.push_back(rows);
      return {};
    }
    Result<void> finish() override {
      const std::string label = "fake table " + std::to_string(io_.tables_.size());
      TRY(write_file_atomically(path_, label));
      io_.tables_[label] = stored_;
      return {};
    }

   private:
    FakeTableIo& io_;
    std::string path_;
    Stored stored_;
  };

  class Reader final : public TableReader {
   public:
    Reader(const Stored& stored, TableSchema selected) : stored_(stored), selected_(std::move(selected)) {}
    const TableSchema& file_schema() const override { return stored_.schema; }
    std::int64_t rows() const override { return stored_.rows; }
    Result<bool> next(Table& batch) override {
      batch = Table();
      if (next_ == stored_.batches.size()) return false;
      const Table& from = stored_.batches[next_++];
      batch.rows = from.rows;
      for (const ColumnSpec& column : selected_) {
        const auto at = std::find(stored_.schema.begin(), stored_.schema.end(), column) - stored_.schema.begin();
        batch.columns.push_back(from.columns[static_cast<std::size_t>(at)]);
      }
      return true;
    }

   private:
    const Stored& stored_;
    TableSchema selected_;
    std::size_t next_ = 0;
  };

  std::map<std::string, Stored> tables_;
  int appends_until_failure_ = 0;
  std::size_t unfinished_ = 0;
};

}  // namespace trainyard::data::testing
