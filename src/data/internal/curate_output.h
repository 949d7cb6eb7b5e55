#pragma once
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/curate_plan.h"
#include "data/data_task.h"
#include "data/pack.h"
#include "data/record_source.h"

namespace trainyard::data::internal {

/// A table file of records and the sum of its row hashes; made when its first row comes. Not thread-safe.
class RecordTable {
 public:
  RecordTable(std::string path, Split split) : path_(std::move(path)), split_(split) {}
  Result<void> append(const RecordBatch& batch, const ImageLayout& layout, TableIo& tables);
  /// Finishes and stores the file; nothing when it has no rows.
  Result<void> store(store::ObjectStore& objects, const std::string& prefix, std::vector<DatasetFile>& files);

  std::int64_t rows() const { return rows_; }
  const Hash128& content() const { return content_.sum(); }

 private:
  std::string path_;
  Split split_;
  std::unique_ptr<TableWriter> writer_;
  ContentHash content_;
  std::int64_t rows_ = 0;
};

/// The pack of one split; made when its first row comes. Not thread-safe.
class RecordPack {
 public:
  RecordPack(std::string path, Split split) : path_(std::move(path)), split_(split) {}
  Result<void> append(const RecordBatch& batch, const ImageLayout& layout);
  Result<void> store(store::ObjectStore& objects, std::vector<DatasetFile>& files);

 private:
  std::string path_;
  Split split_;
  std::optional<PackWriter> writer_;
};

/// All files that a curate task writes, as scratch files until they are stored.
class CurateOutput {
 public:
  CurateOutput(const ImageLayout& layout, const std::string& directory, TableIo& tables);

  /// Appends kept rows in the order of the raw version; `split` is train or test.
  Result<void> append_processed(Split split, const RecordBatch& batch);
  /// Appends kept rows that all go to `split` of the curated version, table and pack.
  Result<void> append(Split split, const RecordBatch& batch);
  Result<void> write_drop_list(const std::vector<DroppedRow>& dropped);

  Result<void> store_processed(store::ObjectStore& objects, VersionDraft& draft);
  Result<void> store_curated(store::ObjectStore& objects, VersionDraft& draft);

 private:
  static std::size_t number_of(Split split) { return static_cast<std::size_t>(split); }

  ImageLayout layout_;
  TableIo& tables_;
  std::array<RecordTable, 2> processed_;  ///< Training rows (with those for validation), test rows.
  std::array<RecordTable, 3> curated_;    ///< By split.
  std::array<RecordPack, 3> packs_;       ///< By split.
  std::string drop_list_path_;
  std::int64_t dropped_rows_ = 0;
};

}  // namespace trainyard::data::internal
