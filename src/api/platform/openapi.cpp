#include "api/platform/openapi.h"

#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <utility>

#include "net/conditional.h"

namespace trainyard::api {
namespace {

/// The text of the document, made once.
struct OpenApiText {
  std::once_flag made;
  std::string text;
};

/// A copy of `node` in which what stands at `path` also takes `alternatives`; the same when nothing stands there.
Document widened(const Document& node, std::span<const std::string_view> path, const Document& alternatives) {
  if (path.empty()) {
    Document list = Document::array({node});
    for (const Document& other : alternatives.items()) list.push(other);
    return Document::object({{"anyOf", std::move(list)}});
  }
  const Document* const inner = node.find(path.front());
  Document out = node;
  if (inner != nullptr) out.set(path.front(), widened(*inner, path.subspan(1), alternatives));
  return out;
}

Document text_like(std::string_view pattern) { return Document::object({{"type", "string"}, {"pattern", pattern}}); }

/// The short forms that job_spec_from takes besides what the structs describe.
Document with_short_forms(Document api) {
  constexpr std::string_view kDependency[] = {"components", "schemas", "JobSpecInput", "properties", "after", "items"};
  constexpr std::string_view kArray[] = {"components", "schemas", "JobSpecInput", "properties", "array"};
  constexpr std::string_view kAwaited[] = {"components", "schemas", "JobDependencyInput", "properties", "job"};
  const Document id = Document::object({{"type", "integer"}, {"minimum", 1}});
  api = widened(api, kDependency, Document::array({id, text_like("^[0-9]+(:(ok|any|failed))?$")}));
  api = widened(api, kArray, Document::array({text_like("^0+(-[0-9]+)?(%[0-9]+)?$")}));
  return widened(api, kAwaited, Document::array({text_like("^[0-9]+$")}));
}

}  // namespace

Document platform_openapi(const net::Router& router) {
  const net::ApiInfo info{.title = "Trainyard",
                          .version = "1.0.0",
                          .description =
                              "The platform API. Every refusal is problem details (RFC 9457); every answer names its request in "
                              "x-request-id. Answers may get more members: clients ignore those they do not know."};
  return with_short_forms(net::openapi_document(router, info));
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
