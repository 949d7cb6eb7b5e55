#pragma once
#include <string>
#include <vector>

#include "base/describe.h"
#include "data/curate_plan.h"
#include "data/data_task.h"
#include "data/record_source.h"

namespace trainyard::data {

/// The configuration of a curate job.
struct CurateConfig {
  std::string dataset;
  double validation_fraction = 0.1;
  std::int64_t seed = 0;
  bool drop_train_equal_to_test = true;

  void describe(FieldVisitor& fields);
  CurateSettings settings() const;
};

/// A table file of the raw version, as a file of this host.
struct InputTable {
  std::string path;
  std::int64_t size = 0;
  std::string checksum;
  Split split = Split::kTrain;
  std::int64_t rows = 0;
};

/// The raw version that is curated.
struct CurateInput {
  DatasetVersionKey version;
  ImageLayout layout;
  std::vector<InputTable> tables;  ///< In the order of the version.
  std::int64_t dead = 0;           ///< Rows that the ingest put aside, for the report.
};

/// What a curate did, exactly: in = good + dead; good = kept + dropped_duplicates + dropped_test_overlap; kept = train + validation + test.
struct CurateReport {
  std::int64_t in = 0;
  std::int64_t good = 0;
  std::int64_t dead = 0;
  std::int64_t kept = 0;
  std::int64_t dropped_duplicates = 0;
  std::int64_t dropped_test_overlap = 0;
  std::int64_t train = 0;
  std::int64_t validation = 0;
  std::int64_t test = 0;
  std::string content_hash;  ///< Of the curated version.
  DatasetVersionKey processed;
  DatasetVersionKey curated;

  /// The nine numbers.
  Document counts() const;
  /// The numbers, the content hash and the versions: the `result` event.
  Document document() const;
};

/// Columns of the drop list: key_hash, kept_src, kept_off, dropped_src, dropped_off, reason.
TableSchema drop_list_schema();

/// Reads a raw version twice: first to decide (plan_curate) and then to write, so that memory holds 40 bytes a row and a batch. Publishes
/// the processed layer (without dropped rows, which its drop list names) and then the curated one (train, validation and test as tables and
/// as packs), child of the former. Both come after all bytes are durable; a crash between them is repaired by running the task again, since
/// both publications are idempotent. Errors: "data.*" for faults of the input, "etl.stopped", those of the deps.
Result<CurateReport> curate(const CurateInput& input, const CurateConfig& config, const DataTask& task, const DataDeps& deps);

}  // namespace trainyard::data
