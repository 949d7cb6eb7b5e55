#include "api/platform/openapi.h"

#include <memory>
#include <mutex>

#include "net/conditional.h"

namespace trainyard::api {
namespace {

/// The text of the document, made once.
struct OpenApiText {
  std::once_flag made;
  std::string text;
};

}  // namespace

Document platform_openapi(const net::Router& router) {
  return net::openapi_document(router, {.title = "Trainyard",
                                        .version = "1.0.0",
                                        .description = "The platform API. Every refusal is problem details (RFC 9457); every answer names "
                                                       "its request in x-request-id. Answers may get more members: clients ignore those "
                                                       "they do not know."});
}

void add_openapi_route(net::Router& router) {
  const auto cached = std::make_shared<OpenApiText>();  // shared: handlers are copied with their routes
  router.add({"GET", "/openapi.json", net::Permission::kViewer,
              [&router, cached](const net::Request& request, const net::ResponderPtr& responder) {
                std::call_once(cached->made, [&] { cached->text = to_json(platform_openapi(router)); });
                responder->respond(net::with_etag(request, net::text_response(200, cached->text, "application/json")));
              },
              std::size_t{1} << 16,
              net::RouteDoc{.operation = "getOpenApi",
                            .tag = "server",
                            .summary = "This document.",
                            .parameters = {net::header_text("If-None-Match", "The ETag of what the client has.")},
                            .answers = {{200, "The document.", &net::write_any_object, "application/json", {"ETag"}},
                                        net::empty_answer(304, "The client has it already.", {"ETag"})}}});
}

}  // namespace trainyard::api
