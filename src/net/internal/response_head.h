#pragma once
#include <cstdint>
#include <string>

#include "net/http.h"

namespace trainyard::net::internal {

/// How the body that follows a head is delimited.
enum class BodyKind { kSized, kChunked, kUntilClose };

struct ResponseHeadOptions {
  BodyKind body = BodyKind::kSized;
  bool close = false;          ///< Says "Connection: close".
  bool keep_alive_10 = false;  ///< An HTTP/1.0 client asked to keep the connection, so it has to be told.
  bool to_head_request = false;
  bool secure = false;  ///< Sent through TLS: browsers are told to come that way only.
  std::string_view request_id = {};
  std::string_view date = {};  ///< IMF-fixdate.
};

/// The status line and fields of an answer, ready to send: the handler's fields without those that belong to the connection, then framing,
/// x-request-id, Date and the security headers. Line breaks in values are dropped, so a value cannot add a field.
std::string response_head(const Response& response, const ResponseHeadOptions& options);

/// Whether a body follows the head at all.
bool has_body(const Response& response, bool to_head_request);

/// "Sun, 06 Nov 1994 08:49:37 GMT"
std::string http_date(std::int64_t seconds_since_1970);

}  // namespace trainyard::net::internal
