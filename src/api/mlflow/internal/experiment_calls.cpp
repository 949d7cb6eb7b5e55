#include "api/mlflow/internal/calls.h"
#include "api/mlflow/internal/messages.h"

namespace trainyard::api::mlflow::internal {
namespace {

using net::Permission;

Result<track::ExperimentId> experiment_id(const Call& call) {
  ASSIGN_OR_RETURN(std::string id, call.arguments.required_text("experiment_id"));
  return track::ExperimentId{std::move(id)};
}

Result<Document> create(const Call& call) {
  track::NewExperiment experiment;
  ASSIGN_OR_RETURN(experiment.name, call.arguments.required_text("name"));
  ASSIGN_OR_RETURN(experiment.artifact_location, call.arguments.text("artifact_location"));
  ASSIGN_OR_RETURN(experiment.tags, call.arguments.key_values("tags"));
  ASSIGN_OR_RETURN(const track::ExperimentId id, call.tracking.experiments().create(experiment));
  return Document::object({{"experiment_id", id.text}});
}

Result<Document> get(const Call& call) {
  ASSIGN_OR_RETURN(const track::ExperimentId id, experiment_id(call));
  ASSIGN_OR_RETURN(const track::Experiment experiment, call.tracking.experiments().get(id));
  return Document::object({{"experiment", experiment_message(experiment)}});
}

Result<Document> get_by_name(const Call& call) {
  ASSIGN_OR_RETURN(const std::string name, call.arguments.required_text("experiment_name"));
  ASSIGN_OR_RETURN(const track::Experiment experiment, call.tracking.experiments().get_by_name(name));
  return Document::object({{"experiment", experiment_message(experiment)}});
}

Result<Document> set_lifecycle(const Call& call, track::Lifecycle lifecycle) {
  ASSIGN_OR_RETURN(const track::ExperimentId id, experiment_id(call));
  TRY(call.tracking.experiments().set_lifecycle(id, lifecycle));
  return Document::object();
}

Result<Document> remove(const Call& call) { return set_lifecycle(call, track::Lifecycle::kDeleted); }
Result<Document> restore(const Call& call) { return set_lifecycle(call, track::Lifecycle::kActive); }

Result<Document> update(const Call& call) {
  ASSIGN_OR_RETURN(const track::ExperimentId id, experiment_id(call));
  ASSIGN_OR_RETURN(const std::string name, call.arguments.required_text("new_name"));
  TRY(call.tracking.experiments().rename(id, name));
  return Document::object();
}

Result<Document> set_tag(const Call& call) {
  ASSIGN_OR_RETURN(const track::ExperimentId id, experiment_id(call));
  track::KeyValue tag;
  ASSIGN_OR_RETURN(tag.key, call.arguments.required_text("key"));
  ASSIGN_OR_RETURN(tag.value, call.arguments.text("value"));
  TRY(call.tracking.experiments().set_tag(id, tag));
  return Document::object();
}

Result<Document> delete_tag(const Call& call) {
  ASSIGN_OR_RETURN(const track::ExperimentId id, experiment_id(call));
  ASSIGN_OR_RETURN(const std::string key, call.arguments.required_text("key"));
  TRY(call.tracking.experiments().delete_tag(id, key));
  return Document::object();
}

Result<Document> search(const Call& call) {
  track::ExperimentSearch search;
  ASSIGN_OR_RETURN(search.filter, call.arguments.text("filter"));
  ASSIGN_OR_RETURN(search.order_by, call.arguments.texts("order_by"));
  ASSIGN_OR_RETURN(search.view, call.arguments.view_type("view_type"));
  ASSIGN_OR_RETURN(const std::optional<std::int64_t> max_results, call.arguments.integer("max_results"));
  search.max_results = max_results.value_or(search.max_results);
  ASSIGN_OR_RETURN(search.page_token, call.arguments.text("page_token"));
  ASSIGN_OR_RETURN(const track::ExperimentPage page, call.tracking.experiments().search(search));
  Document experiments = Document::array();
  for (const track::Experiment& experiment : page.experiments) experiments.push(experiment_message(experiment));
  Document answer = Document::object();
  set_list("experiments", std::move(experiments), answer);
  if (!page.next_page_token.empty()) answer.set("next_page_token", page.next_page_token);
  return answer;
}

}  // namespace

std::vector<CallRoute> experiment_calls() {
  return {{"POST", "experiments/create", Permission::kRunner, create},
          {"POST", "experiments/search", Permission::kViewer, search},
          {"GET", "experiments/search", Permission::kViewer, search},
          {"GET", "experiments/get", Permission::kViewer, get},
          {"GET", "experiments/get-by-name", Permission::kViewer, get_by_name},
          {"POST", "experiments/delete", Permission::kOperator, remove},
          {"POST", "experiments/restore", Permission::kOperator, restore},
          {"POST", "experiments/update", Permission::kOperator, update},
          {"POST", "experiments/set-experiment-tag", Permission::kRunner, set_tag},
          {"POST", "experiments/delete-experiment-tag", Permission::kRunner, delete_tag}};
}

}  // namespace trainyard::api::mlflow::internal
