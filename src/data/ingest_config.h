#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/describe.h"
#include "data/record_source.h"
#include "data/row_hash.h"

namespace trainyard::data {

/// One source as the configuration of an ingest job lists it.
struct SourceSettings {
  std::string path;
  std::string format = "csv";   ///< idx_images, idx_labels or csv.
  std::string split = "train";  ///< train or test.
  std::string labels;           ///< For idx_images: the labels file; else the only idx_labels source of the split.
  std::string sha256;           ///< Of the file at `path`, as it lies on disk.
  std::string labels_sha256;

  void describe(FieldVisitor& fields);
};

/// The configuration of an ingest job.
struct IngestConfig {
  std::string dataset;
  std::vector<SourceSettings> sources;
  double dead_letter_budget = 0.01;
  Document image;  ///< [height, width]; 28 x 28 when it is not given.
  std::int64_t classes = 10;

  void describe(FieldVisitor& fields);
};

/// A source ready to be read: IDX images know their labels.
struct PlannedSource {
  std::string path;
  std::string labels;  ///< Empty for CSV.
  Split split = Split::kTrain;
  std::string sha256;  ///< Lower case; empty: not checked.
  std::string labels_sha256;

  bool is_csv() const { return labels.empty(); }
};

struct IngestPlan {
  std::string dataset;  ///< Empty: the output names it.
  ImageLayout layout;
  std::vector<PlannedSource> sources;  ///< In the order of the configuration; _src counts them.
  double dead_letter_budget = 0.01;
};

/// Checks the configuration and pairs images with labels. Pure. Errors: INVALID_ARGUMENT "ingest.sources" or "ingest.image" with the
/// position in the job spec, as "/config/sources/0/path".
Result<IngestPlan> plan_ingest(const IngestConfig& config);

}  // namespace trainyard::data
