#include "net/conditional.h"

#include <algorithm>

#include "base/checksum.h"
#include "base/file.h"

namespace trainyard::net {
namespace {

/// Whether a list of tags holds `etag`. `weak`: a weak tag of the client counts too, as If-None-Match compares.
bool lists(std::string_view tags, std::string_view etag, bool weak) {
  while (!tags.empty()) {
    std::string_view tag = tags.substr(0, tags.find(','));
    tags.remove_prefix(std::min(tags.size(), tag.size() + 1));
    while (!tag.empty() && (tag.front() == ' ' || tag.front() == '\t')) tag.remove_prefix(1);
    while (!tag.empty() && (tag.back() == ' ' || tag.back() == '\t')) tag.remove_suffix(1);
    if (weak && tag.starts_with("W/")) tag.remove_prefix(2);
    if (tag == "*" || tag == etag) return true;
  }
  return false;
}

}  // namespace

std::string etag_of_bytes(std::string_view bytes) { return "\"" + xxh3_hex(as_bytes(bytes)) + "\""; }
std::string etag_of_version(std::uint64_t version) { return "\"v" + std::to_string(version) + "\""; }

Response with_etag(const Request& request, Response response, const std::string& etag) {
  if (response.status != 200 || (request.method != "GET" && request.method != "HEAD")) return response;
  if (const auto known = request.headers.get("If-None-Match"); known && lists(*known, etag, true)) response = {304, {}, {}};
  response.headers.set("ETag", etag);
  response.headers.set("Cache-Control", "private, no-cache");
  return response;
}

Response with_etag(const Request& request, Response response) {
  const std::string etag = etag_of_bytes(response.body);
  return with_etag(request, std::move(response), etag);
}

std::optional<Response> refuse_stale(const Request& request, std::string_view current, bool must_say) {
  const auto meant = request.headers.get("If-Match");
  if (meant && lists(*meant, current, false)) return std::nullopt;
  if (meant) {
    return problem_response(
        412,
        {Category::kFailedPrecondition, "http.stale", "The resource has changed since it was read; read it again and decide anew", {}, {}},
        request.request_id);
  }
  if (!must_say) return std::nullopt;
  return problem_response(428,
                          {Category::kFailedPrecondition,
                           "http.if_match_missing",
                           "This change must say which version it is for; send the ETag of the resource as If-Match",
                           {},
                           {}},
                          request.request_id);
}

}  // namespace trainyard::net
