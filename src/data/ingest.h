#pragma once
#include "data/data_task.h"
#include "data/ingest_config.h"

namespace trainyard::data {

/// What an ingest did, exactly: in = good + dead, and good = train + test.
struct IngestReport {
  std::int64_t in = 0;
  std::int64_t good = 0;
  std::int64_t dead = 0;
  std::int64_t train = 0;
  std::int64_t test = 0;
  std::string content_hash;
  DatasetVersionKey version;
  std::vector<std::string> first_dead;  ///< The first few dead letters, for people.

  /// The five numbers.
  Document counts() const;
  /// The numbers, the content hash and the version: the `result` event.
  Document document() const;
};

/// Reads the sources, writes one table file per split and one of dead letters, stores them, and publishes a version of the raw layer with
/// the sha256 of every source. Memory is bounded by a batch. Nothing is visible before the publication, which comes last. Errors: "data.*"
/// for faults of the sources, "etl.stopped", those of the deps.
Result<IngestReport> ingest(const IngestPlan& plan, const DataTask& task, const DataDeps& deps);

}  // namespace trainyard::data
