#include "data/ingest.h"

#include <fmt/format.h>

#include <array>
#include <optional>

#include "data/csv_image_source.h"
#include "data/dead_letter_log.h"
#include "data/idx_source.h"
#include "data/image_table.h"
#include "data/stored_file.h"

namespace trainyard::data {
namespace {

constexpr std::size_t kBatchRows = 4096;
constexpr int kRawCompression = 1;

/// The table file of one split; made when its first row comes.
struct SplitFile {
  std::string path;
  std::unique_ptr<TableWriter> writer;
  std::int64_t rows = 0;
};

Result<FileFingerprint> check_fingerprint(ByteInput& input, const std::string& expected) {
  ASSIGN_OR_RETURN(FileFingerprint actual, input.fingerprint());
  if (expected.empty() || expected == actual.sha256) return actual;
  return invalid_argument(
      "data.checksum",
      fmt::format("a source file is not the one that was asked for; fetch it again or correct sha256 in the configuration: {} has "
                  "sha256 {} instead of {}",
                  input.path(), actual.sha256, expected));
}

class Ingestion {
 public:
  Ingestion(const IngestPlan& plan, const DataTask& task, const DataDeps& deps)
      : plan_(plan), task_(task), deps_(deps), dead_(deps.tables, task.scratch_directory + "/dead_letters.parquet") {
    train_.path = task.scratch_directory + "/raw-train.parquet";
    test_.path = task.scratch_directory + "/raw-test.parquet";
  }

  Result<IngestReport> run() {
    for (std::size_t i = 0; i < plan_.sources.size(); ++i) TRY(read_source(i));
    report_.dead = dead_.count();
    report_.good = report_.in - report_.dead;
    report_.first_dead = dead_.examples();
    report_.train = train_.rows;
    report_.test = test_.rows;
    CHECK(report_.good == report_.train + report_.test, "every row that came in is in a split or dead");
    TRY(dead_.check_budget(report_.in, plan_.dead_letter_budget));
    if (report_.good == 0) return invalid_argument("data.empty", "the sources hold no rows, so there is nothing to publish");
    report_.content_hash = content_hash_.hex();
    ASSIGN_OR_RETURN(const VersionDraft draft, store_files());
    TRY(check_stop(deps_.monitor));
    ASSIGN_OR_RETURN(report_.version, deps_.publisher.publish(draft));
    return report_;
  }

 private:
  /// A source may fail in itself and also not be the file that was asked for: then the latter is the cause.
  Result<void> read_source(std::size_t index) {
    const PlannedSource& source = plan_.sources[index];
    ASSIGN_OR_RETURN(const std::unique_ptr<ByteInput> input, ByteInput::open(source.path));
    std::unique_ptr<ByteInput> labels;
    if (!source.is_csv()) {
      ASSIGN_OR_RETURN(labels, ByteInput::open(source.labels));
    }
    const std::int64_t rows_before = report_.in;
    const std::int64_t dead_before = dead_.count();
    const Result<void> read = source.is_csv() ? read_csv(*input, index) : read_idx(*input, *labels, index);
    if (!read.ok() && !read.error().id.starts_with("data.")) return read;
    ASSIGN_OR_RETURN(const FileFingerprint fingerprint, check_fingerprint(*input, source.sha256));
    Document entry = Document::object({{"path", source.path},
                                       {"format", source.is_csv() ? "csv" : "idx_images"},
                                       {"split", name_of(source.split)},
                                       {"sha256", fingerprint.sha256},
                                       {"size", fingerprint.size},
                                       {"rows", report_.in - rows_before},
                                       {"dead", dead_.count() - dead_before}});
    if (labels) {
      ASSIGN_OR_RETURN(const FileFingerprint of_labels, check_fingerprint(*labels, source.labels_sha256));
      entry.set("labels", source.labels);
      entry.set("labels_sha256", of_labels.sha256);
    }
    sources_.push(std::move(entry));
    return read;
  }

  Result<void> read_csv(ByteInput& input, std::size_t index) {
    CsvImageSource source(input, plan_.layout, {plan_.sources[index].path, static_cast<std::int64_t>(index)});
    return copy_rows(source, plan_.sources[index], 0);
  }

  Result<void> read_idx(ByteInput& images, ByteInput& labels, std::size_t index) {
    ASSIGN_OR_RETURN(IdxImageSource source, IdxImageSource::open({images, labels, static_cast<std::int64_t>(index)}, plan_.layout));
    return copy_rows(source, plan_.sources[index], source.count());
  }

  Result<void> copy_rows(RecordSource& source, const PlannedSource& planned, std::int64_t total) {
    std::int64_t done = 0;
    for (bool more = true; more;) {
      batch_.clear();
      TRY(check_stop(deps_.monitor));
      ASSIGN_OR_RETURN(more, source.next(kBatchRows, batch_, letters_));
      done += static_cast<std::int64_t>(batch_.rows() + letters_.size());
      report_.in += static_cast<std::int64_t>(batch_.rows() + letters_.size());
      TRY(dead_.take(letters_));
      TRY(write_batch(planned.split));
      deps_.monitor.progress(done, total, planned.path);
    }
    return {};
  }

  Result<void> write_batch(Split split) {
    if (batch_.rows() == 0) return {};
    SplitFile& file = split == Split::kTest ? test_ : train_;
    if (!file.writer) {
      ASSIGN_OR_RETURN(file.writer,
                       deps_.tables.create(file.path, image_table_schema(plan_.layout), {.compression_level = kRawCompression}));
    }
    for (std::size_t i = 0; i < batch_.rows(); ++i) {
      content_hash_.add(split, std::span(batch_.records).subspan(i * plan_.layout.record_bytes(), plan_.layout.record_bytes()));
    }
    file.rows += static_cast<std::int64_t>(batch_.rows());
    return file.writer->append(table_from(batch_, plan_.layout));
  }

  Result<VersionDraft> store_files() {
    VersionDraft draft = draft_of(task_, DatasetLayer::kRaw);
    draft.schema = image_schema_fields(plan_.layout);
    draft.rows = report_.good;
    draft.content_hash = report_.content_hash;
    const std::string prefix = fmt::format("datasets/{}/raw", task_.dataset);
    for (SplitFile* file : {&train_, &test_}) {
      if (!file->writer) continue;
      TRY(file->writer->finish());
      const std::string role = fmt::format("parquet:{}", name_of(file == &test_ ? Split::kTest : Split::kTrain));
      ASSIGN_OR_RETURN(DatasetFile stored, store_file(deps_.objects, {file->path, prefix, ".parquet", role, file->rows}));
      draft.files.push_back(std::move(stored));
    }
    if (dead_.count() > 0) {
      TRY(dead_.finish());
      ASSIGN_OR_RETURN(DatasetFile stored, store_file(deps_.objects, {dead_.path(), prefix, ".parquet", "dead_letters", dead_.count()}));
      draft.files.push_back(std::move(stored));
    }
    draft.properties = Document::object({{"classes", plan_.layout.classes}, {"counts", report_.counts()}, {"sources", sources_}});
    return draft;
  }

  const IngestPlan& plan_;
  const DataTask& task_;
  const DataDeps& deps_;
  DeadLetterLog dead_;
  SplitFile train_;
  SplitFile test_;
  ContentHash content_hash_;
  RecordBatch batch_;
  std::vector<DeadLetter> letters_;
  Document sources_ = Document::array();
  IngestReport report_;
};

}  // namespace

Document IngestReport::counts() const {
  return Document::object({{"in", in}, {"good", good}, {"dead", dead}, {"train", train}, {"test", test}});
}

Document IngestReport::document() const {
  Document document = counts();
  document.set("content_hash", content_hash);
  document.set("version", version.text());
  return document;
}

Result<IngestReport> ingest(const IngestPlan& plan, const DataTask& task, const DataDeps& deps) {
  return Ingestion(plan, task, deps).run();
}

}  // namespace trainyard::data
