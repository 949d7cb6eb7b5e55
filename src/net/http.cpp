#include "net/http.h"

#include <strings.h>

#include <algorithm>
#include <array>

namespace trainyard::net {
namespace {

bool same_name(std::string_view a, std::string_view b) { return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0; }

bool is_unreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_retryable(Category category) {
  return category == Category::kUnavailable || category == Category::kResourceExhausted || category == Category::kAborted ||
         category == Category::kDeadlineExceeded;
}

struct Reason {
  int status;
  std::string_view phrase;
};

constexpr std::array kReasons = {
    Reason{100, "Continue"},
    Reason{200, "OK"},
    Reason{201, "Created"},
    Reason{202, "Accepted"},
    Reason{204, "No Content"},
    Reason{206, "Partial Content"},
    Reason{301, "Moved Permanently"},
    Reason{302, "Found"},
    Reason{303, "See Other"},
    Reason{304, "Not Modified"},
    Reason{307, "Temporary Redirect"},
    Reason{308, "Permanent Redirect"},
    Reason{400, "Bad Request"},
    Reason{401, "Unauthorized"},
    Reason{403, "Forbidden"},
    Reason{404, "Not Found"},
    Reason{405, "Method Not Allowed"},
    Reason{406, "Not Acceptable"},
    Reason{408, "Request Timeout"},
    Reason{409, "Conflict"},
    Reason{410, "Gone"},
    Reason{411, "Length Required"},
    Reason{412, "Precondition Failed"},
    Reason{413, "Content Too Large"},
    Reason{414, "URI Too Long"},
    Reason{415, "Unsupported Media Type"},
    Reason{416, "Range Not Satisfiable"},
    Reason{417, "Expectation Failed"},
    Reason{421, "Misdirected Request"},
    Reason{422, "Unprocessable Content"},
    Reason{428, "Precondition Required"},
    Reason{429, "Too Many Requests"},
    Reason{431, "Request Header Fields Too Large"},
    Reason{499, "Client Closed Request"},
    Reason{500, "Internal Server Error"},
    Reason{501, "Not Implemented"},
    Reason{502, "Bad Gateway"},
    Reason{503, "Service Unavailable"},
    Reason{504, "Gateway Timeout"},
    Reason{505, "HTTP Version Not Supported"},
    Reason{507, "Insufficient Storage"},
};

void append_sse_field(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).push_back('\n');
}

/// An id or event name must stay on its line.
std::string without_line_breaks(std::string_view text) {
  std::string result(text);
  std::erase_if(result, [](char c) { return c == '\n' || c == '\r' || c == '\0'; });
  return result;
}

}  // namespace

void Headers::set(std::string_view name, std::string value) {
  std::erase_if(fields_, [name](const auto& field) { return same_name(field.first, name); });
  fields_.emplace_back(std::string(name), std::move(value));
}

std::optional<std::string_view> Headers::get(std::string_view name) const {
  for (const auto& [key, value] : fields_) {
    if (same_name(key, name)) return value;
  }
  return std::nullopt;
}

std::optional<std::string> Request::query_value(std::string_view key) const {
  const auto found = query.find(std::string(key));
  if (found == query.end()) return std::nullopt;
  return found->second;
}

Response json_response(int status, const Document& body) {
  Response response{status, {}, to_json(body)};
  response.headers.add("Content-Type", "application/json");
  return response;
}

Response text_response(int status, std::string body, std::string_view content_type) {
  Response response{status, {}, std::move(body)};
  response.headers.add("Content-Type", std::string(content_type));
  return response;
}

Response problem_response(const Error& error, std::string_view request_id) {
  return problem_response(http_status_of(error.category), error, request_id);
}

Response problem_response(int status, const Error& error, std::string_view request_id) {
  Document problem = Document::object();
  problem.set("type", error.id.empty() ? std::string("about:blank") : "urn:trainyard:error:" + error.id);
  problem.set("title", reason_phrase(status));
  problem.set("status", status);
  problem.set("detail", error.message);
  problem.set("code", error.id);
  problem.set("category", name_of(error.category));
  problem.set("retryable", is_retryable(error.category));
  if (!request_id.empty()) problem.set("request_id", request_id);
  if (!error.where.empty()) {
    Document fault = Document::object();
    fault.set("pointer", error.where);
    fault.set("detail", error.message);
    problem.set("errors", Document::array({std::move(fault)}));
  }
  if (!error.context.empty()) {
    Document context = Document::array();
    for (const std::string& line : error.context) context.push(line);
    problem.set("context", std::move(context));
  }
  Response response{status, {}, to_json(problem)};
  response.headers.add("Content-Type", "application/problem+json");
  if (status == 401) response.headers.add("WWW-Authenticate", "Bearer realm=\"trainyard\"");
  if (status == 429 || status == 503) response.headers.add("Retry-After", "1");
  return response;
}

std::string_view reason_phrase(int status) {
  const auto found = std::find_if(kReasons.begin(), kReasons.end(), [status](const Reason& reason) { return reason.status == status; });
  return found == kReasons.end() ? std::string_view() : found->phrase;
}

int http_status_of(Category category) {
  switch (category) {
    case Category::kInvalidArgument:
    case Category::kOutOfRange:
      return 400;
    case Category::kUnauthenticated:
      return 401;
    case Category::kPermissionDenied:
      return 403;
    case Category::kNotFound:
      return 404;
    case Category::kAlreadyExists:
    case Category::kFailedPrecondition:
    case Category::kAborted:
      return 409;
    case Category::kResourceExhausted:
      return 429;
    case Category::kCancelled:
      return 499;
    case Category::kUnimplemented:
      return 501;
    case Category::kUnavailable:
      return 503;
    case Category::kDeadlineExceeded:
      return 504;
    case Category::kUnknown:
    case Category::kInternal:
    case Category::kDataLoss:
      return 500;
  }
  return 500;
}

std::string sse_event(std::string_view id, std::string_view event, std::string_view data) {
  std::string out;
  out.reserve(id.size() + event.size() + data.size() + 32);
  if (!id.empty()) append_sse_field(out, "id", without_line_breaks(id));
  if (!event.empty()) append_sse_field(out, "event", without_line_breaks(event));
  while (true) {
    const std::size_t end = data.find_first_of("\r\n");
    append_sse_field(out, "data", data.substr(0, end));
    if (end == std::string_view::npos) break;
    const bool both = data[end] == '\r' && end + 1 < data.size() && data[end + 1] == '\n';
    data.remove_prefix(end + (both ? 2 : 1));
  }
  out.push_back('\n');
  return out;
}

Result<std::string> percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      return invalid_argument("http.encoding",
                              "A percent sign in a URL must be followed by two hexadecimal digits; write %25 for the sign itself.");
    }
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return out;
}

std::string percent_encode(std::string_view text) {
  static constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (is_unreserved(c)) {
      out.push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out.push_back('%');
      out.push_back(kDigits[byte >> 4]);
      out.push_back(kDigits[byte & 15]);
    }
  }
  return out;
}

}  // namespace trainyard::net
