#include "net/internal/response_head.h"

#include <fmt/format.h>
#include <strings.h>

#include <algorithm>
#include <ctime>

namespace trainyard::net::internal {
namespace {

bool same_name(std::string_view a, std::string_view b) { return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0; }

bool belongs_to_connection(std::string_view name) {
  return same_name(name, "Content-Length") || same_name(name, "Transfer-Encoding") || same_name(name, "Connection") ||
         same_name(name, "x-request-id") || same_name(name, "Date");
}

void append_clean(std::string& out, std::string_view text) {
  std::copy_if(text.begin(), text.end(), std::back_inserter(out),
               [](char c) { return (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) || c == '\t'; });
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  append_clean(out, name);
  out += ": ";
  append_clean(out, value);
  out += "\r\n";
}

void append_security(std::string& out, const Headers& given) {
  out += "X-Content-Type-Options: nosniff\r\n";
  if (!given.get("Cache-Control")) out += "Cache-Control: no-store\r\n";
  if (given.get("Content-Type").value_or("").substr(0, 9) != "text/html") return;
  if (!given.get("Referrer-Policy")) out += "Referrer-Policy: no-referrer\r\n";
  if (!given.get("X-Frame-Options")) out += "X-Frame-Options: DENY\r\n";
  if (!given.get("Content-Security-Policy")) {
    out += "Content-Security-Policy: default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'\r\n";
  }
}

void append_framing(std::string& out, const Response& response, const ResponseHeadOptions& options) {
  if (options.body == BodyKind::kChunked) {
    out += "Transfer-Encoding: chunked\r\n";
  } else if (options.body == BodyKind::kSized && response.status != 204 && response.status != 304) {
    const auto given = response.headers.get("Content-Length");
    // Only the answer to HEAD may state a length that its own body does not have.
    if (options.to_head_request && response.body.empty() && given) {
      append_field(out, "Content-Length", *given);
    } else {
      fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", response.body.size());
    }
  }
  if (options.close) {
    out += "Connection: close\r\n";
  } else if (options.keep_alive_10) {
    out += "Connection: keep-alive\r\n";
  }
}

}  // namespace

std::string response_head(const Response& response, const ResponseHeadOptions& options) {
  std::string out;
  out.reserve(512);
  fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\n", response.status, reason_phrase(response.status));
  for (const auto& [name, value] : response.headers.fields()) {
    if (!belongs_to_connection(name)) append_field(out, name, value);
  }
  append_framing(out, response, options);
  append_field(out, "x-request-id", options.request_id);
  append_field(out, "Date", options.date);
  if (options.secure) out += "Strict-Transport-Security: max-age=31536000\r\n";
  if ((response.status == 429 || response.status == 503) && !response.headers.get("Retry-After")) out += "Retry-After: 1\r\n";
  append_security(out, response.headers);
  out += "\r\n";
  return out;
}

bool has_body(const Response& response, bool to_head_request) {
  return !to_head_request && response.status != 204 && response.status != 304;
}

std::string http_date(std::int64_t seconds_since_1970) {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t seconds = seconds_since_1970;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", kDays[parts.tm_wday], parts.tm_mday, kMonths[parts.tm_mon],
                     parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

}  // namespace trainyard::net::internal
