#include "api/platform/datasets.h"

#include <fmt/format.h>

#include "access/token_authorizer.h"
#include "api/platform/dataset_views.h"
#include "api/platform/paging.h"

namespace trainyard::api {
namespace {

Document key_document(const DatasetVersionKey& key) {
  return Document::object({{"name", key.name}, {"layer", name_of(key.layer)}, {"version", key.version}, {"ref", key.text()}});
}

Document edge_document(const data::LineageEdge& edge, const DatasetVersionKey& other) {
  Document document = key_document(other);
  if (edge.job.valid()) {
    document.set("job_id", edge.job.text());
    document.set("attempt", static_cast<std::int64_t>(edge.attempt.value));
  }
  return document;
}

Document lineage_document(const data::Lineage& lineage) {
  Document parents = Document::array();
  Document children = Document::array();
  Document ancestors = Document::array();
  for (const data::LineageEdge& edge : lineage.parents) parents.push(edge_document(edge, edge.parent));
  for (const data::LineageEdge& edge : lineage.children) children.push(edge_document(edge, edge.child));
  for (const DatasetVersionKey& key : lineage.ancestors) ancestors.push(key_document(key));
  return Document::object({{"parents", std::move(parents)}, {"children", std::move(children)}, {"ancestors", std::move(ancestors)}});
}

Document summary_document(const data::DatasetSummary& summary) {
  Document layers = Document::array();
  for (const data::LayerSummary& layer : summary.layers) {
    Document item = key_document({summary.name, layer.layer, layer.latest});
    item.set("rows", layer.rows);
    item.set("content_hash", layer.content_hash);
    item.set("created_at", to_rfc3339(layer.created_at));
    layers.push(std::move(item));
  }
  return Document::object({{"name", summary.name}, {"created_at", to_rfc3339(summary.created_at)}, {"layers", std::move(layers)}});
}

/// A version for lists: everything but its files.
Document short_document(const data::DatasetVersion& version) {
  Document document = Document::object();
  const Document whole = data::to_document(version);
  for (const auto& [key, value] : whole.members()) {
    if (key != "files") document.set(key, value);
  }
  return document;
}

/// A job's token is good for one attempt, and that attempt is the fence of what it publishes.
Result<void> check_fence(const net::Principal& principal, const data::VersionDraft& draft) {
  const std::optional<AttemptKey> attempt = access::attempt_of(principal);
  if (!attempt && net::may_everywhere(principal, net::Permission::kOperator)) return {};
  if (attempt && attempt->job == draft.job && attempt->attempt == draft.attempt) return {};
  return Error{Category::kPermissionDenied,
               "catalog.fence",
               fmt::format("a job publishes in the name of its own attempt only: {} sent job {} attempt {}", principal.name,
                           draft.job.text(), draft.attempt.text()),
               "/job_id",
               {}};
}

/// Bytes first, version last: what a version names must be there.
Result<void> check_files(store::ObjectStore& objects, const data::VersionDraft& draft) {
  for (std::size_t i = 0; i < draft.files.size(); ++i) {
    const data::DatasetFile& file = draft.files[i];
    const std::string where = fmt::format("/files/{}", i);
    ASSIGN_OR_RETURN(const store::ObjectName name, store::parse_object_uri(file.uri));
    const Result<store::ObjectInfo> info = objects.stat(name);
    if (!info.ok() && info.error().category != Category::kNotFound) return info.error();
    if (info.ok() && info->checksum == file.checksum && info->size == static_cast<std::uint64_t>(file.size)) continue;
    Error error =
        failed_precondition("catalog.file_missing",
                            fmt::format("a version names a file that the object store does not hold; store the bytes before publishing: "
                                        "{} with {} bytes and {}{}",
                                        file.uri, file.size, file.checksum,
                                        info.ok() ? fmt::format(", there are {} bytes with {}", info->size, info->checksum) : ""));
    error.where = where;
    return error;
  }
  return {};
}

Result<net::Response> publish(const DatasetContext& context, const net::Request& request) {
  ASSIGN_OR_RETURN(const Document body, parse_json(request.body));
  ASSIGN_OR_RETURN(const data::VersionDraft draft, data::version_draft_from(body, request.path_parameters.at("name")));
  TRY(check_fence(request.principal, draft));
  TRY(check_files(context.objects, draft));
  ASSIGN_OR_RETURN(const data::CatalogRepository::Published published, context.catalog.publish(draft));
  const DatasetVersionKey key = published.version.key();
  net::Response response = net::json_response(published.created ? 201 : 200, key_document(key));
  response.headers.set("Location", fmt::format("/api/v1/datasets/{}/versions/{}?layer={}", key.name, key.version, name_of(key.layer)));
  return response;
}

Result<net::Response> list(const DatasetContext& context, const net::Request& request) {
  ASSIGN_OR_RETURN(std::vector<data::DatasetSummary> summaries, context.catalog.list());
  std::optional<std::string> next;
  TRY(take_page(request, "datasets", summaries, next));
  Document items = Document::array();
  for (const data::DatasetSummary& summary : summaries) items.push(summary_document(summary));
  Document page = Document::object({{"datasets", std::move(items)}});
  if (next) page.set("next_cursor", *next);
  return net::json_response(200, page);
}

Result<net::Response> show_dataset(const DatasetContext& context, const net::Request& request) {
  const std::string& name = request.path_parameters.at("name");
  ASSIGN_OR_RETURN(const std::vector<data::DatasetVersion> versions, context.catalog.versions(name));
  Document items = Document::array();
  for (const data::DatasetVersion& version : versions) items.push(short_document(version));
  return net::json_response(200, Document::object({{"name", name}, {"versions", std::move(items)}}));
}

Result<net::Response> show_version(const DatasetContext& context, const net::Request& request) {
  const std::string layer = request.query_value("layer").value_or("curated");
  ASSIGN_OR_RETURN(const DatasetRef ref, parse_dataset_ref(fmt::format("{}@{}/{}", request.path_parameters.at("name"),
                                                                       request.path_parameters.at("version"), layer)));
  ASSIGN_OR_RETURN(const data::DatasetVersion version, context.catalog.get(ref));
  ASSIGN_OR_RETURN(const data::Lineage lineage, context.catalog.lineage(version.key()));
  Document document = data::to_document(version);
  document.set("lineage", lineage_document(lineage));
  return net::json_response(200, document);
}

using Answer = Result<net::Response> (*)(const DatasetContext& context, const net::Request& request);

/// Answers on the blocking thread: network threads never wait for a disk.
net::Handler on_blocking_thread(DatasetContext context, Answer answer) {
  return [context, answer](net::Request request, net::ResponderPtr responder) {
    context.blocking.post([context, answer, request = std::move(request), responder = std::move(responder)] {
      const Result<net::Response> response = answer(context, request);
      responder->respond(response.ok() ? *response : net::problem_response(response.error(), request.request_id));
    });
  };
}

net::ParameterDoc dataset_parameter() { return net::path_text("name", "Name of the dataset."); }

net::RouteDoc publish_doc() {
  return {.operation = "publishDatasetVersion",
          .tag = "datasets",
          .summary = "Publishes the next version of a layer; a job does so in the name of its own attempt only.",
          .parameters = {dataset_parameter()},
          .body = net::json_body<data::VersionDraft>("The version, with its files and parents."),
          .answers = {net::json_answer<DatasetKey>(200, "The version that this key published before.", {"Location"}),
                      net::json_answer<DatasetKey>(201, "The new version.", {"Location"})},
          .problems = {409}};
}

net::RouteDoc list_doc() {
  return {.operation = "listDatasets",
          .tag = "datasets",
          .summary = "Lists datasets with the newest version of each layer.",
          .parameters = {limit_parameter(), cursor_parameter()},
          .answers = {net::json_answer<DatasetList>(200, "A page of them, by name.")}};
}

net::RouteDoc dataset_doc() {
  return {.operation = "getDataset",
          .tag = "datasets",
          .summary = "All versions of a dataset, without their files.",
          .parameters = {dataset_parameter()},
          .answers = {net::json_answer<DatasetVersions>(200, "The versions.")}};
}

net::RouteDoc version_doc() {
  net::ParameterDoc layer = net::query_choice("layer", {"raw", "processed", "curated"}, "Which layer.");
  layer.fallback = Document("curated");
  return {.operation = "getDatasetVersion",
          .tag = "datasets",
          .summary = "One version with its files and lineage.",
          .parameters = {dataset_parameter(), net::path_text("version", "Number of the version, or latest."), std::move(layer)},
          .answers = {net::json_answer<DatasetVersionView>(200, "The version.")}};
}

}  // namespace

void add_dataset_routes(net::Router& router, DatasetContext context) {
  const auto add = [&](const char* method, const char* pattern, net::Permission permission, Answer answer, net::RouteDoc doc) {
    router.add({method, pattern, permission, on_blocking_thread(context, answer), std::size_t{1} << 20, std::move(doc)});
  };
  add("POST", "/api/v1/datasets/{name}/versions", net::Permission::kRunner, publish, publish_doc());
  add("GET", "/api/v1/datasets", net::Permission::kViewer, list, list_doc());
  add("GET", "/api/v1/datasets/{name}", net::Permission::kViewer, show_dataset, dataset_doc());
  add("GET", "/api/v1/datasets/{name}/versions/{version}", net::Permission::kViewer, show_version, version_doc());
}

}  // namespace trainyard::api
