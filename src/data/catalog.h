#pragma once
#include <string>
#include <vector>

#include "base/time.h"
#include "data/dataset_version.h"
#include "store/database.h"

namespace trainyard::data {

/// Tables dataset, dataset_version, data_file and lineage_edge: component "catalog".
const std::vector<store::Migration>& catalog_migrations();

/// One job made `child` out of `parent`.
struct LineageEdge {
  DatasetVersionKey parent;
  DatasetVersionKey child;
  JobId job;
  AttemptNumber attempt;
  bool operator==(const LineageEdge&) const = default;
};

/// Where a version comes from and what was made from it.
struct Lineage {
  std::vector<LineageEdge> parents;          ///< Edges into the version, by parent.
  std::vector<LineageEdge> children;         ///< Edges out of the version, by child.
  std::vector<DatasetVersionKey> ancestors;  ///< Everything upstream, sorted, each once.
};

/// The newest version of one layer, for listings.
struct LayerSummary {
  DatasetLayer layer = DatasetLayer::kRaw;
  std::int64_t latest = 0;
  std::int64_t rows = 0;
  std::string content_hash;
  TimePoint created_at;
};

struct DatasetSummary {
  std::string name;
  TimePoint created_at;
  std::vector<LayerSummary> layers;  ///< raw, processed, curated; only those that exist.
};

/// The durable truth about datasets, written once over the SQL that SQLite and PostgreSQL share. May be called from any thread; blocks.
/// Errors of every method: also those of the database.
class CatalogRepository {
 public:
  CatalogRepository(store::Database& database, const Clock& clock) : database_(database), clock_(clock) {}

  struct Published {
    DatasetVersion version;
    bool created = true;  ///< False when the idempotency key had published it before.
  };
  /// Publishes the next version of the layer, with its files and lineage, in one transaction. The same idempotency key again returns the
  /// version it published first. A version with a synthetic parent is synthetic too. Errors: ALREADY_EXISTS "catalog.key_reused" for a key
  /// that published another dataset or layer, FAILED_PRECONDITION "catalog.schema_conflict", NOT_FOUND "catalog.unknown_parent".
  Result<Published> publish(const VersionDraft& draft);

  /// Errors: NOT_FOUND "catalog.unknown_dataset" (with the nearest name) or "catalog.unknown_version" (with those that exist).
  Result<DatasetVersion> get(const DatasetRef& ref);

  /// All datasets by name.
  Result<std::vector<DatasetSummary>> list();
  /// All versions of one dataset, newest first inside a layer, layers in order. Errors: NOT_FOUND "catalog.unknown_dataset".
  Result<std::vector<DatasetVersion>> versions(const std::string& name);

  /// Errors: NOT_FOUND as `get`.
  Result<Lineage> lineage(const DatasetVersionKey& key);

 private:
  store::Database& database_;
  const Clock& clock_;
};

}  // namespace trainyard::data
