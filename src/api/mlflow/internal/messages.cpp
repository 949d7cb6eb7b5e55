#include "api/mlflow/internal/messages.h"

namespace trainyard::api::mlflow::internal {
namespace {

Document pairs_message(const std::vector<track::KeyValue>& pairs) {
  Document list = Document::array();
  for (const track::KeyValue& pair : pairs) list.push(Document::object({{"key", pair.key}, {"value", pair.value}}));
  return list;
}

}  // namespace

void set_list(std::string_view key, Document list, Document& object) {
  if (!list.items().empty()) object.set(key, std::move(list));
}

Document experiment_message(const track::Experiment& experiment) {
  Document message = Document::object({{"experiment_id", experiment.id.text},
                                       {"name", experiment.name},
                                       {"artifact_location", experiment.artifact_location},
                                       {"lifecycle_stage", name_of(experiment.lifecycle)},
                                       {"last_update_time", experiment.updated_ms},
                                       {"creation_time", experiment.created_ms}});
  set_list("tags", pairs_message(experiment.tags), message);
  return message;
}

Document run_info_message(const track::RunInfo& info) {
  Document message = Document::object({{"run_uuid", info.id.text},
                                       {"experiment_id", info.experiment.text},
                                       {"run_name", info.name},
                                       {"user_id", info.user},
                                       {"status", name_of(info.status)},
                                       {"start_time", info.started_ms}});
  if (info.ended_ms) message.set("end_time", *info.ended_ms);
  message.set("artifact_uri", info.artifact_uri);
  message.set("lifecycle_stage", name_of(info.lifecycle));
  message.set("run_id", info.id.text);
  return message;
}

Document metric_message(const std::string& key, const track::MetricPoint& point) {
  return Document::object({{"key", key}, {"value", point.value}, {"timestamp", point.timestamp_ms}, {"step", point.step}});
}

Document run_message(const track::Run& run) {
  Document metrics = Document::array();
  for (const track::Metric& metric : run.metrics) metrics.push(metric_message(metric.key, metric.point));
  Document data = Document::object();
  set_list("metrics", std::move(metrics), data);
  set_list("params", pairs_message(run.params), data);
  set_list("tags", pairs_message(run.tags), data);
  return Document::object({{"info", run_info_message(run.info)}, {"data", std::move(data)}, {"inputs", Document::object()}});
}

Document model_version_message(const track::ModelVersion& version) {
  Document message = Document::object({{"name", version.model},
                                       {"version", std::to_string(version.version)},
                                       {"creation_timestamp", version.created_ms},
                                       {"last_updated_timestamp", version.updated_ms},
                                       {"user_id", version.user},
                                       {"current_stage", version.stage},
                                       {"description", version.description},
                                       {"source", version.source},
                                       {"run_id", version.run.text},
                                       {"status", "READY"},
                                       {"run_link", version.run_link}});
  set_list("tags", pairs_message(version.tags), message);
  Document aliases = Document::array();
  for (const std::string& alias : version.aliases) aliases.push(alias);
  set_list("aliases", std::move(aliases), message);
  return message;
}

Document registered_model_message(const track::RegisteredModel& model) {
  Document message = Document::object({{"name", model.name},
                                       {"creation_timestamp", model.created_ms},
                                       {"last_updated_timestamp", model.updated_ms},
                                       {"description", model.description}});
  Document versions = Document::array();
  for (const track::ModelVersion& version : model.latest_versions) versions.push(model_version_message(version));
  set_list("latest_versions", std::move(versions), message);
  set_list("tags", pairs_message(model.tags), message);
  Document aliases = Document::array();
  for (const track::ModelAlias& alias : model.aliases) {
    aliases.push(Document::object({{"alias", alias.alias}, {"version", std::to_string(alias.version)}}));
  }
  set_list("aliases", std::move(aliases), message);
  return message;
}

Document file_message(const track::ArtifactEntry& entry, const std::string& path) {
  Document message = Document::object({{"path", path}, {"is_dir", entry.directory}});
  if (!entry.directory) message.set("file_size", entry.size);
  return message;
}

}  // namespace trainyard::api::mlflow::internal
