#include "api/platform/dataset_views.h"

namespace trainyard::api {
namespace {

/// The fields that name a version.
template <typename View>
void describe_key(FieldVisitor& fields, View& view) {
  fields.field("name", view.name, "Name of the dataset.");
  fields.choice("layer", view.layer, {"raw", "processed", "curated"}, "How far it is refined.");
  fields.field("version", view.version, {.min = 1}, "Number of the version in its layer, from 1.");
  fields.field("ref", view.ref, "NAME@VERSION/LAYER, as a job spec takes it.");
}

}  // namespace

void DatasetKey::describe(FieldVisitor& fields) { describe_key(fields, *this); }

void LayerView::describe(FieldVisitor& fields) {
  describe_key(fields, *this);
  fields.field("rows", rows, "Rows over all splits.");
  fields.field("content_hash", content_hash, "Equal for equal rows in any order.");
  fields.field("created_at", created_at, "When it was published.");
}

void DatasetSummaryView::describe(FieldVisitor& fields) {
  fields.field("name", name, "Name of the dataset.");
  fields.field("created_at", created_at, "When its first version was published.");
  fields.field("layers", layers, "The newest version of each layer.");
}

void DatasetList::describe(FieldVisitor& fields) {
  fields.field("datasets", datasets, "By name.");
  fields.field("next_cursor", next_cursor, "Where the next page begins; absent: there is none.");
}

void LineageKey::describe(FieldVisitor& fields) {
  describe_key(fields, *this);
  fields.field("job_id", job_id, "The job that made one of the other.");
  fields.field("attempt", attempt, "The attempt of that job.");
}

void DatasetLineage::describe(FieldVisitor& fields) {
  fields.field("parents", parents, "What it was made from.");
  fields.field("children", children, "What was made from it.");
  fields.field("ancestors", ancestors, "Everything upstream, each once.");
}

void DatasetVersionView::describe(FieldVisitor& fields) {
  fields.field("name", name, "Name of the dataset.");
  fields.field("version", version, {.min = 1}, "Number of the version in its layer, from 1.");
  fields.field("ref", ref, "NAME@VERSION/LAYER, as a job spec takes it.");
  fields.field("created_at", created_at, "When it was published.");
  fields.choice("layer", layer, {"raw", "processed", "curated"}, "How far it is refined.");
  fields.field("idempotency_key", idempotency_key, "The key it was published under.");
  fields.field("job_id", job_id, "The job that made it; empty when none did.");
  fields.field("attempt", attempt, "The attempt of that job.");
  fields.field("schema", schema, "Columns in order.");
  fields.field("rows", rows, "Rows over all splits.");
  fields.field("content_hash", content_hash, "Equal for equal rows in any order.");
  fields.field("parents", parents, "Versions it was made from.");
  fields.field("files", files, "Its stored objects; when one version is asked for.");
  fields.field("properties", properties, "Facts about how it came to be.");
  fields.field("lineage", lineage, "Where it comes from and what came of it; when one version is asked for.");
}

void DatasetVersions::describe(FieldVisitor& fields) {
  fields.field("name", name, "Name of the dataset.");
  fields.field("versions", versions, "Newest first inside a layer, layers in order.");
}

}  // namespace trainyard::api
