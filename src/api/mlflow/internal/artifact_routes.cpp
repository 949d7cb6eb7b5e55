#include "api/mlflow/internal/artifact_routes.h"

#include <fmt/format.h>

#include <charconv>

#include "api/mlflow/internal/errors.h"
#include "api/mlflow/internal/messages.h"
#include "api/mlflow/internal/run_caller.h"
#include "base/file.h"
#include "track/guarded_tracking.h"

namespace trainyard::api::mlflow::internal {
namespace {

using net::Permission;
using net::Request;
using net::Response;

constexpr std::string_view kPrefix = "/api/2.0/mlflow-artifacts/";

using ArtifactHandler = Result<Response> (*)(track::GuardedArtifacts& artifacts, const Request& request);

Result<std::string> path_of(const Request& request) { return track::check_artifact_path(request.path_parameters.at("rest")); }

std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

Result<Response> put(track::GuardedArtifacts& artifacts, const Request& request) {
  ASSIGN_OR_RETURN(const std::string path, path_of(request));
  TRY(artifacts.put(path, as_bytes(request.body)));
  return net::json_response(200, Document::object());
}

/// The first and last byte of "bytes=A-B", "bytes=A-" or "bytes=-N", clipped to the size. None when the header is absent or of another
/// form; an empty range (first > last) when it lies behind the end.
struct ByteRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};

std::optional<std::uint64_t> number_in(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  return code == std::errc() && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

std::optional<ByteRange> range_of(const Request& request, std::uint64_t size) {
  constexpr std::string_view kUnit = "bytes=";
  const std::optional<std::string_view> header = request.headers.get("Range");
  if (!header || !header->starts_with(kUnit)) return std::nullopt;
  const std::string_view text = header->substr(kUnit.size());
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const std::optional<std::uint64_t> first = number_in(text.substr(0, dash));
  const std::optional<std::uint64_t> last = number_in(text.substr(dash + 1));
  if (first) return ByteRange{*first, std::min(last.value_or(size), size == 0 ? 0 : size - 1)};
  if (dash == 0 && last) return ByteRange{size - std::min(*last, size), size == 0 ? 0 : size - 1};
  return std::nullopt;
}

Result<Response> get(track::GuardedArtifacts& artifacts, const Request& request) {
  ASSIGN_OR_RETURN(const std::string path, path_of(request));
  ASSIGN_OR_RETURN(const store::ObjectInfo object, artifacts.find(path));
  Response response;
  response.headers.add("Content-Type", "application/octet-stream");
  response.headers.add("Content-Disposition", fmt::format("attachment; filename*=UTF-8''{}", net::percent_encode(base_name(path))));
  response.headers.add("X-Content-Type-Options", "nosniff");
  response.headers.add("Accept-Ranges", "bytes");
  response.headers.add("ETag", fmt::format("\"{}\"", object.checksum));
  const std::optional<ByteRange> range = range_of(request, object.size);
  if (!range) {
    ASSIGN_OR_RETURN(response.body, artifacts.read(object, 0, object.size));
    return response;
  }
  if (range->first > range->last || range->first >= object.size) {
    response.status = 416;
    response.headers.add("Content-Range", fmt::format("bytes */{}", object.size));
    return response;
  }
  response.status = 206;
  response.headers.add("Content-Range", fmt::format("bytes {}-{}/{}", range->first, range->last, object.size));
  ASSIGN_OR_RETURN(response.body, artifacts.read(object, range->first, range->last - range->first + 1));
  return response;
}

Result<Response> list(track::GuardedArtifacts& artifacts, const Request& request) {
  ASSIGN_OR_RETURN(const std::string path, track::check_artifact_path(request.query_value("path").value_or("")));
  ASSIGN_OR_RETURN(const std::vector<track::ArtifactEntry> entries, artifacts.list(path));
  Document files = Document::array();
  for (const track::ArtifactEntry& entry : entries) files.push(file_message(entry, base_name(entry.path)));
  Document answer = Document::object();
  set_list("files", std::move(files), answer);
  return net::json_response(200, answer);
}

Result<Response> remove(track::GuardedArtifacts& artifacts, const Request& request) {
  ASSIGN_OR_RETURN(const std::string path, path_of(request));
  TRY(artifacts.remove(path));
  return net::json_response(200, Document::object());
}

/// Clients fall back to one PUT when they read this text.
Result<Response> no_multipart(track::GuardedArtifacts&, const Request&) {
  return Error{
      Category::kUnimplemented, "mlflow.multipart", "Multipart upload is not supported for the current artifact repository", {}, {}};
}

Result<Response> no_presigned(track::GuardedArtifacts&, const Request&) {
  return Error{
      Category::kUnimplemented, "mlflow.presigned", "Presigned download is not supported for the current artifact repository", {}, {}};
}

Result<Response> answer_of(const MlflowContext& context, ArtifactHandler handler, const Request& request) {
  track::GuardedTracking tracking(context.tracking, run_caller(request.principal));
  return handler(tracking.artifacts(), request);
}

Response final_of(Result<Response> response) { return response.ok() ? std::move(response).value() : error_response(response.error()); }

}  // namespace

void add_artifact_routes(net::Router& router, const MlflowContext& context) {
  const auto add = [&](const char* method, std::string_view path, Permission permission, ArtifactHandler handler, std::size_t body_max) {
    net::Handler answer = [context, handler](Request request, net::ResponderPtr responder) {
      context.bulk.post([context, handler, request = std::move(request), responder = std::move(responder)] {
        Result<Response> response = answer_of(context, handler, request);
        const bool early = !response.ok() && came_too_early(response.error(), request.principal);
        if (!early) return responder->respond(final_of(std::move(response)));
        context.run_writer.post([context, handler, request, responder] {
          context.bulk.post([context, handler, request, responder] { responder->respond(final_of(answer_of(context, handler, request))); });
        });
      });
    };
    router.add({method, fmt::format("{}{}", kPrefix, path), permission, std::move(answer), body_max, net::RouteDoc{.foreign = true}});
  };
  const std::size_t small = context.settings.json_body_max;
  add("PUT", "artifacts/{rest*}", Permission::kRunner, put, context.settings.artifact_body_max);
  add("GET", "artifacts/{rest*}", Permission::kViewer, get, small);
  add("DELETE", "artifacts/{rest*}", Permission::kRunner, remove, small);
  add("GET", "artifacts", Permission::kViewer, list, small);
  add("POST", "mpu/create/{rest*}", Permission::kRunner, no_multipart, small);
  add("POST", "mpu/complete/{rest*}", Permission::kRunner, no_multipart, small);
  add("POST", "mpu/abort/{rest*}", Permission::kRunner, no_multipart, small);
  add("GET", "presigned/{rest*}", Permission::kViewer, no_presigned, small);
}

}  // namespace trainyard::api::mlflow::internal
