#include "api/mlflow/routes.h"

#include <fmt/format.h>

#include "api/mlflow/internal/artifact_routes.h"
#include "api/mlflow/internal/calls.h"
#include "api/mlflow/internal/errors.h"
#include "api/mlflow/internal/run_caller.h"

namespace trainyard::api::mlflow {
namespace {

using internal::Call;
using internal::CallRoute;
using internal::Fields;
using net::Permission;
using net::Request;
using net::ResponderPtr;

/// Clients compare it with the release that brought trace upload; below that they do not try to upload traces.
constexpr std::string_view kVersion = "3.3.0";

Result<Document> answer(const MlflowContext& context, internal::CallHandler handler, const Request& request) {
  ASSIGN_OR_RETURN(const Document arguments, internal::arguments_of(request));
  const Fields fields(arguments);
  track::GuardedTracking tracking(context.tracking, internal::run_caller(request.principal));
  return handler(Call{fields, request.principal, tracking, context.clock});
}

net::Response response_of(const Result<Document>& message) {
  return message.ok() ? net::json_response(200, *message) : internal::error_response(message.error());
}

net::Handler on_blocking_thread(const MlflowContext& context, internal::CallHandler handler) {
  return [context, handler](Request request, ResponderPtr responder) {
    context.blocking.post([context, handler, request = std::move(request), responder = std::move(responder)] {
      const Result<Document> message = answer(context, handler, request);
      const bool early = !message.ok() && internal::came_too_early(message.error(), request.principal);
      if (!early) return responder->respond(response_of(message));
      context.run_writer.post(
          [context, handler, request, responder] { responder->respond(response_of(answer(context, handler, request))); });
    });
  };
}

Document server_info() {
  return Document::object({{"store_type", "SqlStore"},
                           {"workspaces_enabled", false},
                           {"trace_archival_enabled", false},
                           {"multipart_uploads_enabled", false},
                           {"multipart_downloads_enabled", false},
                           {"presigned_upload_run_id_supported", false},
                           {"presigned_upload_model_id_supported", false},
                           {"features_enabled", Document::object()}});
}

void add_constant(net::Router& router, const char* pattern, const net::Response& response) {
  router.add({"GET", pattern, Permission::kViewer,
              [response](const Request&, const ResponderPtr& responder) { responder->respond(response); }, std::size_t{1} << 20,
              net::RouteDoc{.foreign = true}});
}

void write_refusals(net::Router& router) {
  for (const char* prefix : {"/api/2.0/mlflow", "/api/3.0/mlflow", "/ajax-api", "/api/2.0/mlflow-artifacts"}) {
    router.set_refusal_form(prefix, internal::refusal);
  }
}

template <typename Calls>
void add_calls(net::Router& router, const MlflowContext& context, const Calls& calls) {
  for (const CallRoute& call : calls) {
    for (const char* prefix : {"/api", "/ajax-api"}) {
      router.add({std::string(call.method), fmt::format("{}/2.0/mlflow/{}", prefix, call.path), call.permission,
                  on_blocking_thread(context, call.handler), context.settings.json_body_max, net::RouteDoc{.foreign = true}});
    }
  }
}

}  // namespace

void add_mlflow_tracking_routes(net::Router& router, const MlflowContext& context) {
  write_refusals(router);
  add_calls(router, context, internal::experiment_calls());
  add_calls(router, context, internal::run_calls());
  internal::add_artifact_routes(router, context);
  add_constant(router, "/api/3.0/mlflow/server-info", net::json_response(200, server_info()));
  add_constant(router, "/health", net::text_response(200, "OK"));
  add_constant(router, "/version", net::text_response(200, std::string(kVersion)));
}

void add_mlflow_registry_routes(net::Router& router, const MlflowContext& context) {
  write_refusals(router);
  add_calls(router, context, internal::registry_calls());
}

}  // namespace trainyard::api::mlflow
