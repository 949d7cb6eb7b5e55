#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/describe.h"
#include "data/dataset_version.h"

// What the routes of datasets answer.
namespace trainyard::api {

/// A version by name.
struct DatasetKey {
  static constexpr std::string_view kSchemaName = "DatasetKey";
  std::string name;
  std::string layer;
  std::int64_t version = 1;
  std::string ref;
  void describe(FieldVisitor& fields);
};

struct LayerView {
  std::string name;
  std::string layer;
  std::int64_t version = 1;
  std::string ref;
  std::int64_t rows = 0;
  std::string content_hash;
  TimePoint created_at;
  void describe(FieldVisitor& fields);
};

struct DatasetSummaryView {
  static constexpr std::string_view kSchemaName = "Dataset";
  std::string name;
  TimePoint created_at;
  std::vector<LayerView> layers;
  void describe(FieldVisitor& fields);
};

struct DatasetList {
  static constexpr std::string_view kSchemaName = "DatasetList";
  std::vector<DatasetSummaryView> datasets;
  std::optional<std::string> next_cursor;
  void describe(FieldVisitor& fields);
};

struct LineageKey {
  static constexpr std::string_view kSchemaName = "LineageVersion";
  std::string name;
  std::string layer;
  std::int64_t version = 1;
  std::string ref;
  std::optional<std::string> job_id;
  std::optional<std::int64_t> attempt;
  void describe(FieldVisitor& fields);
};

struct DatasetLineage {
  std::vector<LineageKey> parents;
  std::vector<LineageKey> children;
  std::vector<LineageKey> ancestors;
  void describe(FieldVisitor& fields);
};

/// What data::to_document writes; files and lineage come with one version only.
struct DatasetVersionView {
  static constexpr std::string_view kSchemaName = "DatasetVersion";
  std::string name;
  std::int64_t version = 1;
  std::string ref;
  TimePoint created_at;
  std::string layer;
  std::string idempotency_key;
  std::string job_id;
  std::int64_t attempt = 0;
  std::vector<data::SchemaField> schema;
  std::int64_t rows = 0;
  std::string content_hash;
  std::vector<data::ParentVersion> parents;
  std::optional<std::vector<data::DatasetFile>> files;
  Document properties;
  std::optional<DatasetLineage> lineage;
  void describe(FieldVisitor& fields);
};

struct DatasetVersions {
  static constexpr std::string_view kSchemaName = "DatasetVersions";
  std::string name;
  std::vector<DatasetVersionView> versions;
  void describe(FieldVisitor& fields);
};

}  // namespace trainyard::api
