#include "api/oip/routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "api/oip/codec.h"
#include "api/oip/descriptions.h"
#include "api/oip/internal/model_path.h"
#include "serve/signature.h"

namespace trainyard::api::oip {
namespace {

using net::Permission;
using net::Request;
using net::ResponderPtr;
using net::Response;

std::vector<serve::ServedVersionPtr> ready_versions(const serve::ModelHost& host) {
  std::vector<serve::ServedVersionPtr> ready;
  for (const serve::VersionStatus& status : host.statuses()) {
    if (auto served = host.find(status.model, status.version); served.ok()) ready.push_back(std::move(served).value());
  }
  return ready;
}

class OipHandlers {
 public:
  OipHandlers(serve::ModelHost& host, const Clock& clock, OipSettings settings)
      : host_(host), clock_(clock), settings_(std::move(settings)) {}

  /// Some clients read the member `live`, some `ready`: both answers carry both.
  Response health(bool need_ready) const {
    const bool ready = host_.ready();
    return net::json_response(ready || !need_ready ? 200 : 503, Document::object({{"live", true}, {"ready", ready}}));
  }
  Response server() const { return net::json_response(200, server_metadata(settings_.server_version)); }

  Response all_statistics() const {
    Document entries = Document::array();
    for (const serve::ServedVersionPtr& served : ready_versions(host_)) entries.push(model_statistics(*served));
    return net::json_response(200, Document::object({{"model_stats", std::move(entries)}}));
  }

  Response metrics() const { return net::text_response(200, prometheus_text(ready_versions(host_)), "text/plain; version=0.0.4"); }

  Response index(const Request& request) const {
    bool ready_only = false;
    if (!request.body.empty()) {
      const Result<Document> body = parse_json(request.body);
      if (!body.ok()) return error_response(body.error());
      const Result<bool> flag = body->bool_or("ready", false);
      if (!flag.ok()) return error_response(flag.error());
      ready_only = *flag;
    }
    return net::json_response(200, repository_index(host_.statuses(), ready_only));
  }

  Response describe(const Request& request) const {
    const Result<internal::ModelPath> path = internal::parse_model_path(request.path_parameters.at("rest"));
    if (!path.ok()) return error_response(path.error());
    const Result<serve::ServedVersionPtr> served = host_.find(path->model, path->version);
    if (path->verb == "ready" && (served.ok() || served.error().category == Category::kUnavailable)) {
      return net::json_response(served.ok() ? 200 : 503, Document::object({{"name", path->model}, {"ready", served.ok()}}));
    }
    if (!served.ok()) return error_response(served.error());
    if (path->verb.empty()) return net::json_response(200, model_metadata(**served, host_.statuses()));
    if (path->verb == "config") return net::json_response(200, model_config(**served));
    if (path->verb == "stats") {
      return net::json_response(200, Document::object({{"model_stats", Document::array({model_statistics(**served)})}}));
    }
    return error_response(not_found("http.no_route", fmt::format("Use POST for this path: {}", request.path)));
  }

  /// Answers when the model has run; refusals are answered at once.
  void infer(const Request& request, const ResponderPtr& responder) const {
    if (const Result<void> started = start_inference(request, responder); !started.ok())
      responder->respond(error_response(started.error()));
  }

 private:
  Result<void> start_inference(const Request& request, const ResponderPtr& responder) const {
    ASSIGN_OR_RETURN(const internal::ModelPath path, internal::parse_model_path(request.path_parameters.at("rest")));
    ASSIGN_OR_RETURN(const serve::ServedVersionPtr served, host_.find(path.model, path.version));
    if (path.verb != "infer") {
      return Error{Category::kUnimplemented, "oip.verb", fmt::format("Only infer is served for this model, not: {}", path.verb), {}, {}};
    }
    if (const auto encoding = request.headers.get("Content-Encoding"); encoding && *encoding != "identity") {
      return Error{Category::kUnimplemented, "oip.encoding", fmt::format("Compressed bodies are not taken: {}", *encoding), {}, {}};
    }
    const serve::Signature& signature = served->signature();
    ASSIGN_OR_RETURN(InferRequest infer, decode_infer_request(request.body, request.headers.get(kHeaderLengthName), signature));
    ASSIGN_OR_RETURN(std::vector<Tensor> inputs, serve::bind_inputs(signature, std::move(infer.inputs)));

    const Duration limit = std::min(infer.time_limit.value_or(settings_.time_limit), settings_.time_limit);
    AnswerHead head{served->model(), std::to_string(served->version()), std::move(infer.id)};
    // The signature lives as long as the version, and the version waits for every answer before it goes.
    served->batcher().submit(
        std::move(inputs), clock_.monotonic_now() + limit,
        [responder, &signature, head = std::move(head), wanted = std::move(infer.outputs)](Result<std::vector<Tensor>> outputs) {
          if (!outputs.ok()) return responder->respond(error_response(outputs.error()));
          Result<Response> response = encode_infer_response(head, signature, *outputs, wanted);
          responder->respond(response.ok() ? std::move(response).value() : error_response(response.error()));
        });
    return {};
  }

  serve::ModelHost& host_;
  const Clock& clock_;
  const OipSettings settings_;
};

using HandlersPtr = std::shared_ptr<const OipHandlers>;  // shared: every route holds the one set of handlers

/// A route whose handler answers at once.
net::Route immediate(std::string method, std::string pattern, Permission permission, std::function<Response(const Request&)> answer) {
  return {std::move(method), std::move(pattern), permission,
          [answer = std::move(answer)](const Request& request, const ResponderPtr& responder) { responder->respond(answer(request)); }};
}

/// The router's own words point to the platform API, which a model server does not have.
Response refusal(int status, const Error& error, std::string_view) {
  if (error.id != "http.no_route") return error_response(status, error);
  return error_response(status, not_found(error.id, "No such path on this model server; models are below /v2/models"));
}

/// Extensions that other servers have and clients may try.
constexpr std::pair<std::string_view, std::string_view> kNotServed[] = {
    {"POST", "/v2/repository/models/{rest*}"},
    {"GET", "/v2/systemsharedmemory/{rest*}"},
    {"POST", "/v2/systemsharedmemory/{rest*}"},
    {"GET", "/v2/cudasharedmemory/{rest*}"},
    {"POST", "/v2/cudasharedmemory/{rest*}"},
    {"GET", "/v2/logging"},
    {"POST", "/v2/logging"},
    {"GET", "/v2/trace/setting"},
    {"POST", "/v2/trace/setting"},
};

}  // namespace

void add_oip_routes(net::Router& router, serve::ModelHost& host, const Clock& clock, const OipSettings& settings) {
  router.set_refusal_form("/v2", refusal);
  const HandlersPtr handlers(new OipHandlers(host, clock, settings));
  router.add(immediate("GET", "/v2/health/live", Permission::kOpen, [handlers](const Request&) { return handlers->health(false); }));
  router.add(immediate("GET", "/v2/health/ready", Permission::kOpen, [handlers](const Request&) { return handlers->health(true); }));
  router.add(immediate("GET", "/v2", Permission::kViewer, [handlers](const Request&) { return handlers->server(); }));
  router.add(immediate("GET", "/v2/models/stats", Permission::kViewer, [handlers](const Request&) { return handlers->all_statistics(); }));
  router.add(immediate("GET", "/v2/models/{rest*}", Permission::kViewer, [handlers](const Request& r) { return handlers->describe(r); }));
  router.add(immediate("POST", "/v2/repository/index", Permission::kViewer, [handlers](const Request& r) { return handlers->index(r); }));
  router.add(immediate("GET", "/metrics", Permission::kViewer, [handlers](const Request&) { return handlers->metrics(); }));
  router.add({"POST", "/v2/models/{rest*}", Permission::kViewer,
              [handlers](const Request& request, const ResponderPtr& responder) { handlers->infer(request, responder); },
              settings.body_max});
  for (const auto& [method, pattern] : kNotServed) {
    router.add(immediate(std::string(method), std::string(pattern), Permission::kViewer, [](const Request& request) {
      return error_response({Category::kUnimplemented, "oip.extension", "This extension is not served: " + request.path, {}, {}});
    }));
  }
}

}  // namespace trainyard::api::oip
