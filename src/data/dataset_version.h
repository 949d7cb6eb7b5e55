#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/describe.h"
#include "base/time.h"
#include "domain/dataset_ref.h"
#include "domain/ids.h"

namespace trainyard::data {

/// One column of a dataset: "uint8", "int64", "float", "string", "binary", or a fixed-size tensor per row such as "uint8[1,28,28]".
struct SchemaField {
  static constexpr std::string_view kSchemaName = "DatasetColumn";
  std::string name;
  std::string type;
  bool operator==(const SchemaField&) const = default;

  void describe(FieldVisitor& fields);
};

/// One stored object of a version. Roles: "parquet", "parquet:SPLIT", "pack:SPLIT", "dead_letters", "drop_list".
struct DatasetFile {
  static constexpr std::string_view kSchemaName = "DatasetFile";
  std::string uri;        ///< ty://bucket/key
  std::int64_t size = 0;  ///< Bytes.
  std::string checksum;   ///< "xxh3:" and 32 hex digits.
  std::string role;
  std::int64_t rows = 0;
  bool operator==(const DatasetFile&) const = default;

  void describe(FieldVisitor& fields);
};

/// A parent as it stands in JSON: {"name","layer","version"}.
struct ParentVersion {
  static constexpr std::string_view kSchemaName = "ParentVersion";
  DatasetVersionKey key;
  bool operator==(const ParentVersion&) const = default;

  void describe(FieldVisitor& fields);
};

/// What a job asks the catalog to publish. The body of POST /api/v1/datasets/{name}/versions; `name` comes from the path.
struct VersionDraft {
  static constexpr std::string_view kSchemaName = "NewDatasetVersion";
  std::string name;
  DatasetLayer layer = DatasetLayer::kRaw;
  std::string idempotency_key;  ///< "JOB:OUTPUT": the same key again publishes nothing new.
  JobId job;
  AttemptNumber attempt;
  std::vector<SchemaField> schema;
  std::int64_t rows = 0;
  std::string content_hash;  ///< 32 hex digits; the sum of the row hashes, see row_hash.h.
  std::vector<ParentVersion> parents;
  std::vector<DatasetFile> files;
  Document properties;  ///< Facts about how it came to be: sources with sha256, counts, configuration.

  void describe(FieldVisitor& fields);
};

/// A published version: the draft and what the catalog added.
struct DatasetVersion {
  VersionDraft draft;
  std::int64_t version = 0;
  TimePoint created_at;

  DatasetVersionKey key() const { return {draft.name, draft.layer, version}; }
  /// The files with `role`, in order.
  std::vector<DatasetFile> files_with_role(std::string_view role) const;
};

/// Errors: as decode_fields, and INVALID_ARGUMENT "dataset.name", "catalog.draft" for a draft that contradicts itself.
Result<VersionDraft> version_draft_from(const Document& body, std::string name);
/// The POST body: everything but the name.
Document to_document(const VersionDraft& draft);
/// The body plus "name", "version", "ref" and "created_at".
Document to_document(const DatasetVersion& version);
/// Reads what to_document wrote. Errors: as version_draft_from.
Result<DatasetVersion> dataset_version_from(const Document& document);

/// Whether a version with schema `next` may follow one with `previous` in the same layer: columns may be added at the end and widened
/// (int64 from uint8), never dropped, renamed or narrowed, so that who reads the old columns still can. Pure.
/// Errors: FAILED_PRECONDITION "catalog.schema_conflict" naming the column.
Result<void> check_schema_change(const std::vector<SchemaField>& previous, const std::vector<SchemaField>& next, std::string_view dataset);

}  // namespace trainyard::data
