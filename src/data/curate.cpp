#include "data/curate.h"

#include <fmt/format.h>

#include "data/image_table.h"
#include "data/internal/curate_output.h"
#include "data/stored_file.h"

namespace trainyard::data {
namespace {

class Curation {
 public:
  Curation(const CurateInput& input, const CurateConfig& config, const DataTask& task, const DataDeps& deps)
      : input_(input), config_(config), task_(task), deps_(deps), output_(input.layout, task.scratch_directory, deps.tables) {}

  Result<CurateReport> run() {
    for (const InputTable& table : input_.tables) {
      TRY(verify_file(table.path, table.size, table.checksum));
      total_rows_ += 2 * table.rows;
    }
    TRY(take_snapshot());
    plan_ = plan_curate(snapshot_, config_.settings());
    TRY(fill_report());
    TRY(write_rows());
    TRY(output_.write_drop_list(plan_.dropped));
    return store_and_publish();
  }

 private:
  /// Reads all input tables and hands on each batch of records with its table.
  template <typename Consume>
  Result<void> for_each_batch(std::string_view what, Consume consume) {
    for (const InputTable& table : input_.tables) {
      ASSIGN_OR_RETURN(const std::unique_ptr<TableReader> reader, deps_.tables.open(table.path, image_table_schema(input_.layout)));
      Table rows;
      for (;;) {
        TRY(check_stop(deps_.monitor));
        ASSIGN_OR_RETURN(const bool more, reader->next(rows));
        if (!more) break;
        batch_.clear();
        append_table(rows, input_.layout, batch_);
        TRY(consume(table));
        done_rows_ += static_cast<std::int64_t>(rows.rows);
        deps_.monitor.progress(done_rows_, total_rows_, what);
      }
    }
    return {};
  }

  std::span<const std::byte> record(std::size_t index) const {
    return std::span(batch_.records).subspan(index * input_.layout.record_bytes(), input_.layout.record_bytes());
  }

  /// The schema is enforced here: a label that no class has must never reach a training set.
  Result<void> check_label(std::size_t index) const {
    const auto label = static_cast<std::int64_t>(record(index).front());
    if (label < input_.layout.classes) return {};
    return data_loss("data.label",
                     fmt::format("a row of the raw version has a label outside 0..{}, ingest it again: {} at source {} offset {}",
                                 input_.layout.classes - 1, label, batch_.sources[index], batch_.offsets[index]));
  }

  Result<void> take_snapshot() {
    return for_each_batch("reading", [this](const InputTable& table) -> Result<void> {
      std::vector<RowKey>& keys = table.split == Split::kTest ? snapshot_.test : snapshot_.train;
      for (std::size_t i = 0; i < batch_.rows(); ++i) {
        TRY(check_label(i));
        keys.push_back({hash_row(record(i)), batch_.sources[i], batch_.offsets[i]});
      }
      return {};
    });
  }

  Result<void> fill_report() {
    report_.dead = input_.dead;
    report_.good = static_cast<std::int64_t>(snapshot_.train.size() + snapshot_.test.size());
    report_.in = report_.good + report_.dead;
    report_.dropped_duplicates = plan_.dropped_duplicates;
    report_.dropped_test_overlap = plan_.dropped_equal_to_test;
    report_.train = plan_.train_rows;
    report_.validation = plan_.validation_rows;
    report_.test = plan_.test_rows;
    report_.kept = report_.train + report_.validation + report_.test;
    CHECK(report_.good == report_.kept + report_.dropped_duplicates + report_.dropped_test_overlap, "every row is kept or dropped");
    if (report_.train == 0) return invalid_argument("data.empty", "no training row is left, so there is nothing to publish");
    return {};
  }

  Result<void> write_rows() {
    std::size_t next_train = 0;
    return for_each_batch("writing", [this, &next_train](const InputTable& table) -> Result<void> {
      if (table.split == Split::kTest) {
        TRY(output_.append_processed(Split::kTest, batch_));
        return output_.append(Split::kTest, batch_);
      }
      return write_training_rows(next_train);
    });
  }

  Result<void> write_training_rows(std::size_t& next_train) {
    RecordBatch kept;
    RecordBatch train;
    RecordBatch validation;
    for (std::size_t i = 0; i < batch_.rows(); ++i) {
      const RowFate fate = plan_.train.at(next_train++);
      if (fate != RowFate::kTrain && fate != RowFate::kValidation) continue;
      append_row(batch_, i, input_.layout, kept);
      append_row(batch_, i, input_.layout, fate == RowFate::kTrain ? train : validation);
    }
    TRY(output_.append_processed(Split::kTrain, kept));
    TRY(output_.append(Split::kTrain, train));
    return output_.append(Split::kValidation, validation);
  }

  VersionDraft draft_for(DatasetLayer layer) const {
    VersionDraft draft = draft_of(task_, layer);
    draft.schema = image_schema_fields(input_.layout);
    draft.properties = Document::object(
        {{"classes", input_.layout.classes}, {"counts", report_.counts()}, {"drop_train_equal_to_test", config_.drop_train_equal_to_test}});
    if (layer == DatasetLayer::kCurated) {
      draft.properties.set("validation_fraction", config_.validation_fraction);
      draft.properties.set("seed", config_.seed);
    }
    return draft;
  }

  Result<CurateReport> store_and_publish() {
    VersionDraft processed = draft_for(DatasetLayer::kProcessed);
    processed.idempotency_key += "/processed";
    processed.parents = {{input_.version}};
    VersionDraft curated = draft_for(DatasetLayer::kCurated);
    TRY(output_.store_processed(deps_.objects, processed));
    TRY(output_.store_curated(deps_.objects, curated));
    TRY(check_stop(deps_.monitor));

    ASSIGN_OR_RETURN(report_.processed, deps_.publisher.publish(processed));
    curated.parents = {{report_.processed}};
    ASSIGN_OR_RETURN(report_.curated, deps_.publisher.publish(curated));
    report_.content_hash = curated.content_hash;
    return report_;
  }

  const CurateInput& input_;
  const CurateConfig& config_;
  const DataTask& task_;
  const DataDeps& deps_;
  internal::CurateOutput output_;
  CurateSnapshot snapshot_;
  CuratePlan plan_;
  RecordBatch batch_;  ///< The batch that is being consumed.
  std::int64_t total_rows_ = 0;
  std::int64_t done_rows_ = 0;
  CurateReport report_;
};

}  // namespace

void CurateConfig::describe(FieldVisitor& fields) {
  fields.field("dataset", dataset, "Dataset to publish; empty: the output names it.");
  fields.field("validation_fraction", validation_fraction, Range{0, 0.999}, "Fraction of the training rows that is kept for validation.");
  fields.field("seed", seed, Range{0, 9.0e18}, "Chooses which training rows are for validation.");
  fields.field("drop_train_equal_to_test", drop_train_equal_to_test, "Drop training rows that are also test rows.");
}

CurateSettings CurateConfig::settings() const {
  return {.validation_fraction = validation_fraction,
          .seed = static_cast<std::uint64_t>(seed),
          .drop_train_equal_to_test = drop_train_equal_to_test};
}

Document CurateReport::counts() const {
  return Document::object({{"in", in},
                           {"good", good},
                           {"dead", dead},
                           {"kept", kept},
                           {"dropped_duplicates", dropped_duplicates},
                           {"dropped_test_overlap", dropped_test_overlap},
                           {"train", train},
                           {"validation", validation},
                           {"test", test}});
}

Document CurateReport::document() const {
  Document document = counts();
  document.set("content_hash", content_hash);
  document.set("processed", processed.text());
  document.set("version", curated.text());
  return document;
}

TableSchema drop_list_schema() {
  return {{"key_hash", ColumnType::kString, 0},   {"kept_src", ColumnType::kInt64, 0},    {"kept_off", ColumnType::kInt64, 0},
          {"dropped_src", ColumnType::kInt64, 0}, {"dropped_off", ColumnType::kInt64, 0}, {"reason", ColumnType::kString, 0}};
}

Result<CurateReport> curate(const CurateInput& input, const CurateConfig& config, const DataTask& task, const DataDeps& deps) {
  return Curation(input, config, task, deps).run();
}

}  // namespace trainyard::data
