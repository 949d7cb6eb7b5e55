#include "api/platform/models.h"

#include <fmt/format.h>

#include "api/platform/paging.h"
#include "api/platform/tracking_views.h"
#include "base/describe.h"
#include "net/conditional.h"

namespace trainyard::api {
namespace {

constexpr std::int64_t kModelsMax = 1000;
constexpr std::int64_t kVersionsMax = 10'000;

struct VersionBody {
  static constexpr std::string_view kSchemaName = "NewModelVersion";
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
  static constexpr std::string_view kSchemaName = "NewModelAlias";
  std::int64_t version = 0;
  void describe(FieldVisitor& fields) {
    fields.field("version", version, {1, 1e15}, "The version the alias is to name.");
    fields.required();
  }
};

TimePoint time_of(std::int64_t milliseconds) { return time_from_micros(milliseconds * 1000); }

std::map<std::string, std::string> map_of(const std::vector<track::KeyValue>& tags) {
  std::map<std::string, std::string> out;
  for (const track::KeyValue& tag : tags) out[tag.key] = tag.value;
  return out;
}

ModelVersionView view_of(const track::ModelVersion& version) {
  ModelVersionView view{.model = version.model,
                        .version = version.version,
                        .created_at = time_of(version.created_ms),
                        .source = version.source,
                        .stage = version.stage,
                        .description = version.description,
                        .user = version.user,
                        .aliases = version.aliases,
                        .tags = map_of(version.tags),
                        .lineage = {}};
  if (!version.run.text.empty()) view.lineage.run = version.run.text;
  if (!version.dataset.empty()) view.lineage.dataset = version.dataset;
  return view;
}

ModelView view_of(const track::RegisteredModel& model) {
  ModelView view{.name = model.name,
                 .description = model.description,
                 .created_at = time_of(model.created_ms),
                 .updated_at = time_of(model.updated_ms),
                 .latest_version = 0,
                 .aliases = {},
                 .tags = map_of(model.tags),
                 .versions = {}};
  for (const track::ModelAlias& alias : model.aliases) view.aliases[alias.alias] = alias.version;
  for (const track::ModelVersion& version : model.latest_versions) view.latest_version = std::max(view.latest_version, version.version);
  return view;
}

Result<net::Response> register_version(track::GuardedTracking& tracking, const net::Request& request) {
  ASSIGN_OR_RETURN(const Document body, parse_json(request.body));
  ASSIGN_OR_RETURN(const VersionBody fields, decode<VersionBody>(body, {.numbers_as_text = false}));
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
  track::GuardedModels& models = tracking.models();
  ASSIGN_OR_RETURN(track::ModelVersion created, models.create_version(version));
  if (!fields.alias.empty()) {
    TRY(models.set_alias({created.model, created.version}, fields.alias));
    ASSIGN_OR_RETURN(created, models.get_version({created.model, created.version}));
  }
  net::Response response = net::json_response(201, encode(view_of(created)));
  response.headers.set("Location", "/api/v1/models/" + net::percent_encode(created.model));
  return response;
}

Result<net::Response> list_models(track::GuardedTracking& tracking, const net::Request& request) {
  track::RegistrySearch search;
  search.max_results = kModelsMax;
  ASSIGN_OR_RETURN(const track::ModelPage page, tracking.models().search_models(search));
  ModelList list;
  for (const track::RegisteredModel& model : page.models) list.models.push_back(view_of(model));
  TRY(take_page(request, "models", list.models, list.next_cursor));
  return net::json_response(200, encode(list));
}

Result<net::Response> show_model(track::GuardedTracking& tracking, const net::Request& request) {
  ASSIGN_OR_RETURN(const track::RegisteredModel model, tracking.models().get_model(request.path_parameters.at("name")));
  track::RegistrySearch search;
  search.filter = fmt::format("name = '{}'", model.name);
  search.order_by = {"version_number DESC"};
  search.max_results = kVersionsMax;
  ASSIGN_OR_RETURN(const track::ModelVersionPage page, tracking.models().search_versions(search));
  ModelView view = view_of(model);
  view.versions.emplace();
  for (const track::ModelVersion& version : page.versions) view.versions->push_back(view_of(version));
  return net::with_etag(request, net::json_response(200, encode(view)));
}

Result<net::Response> move_alias(track::GuardedTracking& tracking, const net::Request& request) {
  ASSIGN_OR_RETURN(const Document body, parse_json(request.body));
  ASSIGN_OR_RETURN(const AliasBody fields, decode<AliasBody>(body, {.numbers_as_text = false}));
  const track::ModelVersionName name{request.path_parameters.at("name"), fields.version};
  TRY(tracking.models().set_alias(name, request.path_parameters.at("alias")));
  ASSIGN_OR_RETURN(const track::ModelVersion version, tracking.models().get_version(name));
  return net::json_response(200, encode(view_of(version)));
}

net::ParameterDoc model_parameter() { return net::path_text("name", "Name of the model."); }

net::RouteDoc register_doc() {
  return {.operation = "registerModelVersion",
          .tag = "models",
          .summary = "Registers a version, and the model when it is new.",
          .parameters = {model_parameter()},
          .body = net::json_body<VersionBody>("The version."),
          .answers = {net::json_answer<ModelVersionView>(201, "The version.", {"Location"})},
          .problems = {409}};
}

net::RouteDoc list_doc() {
  return {.operation = "listModels",
          .tag = "models",
          .summary = "Lists the registered models.",
          .parameters = {limit_parameter(), cursor_parameter()},
          .answers = {net::json_answer<ModelList>(200, "A page of them, by name.")}};
}

net::RouteDoc show_doc() {
  return {.operation = "getModel",
          .tag = "models",
          .summary = "One model with all its versions.",
          .parameters = {model_parameter(), net::header_text("If-None-Match", "The ETag of what the client has.")},
          .answers = {net::json_answer<ModelView>(200, "The model.", {"ETag"}),
                      net::empty_answer(304, "The client has it already.", {"ETag"})}};
}

net::RouteDoc alias_doc() {
  return {.operation = "moveModelAlias",
          .tag = "models",
          .summary = "Lets an alias name a version.",
          .parameters = {model_parameter(), net::path_text("alias", "The alias.")},
          .body = net::json_body<AliasBody>("The version it is to name."),
          .answers = {net::json_answer<ModelVersionView>(200, "The version.")}};
}

}  // namespace

void add_model_routes(net::Router& router, TrackingContext context) {
  const auto add = [&](const char* method, const char* pattern, net::Permission permission, TrackingAnswer answer, net::RouteDoc doc) {
    router.add({method, pattern, permission, on_blocking_thread(context, answer), std::size_t{1} << 20, std::move(doc)});
  };
  add("POST", "/api/v1/models/{name}/versions", net::Permission::kRunner, register_version, register_doc());
  add("GET", "/api/v1/models", net::Permission::kViewer, list_models, list_doc());
  add("GET", "/api/v1/models/{name}", net::Permission::kViewer, show_model, show_doc());
  add("PUT", "/api/v1/models/{name}/aliases/{alias}", net::Permission::kOperator, move_alias, alias_doc());
}

}  // namespace trainyard::api
