#include <fmt/format.h>

#include <algorithm>

#include "access/token_authorizer.h"
#include "api/mlflow/internal/calls.h"
#include "api/mlflow/internal/messages.h"
#include "track/page_token.h"
#include "track/validation.h"

namespace trainyard::api::mlflow::internal {
namespace {

using net::Permission;

constexpr std::size_t kBatchMetricsMax = 1000;
constexpr std::size_t kBatchParamsMax = 100;
constexpr std::size_t kBatchTagsMax = 100;
constexpr std::size_t kBatchItemsMax = 1000;
constexpr std::string_view kModelHistoryTag = "mlflow.log-model.history";

Result<Document> create(const Call& call) {
  track::NewRun run;
  ASSIGN_OR_RETURN(run.experiment.text, call.arguments.text("experiment_id"));
  if (run.experiment.text.empty()) run.experiment.text = "0";
  ASSIGN_OR_RETURN(run.user, call.arguments.text("user_id"));
  ASSIGN_OR_RETURN(run.name, call.arguments.text("run_name"));
  ASSIGN_OR_RETURN(const std::optional<std::int64_t> started, call.arguments.integer("start_time"));
  run.started_ms = started.value_or(call.now_ms());
  ASSIGN_OR_RETURN(run.tags, call.arguments.key_values("tags"));
  ASSIGN_OR_RETURN(const track::Run created, call.tracking.runs().create(run));
  return Document::object({{"run", run_message(created)}});
}

Result<Document> get(const Call& call) {
  ASSIGN_OR_RETURN(const RunId id, call.arguments.run_id());
  ASSIGN_OR_RETURN(const track::Run run, call.tracking.runs().get(id));
  return Document::object({{"run", run_message(run)}});
}

/// A status by its name or its number in the protocol, from 1.
Result<std::optional<track::RunStatus>> status_argument(const Call& call) {
  const Result<std::optional<std::int64_t>> number = call.arguments.integer("status");
  if (number.ok() && *number && **number >= 1 && **number <= 5) return std::optional(static_cast<track::RunStatus>(**number - 1));
  ASSIGN_OR_RETURN(const std::string name, call.arguments.text("status"));
  if (name.empty()) return std::optional<track::RunStatus>();
  const std::optional<track::RunStatus> status = track::run_status_from(name);
  if (!status) return invalid_argument("mlflow.status", fmt::format("Invalid value \"{}\" for parameter 'status' supplied", name));
  return status;
}

Result<Document> update(const Call& call) {
  ASSIGN_OR_RETURN(const RunId id, call.arguments.run_id());
  track::RunUpdate update;
  ASSIGN_OR_RETURN(update.status, status_argument(call));
  ASSIGN_OR_RETURN(update.ended_ms, call.arguments.integer("end_time"));
  ASSIGN_OR_RETURN(const std::string name, call.arguments.text("run_name"));
  if (!name.empty()) update.name = name;
  ASSIGN_OR_RETURN(const track::RunInfo info, call.tracking.runs().update(id, update));
  return Document::object({{"run_info", run_info_message(info)}});
}

Result<Document> set_lifecycle(const Call& call, track::Lifecycle lifecycle) {
  ASSIGN_OR_RETURN(const RunId id, call.arguments.run_id());
  TRY(call.tracking.runs().set_lifecycle(id, lifecycle));
  return Document::object();
}

Result<Document> remove(const Call& call) { return set_lifecycle(call, track::Lifecycle::kDeleted); }
Result<Document> restore(const Call& call) { return set_lifecycle(call, track::Lifecycle::kActive); }

Result<track::Metric> metric_of(const Fields& fields) {
  track::Metric metric;
  ASSIGN_OR_RETURN(metric.key, fields.required_text("key"));
  ASSIGN_OR_RETURN(metric.point.value, fields.required_number("value"));
  ASSIGN_OR_RETURN(metric.point.timestamp_ms, fields.required_integer("timestamp"));
  ASSIGN_OR_RETURN(const std::optional<std::int64_t> step, fields.integer("step"));
  metric.point.step = step.value_or(0);
  return metric;
}

Result<Document> log_metric(const Call& call) {
  ASSIGN_OR_RETURN(const RunId id, call.arguments.run_id());
  track::RunBatch batch;
  batch.from_list = false;
  batch.sender = access::attempt_of(call.principal);
  ASSIGN_OR_RETURN(track::Metric metric, metric_of(call.arguments));
  batch.metrics.push_back(std::move(metric));
  TRY(call.tracking.runs().log(id, batch));
  return Document::object();
}

/// Logs the one `key` and `value` of the call as a param or a tag.
Result<Document> log_pair(const Call& call, std::vector<track::KeyValue> track::RunBatch::*list) {
  ASSIGN_OR_RETURN(const RunId id, call.arguments.run_id());
  track::KeyValue pair;
  ASSIGN_OR_RETURN(pair.key, call.arguments.required_text("key"));
  ASSIGN_OR_RETURN(pair.value, call.arguments.text("value"));
  track::RunBatch batch;
  batch.from_list = false;
  (batch.*list).push_back(std::move(pair));
  TRY(call.tracking.runs().log(id, batch));
  return Document::object();
}

Result<Document> log_parameter(const Call& call) { return log_pair(call, &track::RunBatch::params); }
Result<Document> set_tag(const Call& call) { return log_pair(call, &track::RunBatch::tags); }

Result<void> check_size(std::size_t count, std::size_t max, std::string_view what) {
  if (count <= max) return {};
  return invalid_argument("mlflow.batch_size",
                          fmt::format("A batch logging request can contain at most {0} {1}. Got {2} {1}. Please split up {1} "
                                      "across multiple requests and try again.",
                                      max, what, count));
}

Result<Document> log_batch(const Call& call) {
  ASSIGN_OR_RETURN(const RunId id, call.arguments.run_id());
  track::RunBatch batch;
  batch.sender = access::attempt_of(call.principal);
  ASSIGN_OR_RETURN(const std::vector<Fields> metrics, call.arguments.messages("metrics"));
  TRY(check_size(metrics.size(), kBatchMetricsMax, "metrics"));
  for (const Fields& fields : metrics) {
    ASSIGN_OR_RETURN(track::Metric metric, metric_of(fields));
    batch.metrics.push_back(std::move(metric));
  }
  ASSIGN_OR_RETURN(batch.params, call.arguments.key_values("params"));
  ASSIGN_OR_RETURN(batch.tags, call.arguments.key_values("tags"));
  TRY(check_size(batch.params.size(), kBatchParamsMax, "params"));
  TRY(check_size(batch.tags.size(), kBatchTagsMax, "tags"));
  TRY(check_size(batch.metrics.size() + batch.params.size() + batch.tags.size(), kBatchItemsMax, "metrics, params, and tags"));
  TRY(call.tracking.runs().log(id, batch));
  return Document::object();
}

Result<Document> delete_tag(const Call& call) {
  ASSIGN_OR_RETURN(const RunId id, call.arguments.run_id());
  ASSIGN_OR_RETURN(const std::string key, call.arguments.required_text("key"));
  TRY(call.tracking.runs().delete_tag(id, key));
  return Document::object();
}

/// Older clients note each model they logged in a tag that holds a JSON list.
Result<Document> log_model(const Call& call) {
  ASSIGN_OR_RETURN(const RunId id, call.arguments.run_id());
  ASSIGN_OR_RETURN(const std::string text, call.arguments.required_text("model_json"));
  const Result<Document> model = parse_json(text);
  if (!model.ok() || !model->is_object())
    return invalid_argument("mlflow.model_json", "Malformed model info. The model_json is not valid JSON");
  ASSIGN_OR_RETURN(const track::Run run, call.tracking.runs().get(id));
  Document history = Document::array();
  for (const track::KeyValue& tag : run.tags) {
    if (tag.key != kModelHistoryTag) continue;
    const Result<Document> stored = parse_json(tag.value);
    if (stored.ok() && stored->is_array()) history = *stored;
  }
  history.push(*model);
  track::RunBatch batch;
  batch.tags.push_back({std::string(kModelHistoryTag), to_json(history)});
  TRY(call.tracking.runs().log(id, batch));
  return Document::object();
}

Result<Document> search(const Call& call) {
  track::RunSearch search;
  ASSIGN_OR_RETURN(const std::vector<std::string> experiments, call.arguments.texts("experiment_ids"));
  if (experiments.empty()) return Document::object();
  for (const std::string& id : experiments) search.experiments.push_back({id});
  ASSIGN_OR_RETURN(search.filter, call.arguments.text("filter"));
  ASSIGN_OR_RETURN(search.order_by, call.arguments.texts("order_by"));
  ASSIGN_OR_RETURN(search.view, call.arguments.view_type("run_view_type"));
  ASSIGN_OR_RETURN(const std::optional<std::int64_t> max_results, call.arguments.integer("max_results"));
  search.max_results = max_results.value_or(search.max_results);
  ASSIGN_OR_RETURN(search.page_token, call.arguments.text("page_token"));
  ASSIGN_OR_RETURN(const track::RunPage page, call.tracking.runs().search(search));
  Document runs = Document::array();
  for (const track::Run& run : page.runs) runs.push(run_message(run));
  Document answer = Document::object();
  set_list("runs", std::move(runs), answer);
  if (!page.next_page_token.empty()) answer.set("next_page_token", page.next_page_token);
  return answer;
}

Result<Document> history(const Call& call) {
  ASSIGN_OR_RETURN(const RunId id, call.arguments.run_id());
  ASSIGN_OR_RETURN(const std::string key, call.arguments.required_text("metric_key"));
  ASSIGN_OR_RETURN(const std::optional<std::int64_t> max_results, call.arguments.integer("max_results"));
  if (max_results && *max_results <= 0) {
    return invalid_argument(
        "track.max_results",
        fmt::format("Invalid value {} for parameter 'max_results' supplied. It must be a positive integer", *max_results));
  }
  ASSIGN_OR_RETURN(const std::string token, call.arguments.text("page_token"));
  ASSIGN_OR_RETURN(const std::size_t offset, track::page_offset(token));
  ASSIGN_OR_RETURN(const std::vector<track::MetricPoint> points, call.tracking.runs().history(id, key));
  const std::size_t end = max_results ? std::min(points.size(), offset + static_cast<std::size_t>(*max_results)) : points.size();
  Document metrics = Document::array();
  for (std::size_t i = offset; i < end; ++i) metrics.push(metric_message(key, points[i]));
  Document answer = Document::object();
  set_list("metrics", std::move(metrics), answer);
  if (end < points.size()) answer.set("next_page_token", track::page_token(end));
  return answer;
}

Result<Document> list_artifacts(const Call& call) {
  ASSIGN_OR_RETURN(const RunId id, call.arguments.run_id());
  ASSIGN_OR_RETURN(const std::string raw_path, call.arguments.text("path"));
  ASSIGN_OR_RETURN(const std::string path, track::check_artifact_path(raw_path));
  ASSIGN_OR_RETURN(const track::Run run, call.tracking.runs().get(id));
  ASSIGN_OR_RETURN(const std::string root, track::artifact_path_of(run.info.artifact_uri));
  ASSIGN_OR_RETURN(const std::vector<track::ArtifactEntry> entries,
                   call.tracking.artifacts().list(path.empty() ? root : root + "/" + path));
  Document files = Document::array();
  for (const track::ArtifactEntry& entry : entries) files.push(file_message(entry, entry.path.substr(root.size() + 1)));
  Document answer = Document::object({{"root_uri", run.info.artifact_uri}});
  set_list("files", std::move(files), answer);
  return answer;
}

/// Newer clients look among the logged models of an experiment before they read artifacts of a run. This server keeps none.
Result<Document> search_logged_models(const Call& call) {
  TRY(call.arguments.texts("experiment_ids"));
  return Document::object();
}

}  // namespace

std::vector<CallRoute> run_calls() {
  return {{"POST", "runs/create", Permission::kRunner, create},
          {"POST", "runs/update", Permission::kRunner, update},
          {"POST", "runs/delete", Permission::kRunner, remove},
          {"POST", "runs/restore", Permission::kRunner, restore},
          {"GET", "runs/get", Permission::kViewer, get},
          {"POST", "runs/search", Permission::kViewer, search},
          {"POST", "runs/log-metric", Permission::kRunner, log_metric},
          {"POST", "runs/log-parameter", Permission::kRunner, log_parameter},
          {"POST", "runs/log-batch", Permission::kRunner, log_batch},
          {"POST", "runs/set-tag", Permission::kRunner, set_tag},
          {"POST", "runs/delete-tag", Permission::kRunner, delete_tag},
          {"POST", "runs/log-model", Permission::kRunner, log_model},
          {"GET", "metrics/get-history", Permission::kViewer, history},
          {"GET", "artifacts/list", Permission::kViewer, list_artifacts},
          {"POST", "logged-models/search", Permission::kViewer, search_logged_models}};
}

}  // namespace trainyard::api::mlflow::internal
