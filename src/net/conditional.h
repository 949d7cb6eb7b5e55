#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "net/http.h"

namespace trainyard::net {

/// A strong validator (RFC 9110 section 8.8.3): equal bytes or versions have equal tags.
std::string etag_of_bytes(std::string_view bytes);
std::string etag_of_version(std::uint64_t version);

/// Adds the tag to a good answer to GET or HEAD and lets caches keep it as long as they ask again; 304 without a body when the client has
/// it already.
Response with_etag(const Request& request, Response response, const std::string& etag);
/// The same with the tag of the body.
Response with_etag(const Request& request, Response response);

/// Whether the resource is still the one that the client means to change: none when `If-Match` names `current` or is "*". Else the answer:
/// 412 "http.stale", or 428 "http.if_match_missing" when there is no such field and `must_say`.
std::optional<Response> refuse_stale(const Request& request, std::string_view current, bool must_say = false);

}  // namespace trainyard::net
