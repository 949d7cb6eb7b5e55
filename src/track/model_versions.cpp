#include <fmt/format.h>

#include <algorithm>

#include "track/artifact_repository.h"
#include "track/internal/model_rows.h"
#include "track/internal/run_rows.h"
#include "track/internal/transaction.h"
#include "track/model_registry.h"
#include "track/validation.h"

namespace trainyard::track {
namespace {

using internal::check_model_name;
using internal::load_version;
using internal::read_value;
using internal::write_value;
using store::Connection;
using store::Row;
using store::SqlValue;

std::string tag_of(const Run& run, std::string_view key) {
  const auto found = std::find_if(run.tags.begin(), run.tags.end(), [key](const KeyValue& tag) { return tag.key == key; });
  return found == run.tags.end() ? std::string() : found->value;
}

Error bad_source(const std::string& source, std::string_view why) {
  return invalid_argument("registry.source", fmt::format("Invalid model version source: '{}'. {}", source, why));
}

/// A source must lie in what the run owns, so that registering a model never opens a path of somebody else. `root` is the run's artifact
/// URI; empty without a run.
Result<void> check_source(const NewModelVersion& version, const std::string& root) {
  const std::string& source = version.source;
  if (source.empty()) return missing_parameter("source");
  if (source.starts_with("runs:/")) {
    if (!version.run.text.empty() && source.starts_with("runs:/" + version.run.text + "/")) return {};
    return bad_source(source, "A runs:/ source must be of the run that is given as run_id.");
  }
  if (source.starts_with(kArtifactScheme)) {
    ASSIGN_OR_RETURN(const std::string path, artifact_path_of(source));
    const Result<std::string> root_path = artifact_path_of(root);
    if (root_path.ok() && (path == *root_path || path.starts_with(*root_path + "/"))) return {};
    return bad_source(source, "It must lie below the artifacts of the run that is given as run_id.");
  }
  if (source.starts_with('/') || source.starts_with("file:") || source.find("://") == std::string::npos) {
    return bad_source(source, "Paths of a local file system are not taken; log the model as an artifact of a run first.");
  }
  if (source.find("..") != std::string::npos || source.find('\0') != std::string::npos)
    return bad_source(source, "It must not contain '..'.");
  return {};
}

/// What the run says about the version to be.
struct Origin {
  std::string artifact_root;
  std::string dataset;
};

Result<Origin> origin_of(Connection& sql, const NewModelVersion& version) {
  if (version.run.text.empty()) return Origin{{}, version.dataset};
  ASSIGN_OR_RETURN(RunInfo info, internal::load_run_info(sql, version.run));
  ASSIGN_OR_RETURN(const Run run, internal::load_run(sql, std::move(info)));
  const std::string synthetic = tag_of(run, kSyntheticTag);
  if (!synthetic.empty() && synthetic != "false" && synthetic != "False" && synthetic != "0") {
    return failed_precondition("registry.synthetic",
                               fmt::format("A model trained on synthetic data is not registered; train on real data, or "
                                           "remove the tag 'synthetic' if it is wrong: run {}",
                                           version.run.text));
  }
  return Origin{run.info.artifact_uri, version.dataset.empty() ? tag_of(run, kDatasetTag) : version.dataset};
}

Result<std::int64_t> next_version(Connection& sql, const std::string& model) {
  ASSIGN_OR_RETURN(const std::vector<Row> rows,
                   sql.query("SELECT COALESCE(MAX(version), 0) + 1 FROM model_version WHERE model = ?", {model}));
  return rows.front().integer(0);
}

/// The version that the key made before, if it did.
Result<std::optional<ModelVersionName>> replayed(Connection& sql, const std::string& key) {
  if (key.empty()) return std::optional<ModelVersionName>();
  ASSIGN_OR_RETURN(const std::vector<Row> rows, sql.query("SELECT model, version FROM model_version WHERE idempotency_key = ?", {key}));
  if (rows.empty()) return std::optional<ModelVersionName>();
  return std::optional(ModelVersionName{rows.front().text(0), rows.front().integer(1)});
}

Result<ModelVersion> insert_version(Connection& sql, const NewModelVersion& version, std::int64_t now_ms) {
  const Result<RegisteredModel> model = internal::load_model(sql, version.model);
  if (!model.ok()) {
    if (!version.create_model || model.error().category != Category::kNotFound) return model.error();
    TRY(internal::insert_model(sql, version.model, "", now_ms));
  }
  ASSIGN_OR_RETURN(const Origin origin, origin_of(sql, version));
  TRY(check_source(version, origin.artifact_root));
  ASSIGN_OR_RETURN(const std::int64_t number, next_version(sql, version.model));
  const SqlValue key = version.idempotency_key.empty() ? SqlValue() : SqlValue(version.idempotency_key);
  TRY(sql.execute(
      "INSERT INTO model_version(model, version, created_ms, updated_ms, description, source, run, run_link, stage, user_id, dataset, "
      "idempotency_key, deleted) VALUES(?, ?, ?, ?, ?, ?, ?, ?, 'None', ?, ?, ?, 0)",
      {version.model, number, now_ms, now_ms, version.description, version.source, version.run.text, version.run_link, version.user,
       origin.dataset, key}));
  for (const KeyValue& tag : version.tags) TRY(internal::write_version_tag(sql, {version.model, number}, tag));
  TRY(sql.execute("UPDATE registered_model SET updated_ms = ? WHERE name = ?", {now_ms, version.model}));
  return load_version(sql, {version.model, number});
}

}  // namespace

Result<ModelVersion> ModelRegistry::create_version(const NewModelVersion& version) {
  TRY(check_model_name(version.model));
  for (const KeyValue& tag : version.tags) TRY(internal::check_registry_tag(tag));
  return write_value<ModelVersion>(database_, [&](Connection& sql) -> Result<ModelVersion> {
    ASSIGN_OR_RETURN(const std::optional<ModelVersionName> first, replayed(sql, version.idempotency_key));
    if (!first) return insert_version(sql, version, now_ms());
    if (first->model == version.model) return load_version(sql, *first);
    return Error{Category::kAlreadyExists,
                 "registry.key_reused",
                 fmt::format("This idempotency key registered a version of another model: {}", first->model),
                 {},
                 {}};
  });
}

Result<ModelVersion> ModelRegistry::get_version(const ModelVersionName& name) {
  TRY(check_model_name(name.model));
  return read_value<ModelVersion>(database_, [&](Connection& sql) { return load_version(sql, name); });
}

Result<std::vector<std::string>> ModelRegistry::sources_in(const RunId& run) {
  return read_value<std::vector<std::string>>(database_, [&](Connection& sql) -> Result<std::vector<std::string>> {
    ASSIGN_OR_RETURN(const std::vector<Row> rows, sql.query("SELECT source FROM model_version WHERE run = ? AND deleted = 0", {run.text}));
    std::vector<std::string> sources;
    for (const Row& row : rows) sources.push_back(row.text(0));
    return sources;
  });
}

Result<ModelVersion> ModelRegistry::change_version(const ModelVersionName& name, const std::function<Result<void>(Connection&)>& change) {
  TRY(check_model_name(name.model));
  return write_value<ModelVersion>(database_, [&](Connection& sql) -> Result<ModelVersion> {
    TRY(load_version(sql, name));
    TRY(change(sql));
    TRY(sql.execute("UPDATE model_version SET updated_ms = ? WHERE model = ? AND version = ?", {now_ms(), name.model, name.version}));
    return load_version(sql, name);
  });
}

Result<ModelVersion> ModelRegistry::describe_version(const ModelVersionName& name, const std::string& description) {
  return change_version(name, [&](Connection& sql) -> Result<void> {
    TRY(sql.execute("UPDATE model_version SET description = ? WHERE model = ? AND version = ?", {description, name.model, name.version}));
    return {};
  });
}

Result<void> ModelRegistry::delete_version(const ModelVersionName& name) {
  TRY(check_model_name(name.model));
  return database_.write([&](Connection& sql) -> Result<void> {
    TRY(load_version(sql, name));
    TRY(sql.execute("DELETE FROM model_alias WHERE model = ? AND version = ?", {name.model, name.version}));
    TRY(sql.execute("UPDATE model_version SET deleted = 1, updated_ms = ? WHERE model = ? AND version = ?",
                    {now_ms(), name.model, name.version}));
    return {};
  });
}

Result<void> ModelRegistry::set_version_tag(const ModelVersionName& name, const KeyValue& tag) {
  TRY(internal::check_registry_tag(tag));
  TRY(change_version(name, [&](Connection& sql) { return internal::write_version_tag(sql, name, tag); }));
  return {};
}

Result<void> ModelRegistry::delete_version_tag(const ModelVersionName& name, const std::string& key) {
  const auto changed = change_version(name, [&](Connection& sql) -> Result<void> {
    TRY(sql.execute("DELETE FROM model_version_tag WHERE model = ? AND version = ? AND key = ?", {name.model, name.version, key}));
    return {};
  });
  return changed.ok() ? Result<void>() : changed.error();
}

Result<ModelVersion> ModelRegistry::set_stage(const ModelVersionName& name, const std::string& stage, bool archive_others) {
  ASSIGN_OR_RETURN(const std::string wanted, internal::stage_from(stage));
  if (archive_others && wanted != "Staging" && wanted != "Production") {
    return invalid_argument("registry.stage",
                            fmt::format("Model version transition cannot archive existing model versions because '{}' is not an "
                                        "Active stage. Valid stages are Staging, Production",
                                        wanted));
  }
  return change_version(name, [&](Connection& sql) -> Result<void> {
    if (archive_others) {
      TRY(sql.execute("UPDATE model_version SET stage = 'Archived', updated_ms = ? WHERE model = ? AND stage = ? AND version <> ?",
                      {now_ms(), name.model, wanted, name.version}));
    }
    TRY(sql.execute("UPDATE model_version SET stage = ? WHERE model = ? AND version = ?", {wanted, name.model, name.version}));
    return {};
  });
}

Result<std::vector<ModelVersion>> ModelRegistry::latest_versions(const std::string& name, const std::vector<std::string>& stages) {
  ASSIGN_OR_RETURN(const RegisteredModel model, get_model(name));
  std::vector<std::string> wanted;
  for (const std::string& stage : stages) {
    ASSIGN_OR_RETURN(std::string spelled, internal::stage_from(stage));
    wanted.push_back(std::move(spelled));
  }
  std::vector<ModelVersion> latest = model.latest_versions;
  std::erase_if(latest, [&wanted](const ModelVersion& version) {
    return !wanted.empty() && std::find(wanted.begin(), wanted.end(), version.stage) == wanted.end();
  });
  return latest;
}

}  // namespace trainyard::track
