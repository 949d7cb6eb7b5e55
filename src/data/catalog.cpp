#include "data/catalog.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "data/synthetic.h"

namespace trainyard::data {
namespace {

using store::Connection;
using store::Row;
using store::SqlValue;

constexpr std::string_view kVersionColumns =
    "dataset, layer, version, created_us, idempotency_key, job_id, attempt, schema_json, row_count, content_hash, properties_json";

constexpr std::string_view kFirstTables = R"sql(CREATE TABLE dataset(name TEXT PRIMARY KEY, created_us BIGINT NOT NULL);
CREATE TABLE dataset_version(
  dataset TEXT NOT NULL REFERENCES dataset(name), layer TEXT NOT NULL, version BIGINT NOT NULL, created_us BIGINT NOT NULL,
  idempotency_key TEXT NOT NULL UNIQUE, job_id BIGINT NOT NULL, attempt BIGINT NOT NULL, schema_json TEXT NOT NULL,
  row_count BIGINT NOT NULL, content_hash TEXT NOT NULL, properties_json TEXT NOT NULL,
  PRIMARY KEY(dataset, layer, version));
CREATE TABLE data_file(
  dataset TEXT NOT NULL, layer TEXT NOT NULL, version BIGINT NOT NULL, ordinal BIGINT NOT NULL,
  uri TEXT NOT NULL, size BIGINT NOT NULL, checksum TEXT NOT NULL, role TEXT NOT NULL, row_count BIGINT NOT NULL,
  PRIMARY KEY(dataset, layer, version, ordinal),
  FOREIGN KEY(dataset, layer, version) REFERENCES dataset_version(dataset, layer, version));
CREATE INDEX data_file_by_uri ON data_file(uri);
CREATE TABLE lineage_edge(
  parent_dataset TEXT NOT NULL, parent_layer TEXT NOT NULL, parent_version BIGINT NOT NULL,
  child_dataset TEXT NOT NULL, child_layer TEXT NOT NULL, child_version BIGINT NOT NULL,
  job_id BIGINT NOT NULL, attempt BIGINT NOT NULL,
  PRIMARY KEY(child_dataset, child_layer, child_version, parent_dataset, parent_layer, parent_version));
CREATE INDEX lineage_edge_by_parent ON lineage_edge(parent_dataset, parent_layer, parent_version))sql";

SqlValue layer_value(DatasetLayer layer) { return std::string(name_of(layer)); }

std::vector<SqlValue> key_values(const DatasetVersionKey& key) { return {key.name, layer_value(key.layer), key.version}; }

Result<DatasetLayer> stored_layer(const std::string& text) {
  const Result<DatasetLayer> layer = parse_dataset_layer(text);
  if (layer.ok()) return *layer;
  return data_loss("catalog.corrupt", fmt::format("the catalog holds an unknown layer: \"{}\"", text));
}

Result<Document> stored_json(const std::string& text, const std::string& dataset) {
  Result<Document> document = parse_json(text);
  if (document.ok()) return document;
  return data_loss("catalog.corrupt",
                   fmt::format("the catalog holds malformed JSON for dataset {}: {}", dataset, document.error().message));
}

/// Schema as a document: {"schema":[..]}, so that the described struct reads and writes it.
struct StoredSchema {
  std::vector<SchemaField> schema;
  void describe(FieldVisitor& fields) { fields.field("schema", schema, "Columns in order."); }
};

Result<std::vector<DatasetFile>> load_files(Connection& sql, const DatasetVersionKey& key) {
  ASSIGN_OR_RETURN(const std::vector<Row> rows,
                   sql.query("SELECT uri, size, checksum, role, row_count FROM data_file WHERE dataset = ? AND layer = ? AND version = ? "
                             "ORDER BY ordinal",
                             key_values(key)));
  std::vector<DatasetFile> files;
  for (const Row& row : rows) files.push_back({row.text(0), row.integer(1), row.text(2), row.text(3), row.integer(4)});
  return files;
}

Result<std::vector<LineageEdge>> load_edges(Connection& sql, std::string_view condition, const DatasetVersionKey& key) {
  ASSIGN_OR_RETURN(
      const std::vector<Row> rows,
      sql.query(fmt::format("SELECT parent_dataset, parent_layer, parent_version, child_dataset, child_layer, child_version, job_id, "
                            "attempt FROM lineage_edge WHERE {} ORDER BY 1, 2, 3, 4, 5, 6",
                            condition),
                key_values(key)));
  std::vector<LineageEdge> edges;
  for (const Row& row : rows) {
    ASSIGN_OR_RETURN(const DatasetLayer parent_layer, stored_layer(row.text(1)));
    ASSIGN_OR_RETURN(const DatasetLayer child_layer, stored_layer(row.text(4)));
    edges.push_back({{row.text(0), parent_layer, row.integer(2)},
                     {row.text(3), child_layer, row.integer(5)},
                     JobId(static_cast<std::uint64_t>(row.integer(6))),
                     AttemptNumber(static_cast<std::uint32_t>(row.integer(7)))});
  }
  return edges;
}

Result<std::vector<LineageEdge>> edges_into(Connection& sql, const DatasetVersionKey& key) {
  return load_edges(sql, "child_dataset = ? AND child_layer = ? AND child_version = ?", key);
}

Result<std::vector<LineageEdge>> edges_out_of(Connection& sql, const DatasetVersionKey& key) {
  return load_edges(sql, "parent_dataset = ? AND parent_layer = ? AND parent_version = ?", key);
}

/// A row of kVersionColumns with its files and parents.
Result<DatasetVersion> load_version(Connection& sql, const Row& row) {
  DatasetVersion version;
  VersionDraft& draft = version.draft;
  draft.name = row.text(0);
  ASSIGN_OR_RETURN(draft.layer, stored_layer(row.text(1)));
  version.version = row.integer(2);
  version.created_at = time_from_micros(row.integer(3));
  draft.idempotency_key = row.text(4);
  draft.job = JobId(static_cast<std::uint64_t>(row.integer(5)));
  draft.attempt = AttemptNumber(static_cast<std::uint32_t>(row.integer(6)));
  ASSIGN_OR_RETURN(const Document schema, stored_json(row.text(7), draft.name));
  ASSIGN_OR_RETURN(StoredSchema stored, decode<StoredSchema>(schema));
  draft.schema = std::move(stored.schema);
  draft.rows = row.integer(8);
  draft.content_hash = row.text(9);
  ASSIGN_OR_RETURN(draft.properties, stored_json(row.text(10), draft.name));
  ASSIGN_OR_RETURN(draft.files, load_files(sql, version.key()));
  ASSIGN_OR_RETURN(const std::vector<LineageEdge> edges, edges_into(sql, version.key()));
  for (const LineageEdge& edge : edges) draft.parents.push_back({edge.parent});
  return version;
}

Result<std::vector<DatasetVersion>> select_versions(Connection& sql, std::string_view condition, const std::vector<SqlValue>& parameters) {
  ASSIGN_OR_RETURN(const std::vector<Row> rows,
                   sql.query(fmt::format("SELECT {} FROM dataset_version WHERE {}", kVersionColumns, condition), parameters));
  std::vector<DatasetVersion> versions;
  for (const Row& row : rows) {
    ASSIGN_OR_RETURN(DatasetVersion version, load_version(sql, row));
    versions.push_back(std::move(version));
  }
  return versions;
}

Error unknown_dataset(Connection& sql, const std::string& name) {
  ASSIGN_OR_RETURN(const std::vector<Row> rows, sql.query("SELECT name FROM dataset ORDER BY name"));
  std::vector<std::string> names;
  for (const Row& row : rows) names.push_back(row.text(0));
  const std::optional<std::string> close = nearest(name, names);
  return not_found(
      "catalog.unknown_dataset",
      close ? fmt::format("there is no dataset \"{}\"; did you mean \"{}\"?", name, *close)
            : fmt::format("there is no dataset \"{}\"; an ingest job publishes one, and `trainyard dataset ls` lists them", name));
}

/// The error for a reference that finds nothing: is it the name, the layer or the number?
Error unknown_version(Connection& sql, const DatasetRef& ref) {
  ASSIGN_OR_RETURN(
      const std::vector<Row> rows,
      sql.query("SELECT layer, MAX(version) FROM dataset_version WHERE dataset = ? GROUP BY layer ORDER BY layer", {ref.name}));
  if (rows.empty()) return unknown_dataset(sql, ref.name);
  std::vector<std::string> existing;
  for (const Row& row : rows) existing.push_back(fmt::format("{}@{}/{}", ref.name, row.integer(1), row.text(0)));
  return not_found("catalog.unknown_version", fmt::format("there is no dataset version {}; the newest ones are {}", format_dataset_ref(ref),
                                                          fmt::join(existing, ", ")));
}

Result<DatasetVersion> find_version(Connection& sql, const DatasetRef& ref) {
  std::vector<SqlValue> parameters{ref.name, layer_value(ref.layer)};
  std::string condition = "dataset = ? AND layer = ?";
  if (ref.version) {
    condition += " AND version = ?";
    parameters.emplace_back(*ref.version);
  }
  ASSIGN_OR_RETURN(std::vector<DatasetVersion> found, select_versions(sql, condition + " ORDER BY version DESC LIMIT 1", parameters));
  if (!found.empty()) return std::move(found.front());
  return unknown_version(sql, ref);
}

Result<void> insert_files(Connection& sql, const DatasetVersionKey& key, const std::vector<DatasetFile>& files) {
  for (std::size_t i = 0; i < files.size(); ++i) {
    const DatasetFile& file = files[i];
    std::vector<SqlValue> values = key_values(key);
    values.insert(values.end(), {static_cast<std::int64_t>(i), file.uri, file.size, file.checksum, file.role, file.rows});
    TRY(sql.execute(
        "INSERT INTO data_file(dataset, layer, version, ordinal, uri, size, checksum, role, row_count) VALUES(?,?,?,?,?,?,?,?,?)", values));
  }
  return {};
}

Result<void> insert_edges(Connection& sql, const DatasetVersion& version) {
  for (const ParentVersion& parent : version.draft.parents) {
    ASSIGN_OR_RETURN(const std::vector<Row> known,
                     sql.query("SELECT 1 FROM dataset_version WHERE dataset = ? AND layer = ? AND version = ?", key_values(parent.key)));
    if (known.empty()) {
      return not_found("catalog.unknown_parent", fmt::format("a version names a parent that was never published: {} as parent of {}",
                                                             parent.key.text(), version.key().text()));
    }
    std::vector<SqlValue> values = key_values(parent.key);
    const std::vector<SqlValue> child = key_values(version.key());
    values.insert(values.end(), child.begin(), child.end());
    values.insert(values.end(),
                  {static_cast<std::int64_t>(version.draft.job.value), static_cast<std::int64_t>(version.draft.attempt.value)});
    TRY(sql.execute(
        "INSERT INTO lineage_edge(parent_dataset, parent_layer, parent_version, child_dataset, child_layer, child_version, job_id, "
        "attempt) VALUES(?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING",
        values));
  }
  return {};
}

Result<void> insert_version(Connection& sql, const DatasetVersion& version) {
  const VersionDraft& draft = version.draft;
  TRY(sql.execute("INSERT INTO dataset(name, created_us) VALUES(?,?) ON CONFLICT DO NOTHING", {draft.name, micros(version.created_at)}));
  TRY(sql.execute(fmt::format("INSERT INTO dataset_version({}) VALUES(?,?,?,?,?,?,?,?,?,?,?)", kVersionColumns),
                  {draft.name, layer_value(draft.layer), version.version, micros(version.created_at), draft.idempotency_key,
                   static_cast<std::int64_t>(draft.job.value), static_cast<std::int64_t>(draft.attempt.value),
                   to_json(encode(StoredSchema{draft.schema})), draft.rows, draft.content_hash,
                   to_json(draft.properties.is_null() ? Document::object() : draft.properties)}));
  TRY(insert_files(sql, version.key(), draft.files));
  return insert_edges(sql, version);
}

Result<bool> has_synthetic_parent(Connection& sql, const VersionDraft& draft) {
  for (const ParentVersion& parent : draft.parents) {
    ASSIGN_OR_RETURN(const std::vector<DatasetVersion> found,
                     select_versions(sql, "dataset = ? AND layer = ? AND version = ?", key_values(parent.key)));
    if (!found.empty() && is_synthetic(found.front().draft)) return true;
  }
  return false;
}

void mark_synthetic(VersionDraft& draft) {
  if (draft.properties.is_null()) draft.properties = Document::object();
  draft.properties.set(kSyntheticProperty, true);
}

/// The version that `key` published before, if any.
Result<std::optional<DatasetVersion>> published_before(Connection& sql, const VersionDraft& draft) {
  ASSIGN_OR_RETURN(std::vector<DatasetVersion> found, select_versions(sql, "idempotency_key = ?", {draft.idempotency_key}));
  if (found.empty()) return std::optional<DatasetVersion>();
  const DatasetVersion& version = found.front();
  if (version.draft.name != draft.name || version.draft.layer != draft.layer) {
    return Error{Category::kAlreadyExists,
                 "catalog.key_reused",
                 fmt::format("the idempotency key has published another dataset or layer before: \"{}\" published {}",
                             draft.idempotency_key, version.key().text()),
                 {},
                 {}};
  }
  return std::optional(std::move(found.front()));
}

}  // namespace

const std::vector<store::Migration>& catalog_migrations() {
  static const std::vector<store::Migration> migrations{{1, kFirstTables}};
  return migrations;
}

Result<CatalogRepository::Published> CatalogRepository::publish(const VersionDraft& draft) {
  Published published;
  const auto work = [&](Connection& sql) -> Result<void> {
    ASSIGN_OR_RETURN(std::optional<DatasetVersion> before, published_before(sql, draft));
    if (before) {
      published = {std::move(*before), false};
      return {};
    }
    ASSIGN_OR_RETURN(const std::vector<DatasetVersion> last, select_versions(sql, "dataset = ? AND layer = ? ORDER BY version DESC LIMIT 1",
                                                                             {draft.name, layer_value(draft.layer)}));
    // A stand-in does not bind the real dataset that follows it.
    const bool bound = !last.empty() && !is_synthetic(last.front().draft);
    if (bound) TRY(check_schema_change(last.front().draft.schema, draft.schema, draft.name));
    published = {{draft, last.empty() ? 1 : last.front().version + 1, clock_.now()}, true};
    ASSIGN_OR_RETURN(const bool made_up, has_synthetic_parent(sql, draft));
    if (made_up) mark_synthetic(published.version.draft);
    return insert_version(sql, published.version);
  };
  TRY(database_.write(work));
  return published;
}

Result<DatasetVersion> CatalogRepository::get(const DatasetRef& ref) {
  DatasetVersion version;
  const auto work = [&](Connection& sql) -> Result<void> {
    ASSIGN_OR_RETURN(version, find_version(sql, ref));
    return {};
  };
  TRY(database_.read(work));
  return version;
}

Result<std::vector<DatasetSummary>> CatalogRepository::list() {
  std::vector<DatasetSummary> summaries;
  const auto work = [&](Connection& sql) -> Result<void> {
    ASSIGN_OR_RETURN(
        const std::vector<Row> rows,
        sql.query("SELECT d.name, d.created_us, v.layer, v.version, v.row_count, v.content_hash, v.created_us FROM dataset d JOIN "
                  "dataset_version v ON v.dataset = d.name JOIN (SELECT dataset, layer, MAX(version) AS newest FROM dataset_version "
                  "GROUP BY dataset, layer) m ON m.dataset = v.dataset AND m.layer = v.layer AND m.newest = v.version "
                  "ORDER BY d.name, v.layer"));
    for (const Row& row : rows) {
      if (summaries.empty() || summaries.back().name != row.text(0)) {
        summaries.push_back({row.text(0), time_from_micros(row.integer(1)), {}});
      }
      ASSIGN_OR_RETURN(const DatasetLayer layer, stored_layer(row.text(2)));
      summaries.back().layers.push_back({layer, row.integer(3), row.integer(4), row.text(5), time_from_micros(row.integer(6))});
    }
    return {};
  };
  TRY(database_.read(work));
  for (DatasetSummary& summary : summaries) {
    std::sort(summary.layers.begin(), summary.layers.end(), [](const LayerSummary& a, const LayerSummary& b) { return a.layer < b.layer; });
  }
  return summaries;
}

Result<std::vector<DatasetVersion>> CatalogRepository::versions(const std::string& name) {
  std::vector<DatasetVersion> versions;
  const auto work = [&](Connection& sql) -> Result<void> {
    ASSIGN_OR_RETURN(versions, select_versions(sql, "dataset = ? ORDER BY version DESC", {name}));
    if (!versions.empty()) return {};
    return unknown_dataset(sql, name);
  };
  TRY(database_.read(work));
  std::stable_sort(versions.begin(), versions.end(),
                   [](const DatasetVersion& a, const DatasetVersion& b) { return a.draft.layer < b.draft.layer; });
  return versions;
}

Result<Lineage> CatalogRepository::lineage(const DatasetVersionKey& key) {
  Lineage lineage;
  const auto work = [&](Connection& sql) -> Result<void> {
    TRY(find_version(sql, {key.name, key.version, key.layer}));
    ASSIGN_OR_RETURN(lineage.parents, edges_into(sql, key));
    ASSIGN_OR_RETURN(lineage.children, edges_out_of(sql, key));
    ASSIGN_OR_RETURN(
        const std::vector<Row> rows,
        sql.query("WITH RECURSIVE upstream(dataset, layer, version) AS ("
                  "SELECT parent_dataset, parent_layer, parent_version FROM lineage_edge WHERE child_dataset = ? AND child_layer = ? "
                  "AND child_version = ? UNION SELECT e.parent_dataset, e.parent_layer, e.parent_version FROM lineage_edge e JOIN "
                  "upstream u ON e.child_dataset = u.dataset AND e.child_layer = u.layer AND e.child_version = u.version) "
                  "SELECT dataset, layer, version FROM upstream",
                  key_values(key)));
    for (const Row& row : rows) {
      ASSIGN_OR_RETURN(const DatasetLayer layer, stored_layer(row.text(1)));
      lineage.ancestors.push_back({row.text(0), layer, row.integer(2)});
    }
    return {};
  };
  TRY(database_.read(work));
  std::sort(lineage.ancestors.begin(), lineage.ancestors.end());
  return lineage;
}

}  // namespace trainyard::data
