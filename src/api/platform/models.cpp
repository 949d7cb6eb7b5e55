#include "api/platform/models.h"

#include <fmt/format.h>

#include "base/describe.h"

namespace trainyard::api {
namespace {

constexpr std::int64_t kModelsMax = 1000;
constexpr std::int64_t kVersionsMax = 10'000;

struct VersionBody {
  std::string source;
  std::string run_id;
  std::string dataset;
  std::string description;
  std::string alias;
  std::string idempotency_key;
  std::map<std::string, std::string> tags;

  void describe(FieldVisitor& fields) {
    fields.field("source", source, "Where the model's bytes are: ty://bucket/key, or a URI below the artifacts of the run.");
    fields.required();
    fields.field("run_id", run_id, "The tracked run that made it.");
    fields.field("dataset", dataset, "The dataset version it was trained on; by default the one its run names.");
    fields.field("description", description, "For people.");
    fields.field("alias", alias, "An alias to move to the new version.");
    fields.field("idempotency_key", idempotency_key, "The same key again answers with the version it registered first.");
    fields.field("tags", tags, "Free labels.");
  }
};

struct AliasBody {
  std::int64_t version = 0;
  void describe(FieldVisitor& fields) {
    fields.field("version", version, {1, 1e15}, "The version the alias is to name.");
    fields.required();
  }
};

std::string time_text(std::int64_t milliseconds) { return to_rfc3339(time_from_micros(milliseconds * 1000)); }

Document tags_document(const std::vector<track::KeyValue>& tags) {
  Document object = Document::object();
  for (const track::KeyValue& tag : tags) object.set(tag.key, tag.value);
  return object;
}

Document version_document(const track::ModelVersion& version) {
  Document aliases = Document::array();
  for (const std::string& alias : version.aliases) aliases.push(alias);
  Document document = Document::object({{"model", version.model},
                                        {"version", version.version},
                                        {"created_at", time_text(version.created_ms)},
                                        {"source", version.source},
                                        {"stage", version.stage},
                                        {"description", version.description},
                                        {"user", version.user},
                                        {"aliases", std::move(aliases)},
                                        {"tags", tags_document(version.tags)}});
  Document lineage = Document::object();
  if (!version.run.text.empty()) lineage.set("run", version.run.text);
  if (!version.dataset.empty()) lineage.set("dataset", version.dataset);
  document.set("lineage", std::move(lineage));
  return document;
}

Document model_document(const track::RegisteredModel& model) {
  Document aliases = Document::object();
  for (const track::ModelAlias& alias : model.aliases) aliases.set(alias.alias, alias.version);
  std::int64_t latest = 0;
  for (const track::ModelVersion& version : model.latest_versions) latest = std::max(latest, version.version);
  return Document::object({{"name", model.name},
                           {"description", model.description},
                           {"created_at", time_text(model.created_ms)},
                           {"updated_at", time_text(model.updated_ms)},
                           {"latest_version", latest},
                           {"aliases", std::move(aliases)},
                           {"tags", tags_document(model.tags)}});
}

Result<net::Response> register_version(const TrackingContext& context, const net::Request& request) {
  ASSIGN_OR_RETURN(const Document body, parse_json(request.body));
  ASSIGN_OR_RETURN(const VersionBody fields, decode<VersionBody>(body));
  track::NewModelVersion version;
  version.model = request.path_parameters.at("name");
  version.source = fields.source;
  version.run = {fields.run_id};
  version.dataset = fields.dataset;
  version.description = fields.description;
  version.user = request.principal.name;
  version.idempotency_key = fields.idempotency_key;
  version.create_model = true;
  for (const auto& [key, value] : fields.tags) version.tags.push_back({key, value});
  track::ModelRegistry& models = context.tracking.models();
  ASSIGN_OR_RETURN(track::ModelVersion created, models.create_version(version));
  if (!fields.alias.empty()) {
    TRY(models.set_alias({created.model, created.version}, fields.alias));
    ASSIGN_OR_RETURN(created, models.get_version({created.model, created.version}));
  }
  net::Response response = net::json_response(201, version_document(created));
  response.headers.set("Location", "/api/v1/models/" + net::percent_encode(created.model));
  return response;
}

Result<net::Response> list_models(const TrackingContext& context, const net::Request&) {
  track::RegistrySearch search;
  search.max_results = kModelsMax;
  ASSIGN_OR_RETURN(const track::ModelPage page, context.tracking.models().search_models(search));
  Document models = Document::array();
  for (const track::RegisteredModel& model : page.models) models.push(model_document(model));
  return net::json_response(200, Document::object({{"models", std::move(models)}}));
}

Result<net::Response> show_model(const TrackingContext& context, const net::Request& request) {
  ASSIGN_OR_RETURN(const track::RegisteredModel model, context.tracking.models().get_model(request.path_parameters.at("name")));
  track::RegistrySearch search;
  search.filter = fmt::format("name = '{}'", model.name);
  search.order_by = {"version_number DESC"};
  search.max_results = kVersionsMax;
  ASSIGN_OR_RETURN(const track::ModelVersionPage page, context.tracking.models().search_versions(search));
  Document versions = Document::array();
  for (const track::ModelVersion& version : page.versions) versions.push(version_document(version));
  Document document = model_document(model);
  document.set("versions", std::move(versions));
  return net::json_response(200, document);
}

Result<net::Response> move_alias(const TrackingContext& context, const net::Request& request) {
  ASSIGN_OR_RETURN(const Document body, parse_json(request.body));
  ASSIGN_OR_RETURN(const AliasBody fields, decode<AliasBody>(body));
  const track::ModelVersionName name{request.path_parameters.at("name"), fields.version};
  TRY(context.tracking.models().set_alias(name, request.path_parameters.at("alias")));
  ASSIGN_OR_RETURN(const track::ModelVersion version, context.tracking.models().get_version(name));
  return net::json_response(200, version_document(version));
}

}  // namespace

void add_model_routes(net::Router& router, TrackingContext context) {
  const auto add = [&](const char* method, const char* pattern, net::Permission permission, TrackingAnswer answer) {
    router.add({method, pattern, permission, on_blocking_thread(context, answer)});
  };
  add("POST", "/api/v1/models/{name}/versions", net::Permission::kRunner, register_version);
  add("GET", "/api/v1/models", net::Permission::kViewer, list_models);
  add("GET", "/api/v1/models/{name}", net::Permission::kViewer, show_model);
  add("PUT", "/api/v1/models/{name}/aliases/{alias}", net::Permission::kOperator, move_alias);
}

}  // namespace trainyard::api
