#include "track/internal/model_rows.h"

#include <fmt/format.h>
#include <strings.h>

#include <map>

#include "track/validation.h"

namespace trainyard::track::internal {
namespace {

using store::Connection;
using store::Row;
using store::SqlValue;

constexpr std::string_view kVersionColumns =
    "model, version, created_ms, updated_ms, description, source, run, run_link, stage, user_id, dataset";

ModelVersion version_from(const Row& row) {
  ModelVersion version;
  version.model = row.text(0);
  version.version = row.integer(1);
  version.created_ms = row.integer(2);
  version.updated_ms = row.integer(3);
  version.description = row.text(4);
  version.source = row.text(5);
  version.run = {row.text(6)};
  version.run_link = row.text(7);
  version.stage = row.text(8);
  version.user = row.text(9);
  version.dataset = row.text(10);
  return version;
}

}  // namespace

Result<std::vector<ModelVersion>> load_versions(Connection& sql, std::string_view condition, const std::vector<SqlValue>& parameters) {
  ASSIGN_OR_RETURN(
      const std::vector<Row> rows,
      sql.query(fmt::format("SELECT {} FROM model_version WHERE deleted = 0 AND {} ORDER BY model, version", kVersionColumns, condition),
                parameters));
  std::vector<ModelVersion> versions;
  for (const Row& row : rows) {
    ModelVersion version = version_from(row);
    ASSIGN_OR_RETURN(const std::vector<Row> tags,
                     sql.query("SELECT key, value FROM model_version_tag WHERE model = ? AND version = ? ORDER BY key",
                               {version.model, version.version}));
    for (const Row& tag : tags) version.tags.push_back({tag.text(0), tag.text(1)});
    ASSIGN_OR_RETURN(
        const std::vector<Row> aliases,
        sql.query("SELECT alias FROM model_alias WHERE model = ? AND version = ? ORDER BY alias", {version.model, version.version}));
    for (const Row& alias : aliases) version.aliases.push_back(alias.text(0));
    versions.push_back(std::move(version));
  }
  return versions;
}

Result<ModelVersion> load_version(Connection& sql, const ModelVersionName& name) {
  ASSIGN_OR_RETURN(std::vector<ModelVersion> found, load_versions(sql, "model = ? AND version = ?", {name.model, name.version}));
  if (!found.empty()) return std::move(found.front());
  return not_found("registry.unknown_version", fmt::format("Model Version (name={}, version={}) not found", name.model, name.version));
}

Result<std::vector<RegisteredModel>> load_models(Connection& sql, std::string_view tail, const std::vector<SqlValue>& parameters) {
  ASSIGN_OR_RETURN(const std::vector<Row> rows,
                   sql.query(fmt::format("SELECT name, description, created_ms, updated_ms FROM registered_model {}", tail), parameters));
  std::vector<RegisteredModel> models;
  for (const Row& row : rows) {
    RegisteredModel model{row.text(0), row.text(1), row.integer(2), row.integer(3), {}, {}, {}};
    ASSIGN_OR_RETURN(const std::vector<Row> tags,
                     sql.query("SELECT key, value FROM registered_model_tag WHERE model = ? ORDER BY key", {model.name}));
    for (const Row& tag : tags) model.tags.push_back({tag.text(0), tag.text(1)});
    ASSIGN_OR_RETURN(const std::vector<Row> aliases,
                     sql.query("SELECT alias, version FROM model_alias WHERE model = ? ORDER BY alias", {model.name}));
    for (const Row& alias : aliases) model.aliases.push_back({alias.text(0), alias.integer(1)});
    ASSIGN_OR_RETURN(const std::vector<ModelVersion> versions, load_versions(sql, "model = ?", {model.name}));
    model.latest_versions = highest_by_stage(versions);
    models.push_back(std::move(model));
  }
  return models;
}

Result<RegisteredModel> load_model(Connection& sql, const std::string& name) {
  ASSIGN_OR_RETURN(std::vector<RegisteredModel> found, load_models(sql, "WHERE name = ?", {name}));
  if (found.empty()) return not_found("registry.unknown_model", fmt::format("Registered Model with name={} not found", name));
  return std::move(found.front());
}

Result<void> insert_model(Connection& sql, const std::string& name, const std::string& description, std::int64_t now_ms) {
  TRY(sql.execute("INSERT INTO registered_model(name, description, created_ms, updated_ms) VALUES(?, ?, ?, ?)",
                  {name, description, now_ms, now_ms}));
  return {};
}

Result<void> write_model_tag(Connection& sql, const std::string& name, const KeyValue& tag) {
  TRY(
      sql.execute("INSERT INTO registered_model_tag(model, key, value) VALUES(?, ?, ?) "
                  "ON CONFLICT(model, key) DO UPDATE SET value = excluded.value",
                  {name, tag.key, tag.value}));
  return {};
}

Result<void> write_version_tag(Connection& sql, const ModelVersionName& name, const KeyValue& tag) {
  TRY(
      sql.execute("INSERT INTO model_version_tag(model, version, key, value) VALUES(?, ?, ?, ?) "
                  "ON CONFLICT(model, version, key) DO UPDATE SET value = excluded.value",
                  {name.model, name.version, tag.key, tag.value}));
  return {};
}

Result<void> check_model_name(std::string_view name) {
  if (name.empty()) return missing_parameter("name");
  if (name.find_first_of("/:") == std::string_view::npos) return {};
  return invalid_argument("registry.name", fmt::format("Invalid model name '{}'. Names cannot contain '/' or ':'.", name));
}

Result<void> check_registry_tag(const KeyValue& tag) {
  TRY(check_key(tag.key, "key", "key"));
  return check_length(tag.value, kRegistryTagValueMax, "value");
}

Result<std::string> stage_from(std::string_view text) {
  for (const char* stage : {"None", "Staging", "Production", "Archived"}) {
    if (::strcasecmp(stage, std::string(text).c_str()) == 0) return std::string(stage);
  }
  return invalid_argument("registry.stage",
                          fmt::format("Invalid Model Version stage: {}. Value must be one of None, Staging, Production, Archived.", text));
}

std::vector<ModelVersion> highest_by_stage(const std::vector<ModelVersion>& versions) {
  std::map<std::string, ModelVersion> highest;
  for (const ModelVersion& version : versions) {
    ModelVersion& kept = highest[version.stage];
    if (version.version > kept.version) kept = version;
  }
  std::vector<ModelVersion> result;
  for (auto& [stage, version] : highest) result.push_back(std::move(version));
  return result;
}

}  // namespace trainyard::track::internal
