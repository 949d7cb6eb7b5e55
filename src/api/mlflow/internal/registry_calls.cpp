#include <fmt/format.h>

#include <charconv>

#include "api/mlflow/internal/calls.h"
#include "api/mlflow/internal/messages.h"

namespace trainyard::api::mlflow::internal {
namespace {

using net::Permission;
using track::ModelVersionName;

Document model_answer(const track::RegisteredModel& model) {
  return Document::object({{"registered_model", registered_model_message(model)}});
}

Document version_answer(const track::ModelVersion& version) {
  return Document::object({{"model_version", model_version_message(version)}});
}

/// Arguments "name" and "version"; versions are text in this protocol.
Result<ModelVersionName> version_name(const Call& call) {
  ModelVersionName name;
  ASSIGN_OR_RETURN(name.model, call.arguments.required_text("name"));
  const Result<std::optional<std::int64_t>> number = call.arguments.integer("version");
  if (number.ok() && *number) return ModelVersionName{name.model, **number};
  ASSIGN_OR_RETURN(const std::string text, call.arguments.required_text("version"));
  return invalid_argument("mlflow.version", fmt::format("Parameter 'version' must be an integer, got '{}'.", text));
}

Result<track::KeyValue> tag_arguments(const Call& call) {
  track::KeyValue tag;
  ASSIGN_OR_RETURN(tag.key, call.arguments.required_text("key"));
  ASSIGN_OR_RETURN(tag.value, call.arguments.text("value"));
  return tag;
}

Result<track::RegistrySearch> search_arguments(const Call& call, std::int64_t default_results) {
  track::RegistrySearch search;
  ASSIGN_OR_RETURN(search.filter, call.arguments.text("filter"));
  ASSIGN_OR_RETURN(search.order_by, call.arguments.texts("order_by"));
  ASSIGN_OR_RETURN(const std::optional<std::int64_t> max_results, call.arguments.integer("max_results"));
  search.max_results = max_results.value_or(default_results);
  ASSIGN_OR_RETURN(search.page_token, call.arguments.text("page_token"));
  return search;
}

Result<Document> create_model(const Call& call) {
  ASSIGN_OR_RETURN(const std::string name, call.arguments.required_text("name"));
  ASSIGN_OR_RETURN(const std::string description, call.arguments.text("description"));
  ASSIGN_OR_RETURN(const std::vector<track::KeyValue> tags, call.arguments.key_values("tags"));
  ASSIGN_OR_RETURN(const track::RegisteredModel model, call.tracking.models().create_model(name, description, tags));
  return model_answer(model);
}

Result<Document> get_model(const Call& call) {
  ASSIGN_OR_RETURN(const std::string name, call.arguments.required_text("name"));
  ASSIGN_OR_RETURN(const track::RegisteredModel model, call.tracking.models().get_model(name));
  return model_answer(model);
}

Result<Document> rename_model(const Call& call) {
  ASSIGN_OR_RETURN(const std::string name, call.arguments.required_text("name"));
  ASSIGN_OR_RETURN(const std::string new_name, call.arguments.required_text("new_name"));
  ASSIGN_OR_RETURN(const track::RegisteredModel model, call.tracking.models().rename_model(name, new_name));
  return model_answer(model);
}

Result<Document> update_model(const Call& call) {
  ASSIGN_OR_RETURN(const std::string name, call.arguments.required_text("name"));
  ASSIGN_OR_RETURN(const std::string description, call.arguments.text("description"));
  ASSIGN_OR_RETURN(const track::RegisteredModel model, call.tracking.models().describe_model(name, description));
  return model_answer(model);
}

Result<Document> delete_model(const Call& call) {
  ASSIGN_OR_RETURN(const std::string name, call.arguments.required_text("name"));
  TRY(call.tracking.models().delete_model(name));
  return Document::object();
}

Result<Document> search_models(const Call& call) {
  ASSIGN_OR_RETURN(const track::RegistrySearch search, search_arguments(call, 100));
  ASSIGN_OR_RETURN(const track::ModelPage page, call.tracking.models().search_models(search));
  Document models = Document::array();
  for (const track::RegisteredModel& model : page.models) models.push(registered_model_message(model));
  Document answer = Document::object();
  set_list("registered_models", std::move(models), answer);
  if (!page.next_page_token.empty()) answer.set("next_page_token", page.next_page_token);
  return answer;
}

Result<Document> latest_versions(const Call& call) {
  ASSIGN_OR_RETURN(const std::string name, call.arguments.required_text("name"));
  ASSIGN_OR_RETURN(const std::vector<std::string> stages, call.arguments.texts("stages"));
  ASSIGN_OR_RETURN(const std::vector<track::ModelVersion> latest, call.tracking.models().latest_versions(name, stages));
  Document versions = Document::array();
  for (const track::ModelVersion& version : latest) versions.push(model_version_message(version));
  Document answer = Document::object();
  set_list("model_versions", std::move(versions), answer);
  return answer;
}

Result<Document> set_model_tag(const Call& call) {
  ASSIGN_OR_RETURN(const std::string name, call.arguments.required_text("name"));
  ASSIGN_OR_RETURN(const track::KeyValue tag, tag_arguments(call));
  TRY(call.tracking.models().set_model_tag(name, tag));
  return Document::object();
}

Result<Document> delete_model_tag(const Call& call) {
  ASSIGN_OR_RETURN(const std::string name, call.arguments.required_text("name"));
  ASSIGN_OR_RETURN(const std::string key, call.arguments.required_text("key"));
  TRY(call.tracking.models().delete_model_tag(name, key));
  return Document::object();
}

Result<Document> set_alias(const Call& call) {
  ASSIGN_OR_RETURN(const ModelVersionName name, version_name(call));
  ASSIGN_OR_RETURN(const std::string alias, call.arguments.required_text("alias"));
  TRY(call.tracking.models().set_alias(name, alias));
  return Document::object();
}

Result<Document> delete_alias(const Call& call) {
  ASSIGN_OR_RETURN(const std::string name, call.arguments.required_text("name"));
  ASSIGN_OR_RETURN(const std::string alias, call.arguments.required_text("alias"));
  TRY(call.tracking.models().delete_alias(name, alias));
  return Document::object();
}

Result<Document> get_alias(const Call& call) {
  ASSIGN_OR_RETURN(const std::string name, call.arguments.required_text("name"));
  ASSIGN_OR_RETURN(const std::string alias, call.arguments.required_text("alias"));
  ASSIGN_OR_RETURN(const track::ModelVersion version, call.tracking.models().version_of_alias(name, alias));
  return version_answer(version);
}

Result<Document> create_version(const Call& call) {
  track::NewModelVersion version;
  ASSIGN_OR_RETURN(version.model, call.arguments.required_text("name"));
  ASSIGN_OR_RETURN(version.source, call.arguments.required_text("source"));
  ASSIGN_OR_RETURN(version.run.text, call.arguments.text("run_id"));
  ASSIGN_OR_RETURN(version.run_link, call.arguments.text("run_link"));
  ASSIGN_OR_RETURN(version.description, call.arguments.text("description"));
  ASSIGN_OR_RETURN(version.tags, call.arguments.key_values("tags"));
  version.user = call.principal.name;
  ASSIGN_OR_RETURN(const track::ModelVersion created, call.tracking.models().create_version(version));
  return version_answer(created);
}

Result<Document> get_version(const Call& call) {
  ASSIGN_OR_RETURN(const ModelVersionName name, version_name(call));
  ASSIGN_OR_RETURN(const track::ModelVersion version, call.tracking.models().get_version(name));
  return version_answer(version);
}

Result<Document> update_version(const Call& call) {
  ASSIGN_OR_RETURN(const ModelVersionName name, version_name(call));
  ASSIGN_OR_RETURN(const std::string description, call.arguments.text("description"));
  ASSIGN_OR_RETURN(const track::ModelVersion version, call.tracking.models().describe_version(name, description));
  return version_answer(version);
}

Result<Document> transition_stage(const Call& call) {
  ASSIGN_OR_RETURN(const ModelVersionName name, version_name(call));
  ASSIGN_OR_RETURN(const std::string stage, call.arguments.required_text("stage"));
  ASSIGN_OR_RETURN(const bool archive, call.arguments.flag("archive_existing_versions"));
  ASSIGN_OR_RETURN(const track::ModelVersion version, call.tracking.models().set_stage(name, stage, archive));
  return version_answer(version);
}

Result<Document> delete_version(const Call& call) {
  ASSIGN_OR_RETURN(const ModelVersionName name, version_name(call));
  TRY(call.tracking.models().delete_version(name));
  return Document::object();
}

Result<Document> search_versions(const Call& call) {
  ASSIGN_OR_RETURN(const track::RegistrySearch search, search_arguments(call, 200'000));
  ASSIGN_OR_RETURN(const track::ModelVersionPage page, call.tracking.models().search_versions(search));
  Document versions = Document::array();
  for (const track::ModelVersion& version : page.versions) versions.push(model_version_message(version));
  Document answer = Document::object();
  set_list("model_versions", std::move(versions), answer);
  if (!page.next_page_token.empty()) answer.set("next_page_token", page.next_page_token);
  return answer;
}

Result<Document> download_uri(const Call& call) {
  ASSIGN_OR_RETURN(const ModelVersionName name, version_name(call));
  ASSIGN_OR_RETURN(const track::ModelVersion version, call.tracking.models().get_version(name));
  ASSIGN_OR_RETURN(const std::string location, call.tracking.models().location_of(version));
  return Document::object({{"artifact_uri", location}});
}

Result<Document> set_version_tag(const Call& call) {
  ASSIGN_OR_RETURN(const ModelVersionName name, version_name(call));
  ASSIGN_OR_RETURN(const track::KeyValue tag, tag_arguments(call));
  TRY(call.tracking.models().set_version_tag(name, tag));
  return Document::object();
}

Result<Document> delete_version_tag(const Call& call) {
  ASSIGN_OR_RETURN(const ModelVersionName name, version_name(call));
  ASSIGN_OR_RETURN(const std::string key, call.arguments.required_text("key"));
  TRY(call.tracking.models().delete_version_tag(name, key));
  return Document::object();
}

}  // namespace

std::vector<CallRoute> registry_calls() {
  return {{"POST", "registered-models/create", Permission::kRunner, create_model},
          {"GET", "registered-models/get", Permission::kViewer, get_model},
          {"POST", "registered-models/rename", Permission::kOperator, rename_model},
          {"PATCH", "registered-models/update", Permission::kRunner, update_model},
          {"DELETE", "registered-models/delete", Permission::kOperator, delete_model},
          {"GET", "registered-models/search", Permission::kViewer, search_models},
          {"POST", "registered-models/get-latest-versions", Permission::kViewer, latest_versions},
          {"GET", "registered-models/get-latest-versions", Permission::kViewer, latest_versions},
          {"POST", "registered-models/set-tag", Permission::kRunner, set_model_tag},
          {"DELETE", "registered-models/delete-tag", Permission::kRunner, delete_model_tag},
          {"POST", "registered-models/alias", Permission::kOperator, set_alias},
          {"DELETE", "registered-models/alias", Permission::kOperator, delete_alias},
          {"GET", "registered-models/alias", Permission::kViewer, get_alias},
          {"POST", "model-versions/create", Permission::kRunner, create_version},
          {"GET", "model-versions/get", Permission::kViewer, get_version},
          {"PATCH", "model-versions/update", Permission::kRunner, update_version},
          {"POST", "model-versions/transition-stage", Permission::kOperator, transition_stage},
          {"DELETE", "model-versions/delete", Permission::kOperator, delete_version},
          {"GET", "model-versions/search", Permission::kViewer, search_versions},
          {"GET", "model-versions/get-download-uri", Permission::kViewer, download_uri},
          {"POST", "model-versions/set-tag", Permission::kRunner, set_version_tag},
          {"DELETE", "model-versions/delete-tag", Permission::kRunner, delete_version_tag}};
}

}  // namespace trainyard::api::mlflow::internal
