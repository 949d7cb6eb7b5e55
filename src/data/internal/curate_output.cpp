#include "data/internal/curate_output.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/curate.h"
#include "data/image_table.h"
#include "data/stored_file.h"

namespace trainyard::data::internal {
namespace {

constexpr std::size_t kDropListBatch = 8192;

PackHeader pack_header(const ImageLayout& layout) {
  PackHeader header;
  header.record_bytes = layout.record_bytes();
  header.fields = {{"label", "uint8", {}, 0}, {"pixels", "uint8", {1, layout.height, layout.width}, 1}};
  header.classes = layout.classes;
  return header;
}

Table drop_list_table(std::span<const DroppedRow> dropped) {
  std::vector<std::string> hashes, reasons;
  std::array<std::vector<std::int64_t>, 4> places;
  for (const DroppedRow& row : dropped) {
    hashes.push_back(row.dropped.hash.hex());
    places[0].push_back(row.kept.source);
    places[1].push_back(row.kept.offset);
    places[2].push_back(row.dropped.source);
    places[3].push_back(row.dropped.offset);
    reasons.emplace_back(drop_reason(row.reason));
  }
  Table table;
  table.rows = dropped.size();
  table.columns.emplace_back(std::move(hashes));
  for (std::vector<std::int64_t>& column : places) table.columns.emplace_back(std::move(column));
  table.columns.emplace_back(std::move(reasons));
  return table;
}

std::string prefix_of(const VersionDraft& draft) { return fmt::format("datasets/{}/{}", draft.name, name_of(draft.layer)); }

/// Stores tables and adds up their rows and content.
Result<void> store_tables(std::span<RecordTable> tables, store::ObjectStore& objects, VersionDraft& draft) {
  Hash128 content;
  for (RecordTable& table : tables) {
    TRY(table.store(objects, prefix_of(draft), draft.files));
    draft.rows += table.rows();
    content += table.content();
  }
  draft.content_hash = content.hex();
  return {};
}

}  // namespace

Result<void> RecordTable::append(const RecordBatch& batch, const ImageLayout& layout, TableIo& tables) {
  if (batch.rows() == 0) return {};
  if (!writer_) {
    ASSIGN_OR_RETURN(writer_, tables.create(path_, image_table_schema(layout), {}));
  }
  for (std::size_t i = 0; i < batch.rows(); ++i) {
    content_.add(split_, std::span(batch.records).subspan(i * layout.record_bytes(), layout.record_bytes()));
  }
  rows_ += static_cast<std::int64_t>(batch.rows());
  return writer_->append(table_from(batch, layout));
}

Result<void> RecordTable::store(store::ObjectStore& objects, const std::string& prefix, std::vector<DatasetFile>& files) {
  if (!writer_) return {};
  TRY(writer_->finish());
  ASSIGN_OR_RETURN(DatasetFile stored, store_file(objects, {path_, prefix, ".parquet", fmt::format("parquet:{}", name_of(split_)), rows_}));
  files.push_back(std::move(stored));
  return {};
}

Result<void> RecordPack::append(const RecordBatch& batch, const ImageLayout& layout) {
  if (batch.rows() == 0) return {};
  if (!writer_) {
    ASSIGN_OR_RETURN(writer_, PackWriter::create(path_, pack_header(layout)));
  }
  return writer_->append(batch.records);
}

Result<void> RecordPack::store(store::ObjectStore& objects, std::vector<DatasetFile>& files) {
  if (!writer_) return {};
  ASSIGN_OR_RETURN(const PackHeader header, writer_->finish());
  ASSIGN_OR_RETURN(DatasetFile stored,
                   store_file(objects, {path_, "packs", ".pack", fmt::format("pack:{}", name_of(split_)), header.rows}));
  files.push_back(std::move(stored));
  return {};
}

CurateOutput::CurateOutput(const ImageLayout& layout, const std::string& directory, TableIo& tables)
    : layout_(layout),
      tables_(tables),
      processed_{{{directory + "/processed-train.parquet", Split::kTrain}, {directory + "/processed-test.parquet", Split::kTest}}},
      curated_{{{directory + "/train.parquet", Split::kTrain},
                {directory + "/validation.parquet", Split::kValidation},
                {directory + "/test.parquet", Split::kTest}}},
      packs_{{{directory + "/train.pack", Split::kTrain},
              {directory + "/validation.pack", Split::kValidation},
              {directory + "/test.pack", Split::kTest}}},
      drop_list_path_(directory + "/drop_list.parquet") {}

Result<void> CurateOutput::append(Split split, const RecordBatch& batch) {
  TRY(curated_[number_of(split)].append(batch, layout_, tables_));
  return packs_[number_of(split)].append(batch, layout_);
}

Result<void> CurateOutput::append_processed(Split split, const RecordBatch& batch) {
  return processed_[split == Split::kTest ? 1 : 0].append(batch, layout_, tables_);
}

Result<void> CurateOutput::write_drop_list(const std::vector<DroppedRow>& dropped) {
  if (dropped.empty()) return {};
  ASSIGN_OR_RETURN(const std::unique_ptr<TableWriter> writer, tables_.create(drop_list_path_, drop_list_schema(), {}));
  for (std::size_t begin = 0; begin < dropped.size(); begin += kDropListBatch) {
    TRY(writer->append(drop_list_table(std::span(dropped).subspan(begin, std::min(kDropListBatch, dropped.size() - begin)))));
  }
  dropped_rows_ = static_cast<std::int64_t>(dropped.size());
  return writer->finish();
}

Result<void> CurateOutput::store_processed(store::ObjectStore& objects, VersionDraft& draft) {
  TRY(store_tables(processed_, objects, draft));
  if (dropped_rows_ == 0) return {};
  ASSIGN_OR_RETURN(DatasetFile stored, store_file(objects, {drop_list_path_, prefix_of(draft), ".parquet", "drop_list", dropped_rows_}));
  draft.files.push_back(std::move(stored));
  return {};
}

Result<void> CurateOutput::store_curated(store::ObjectStore& objects, VersionDraft& draft) {
  TRY(store_tables(curated_, objects, draft));
  for (RecordPack& pack : packs_) TRY(pack.store(objects, draft.files));
  return {};
}

}  // namespace trainyard::data::internal
