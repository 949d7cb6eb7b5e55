#include "net/internal/message_head.h"

#include <strings.h>

#include <algorithm>

namespace trainyard::net::internal {
namespace {

bool same_text(std::string_view a, std::string_view b) { return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0; }

bool lists_token(const Headers& headers, std::string_view name, std::string_view token) {
  for (const auto& [key, value] : headers.fields()) {
    if (!same_text(key, name)) continue;
    std::string_view rest = value;
    while (!rest.empty()) {
      std::string_view item = rest.substr(0, rest.find(','));
      rest.remove_prefix(std::min(rest.size(), item.size() + 1));
      while (!item.empty() && (item.front() == ' ' || item.front() == '\t')) item.remove_prefix(1);
      while (!item.empty() && (item.back() == ' ' || item.back() == '\t')) item.remove_suffix(1);
      if (same_text(item, token)) return true;
    }
  }
  return false;
}

FramingResult refused(int status, std::string id, std::string message) {
  const Category category = status == 501 ? Category::kUnimplemented : Category::kInvalidArgument;
  return {Refusal{status, {category, std::move(id), std::move(message), {}, {}}}, {}};
}

}  // namespace

FramingResult framing_of(const MessageHead& head) {
  std::size_t lengths = 0;
  std::size_t encodings = 0;
  std::string_view length;
  std::string_view encoding;
  for (const auto& [name, value] : head.headers.fields()) {
    if (same_text(name, "Content-Length")) {
      ++lengths;
      length = value;
    } else if (same_text(name, "Transfer-Encoding")) {
      ++encodings;
      encoding = value;
    }
  }
  if (encodings > 0) {
    if (lengths > 0) return refused(400, "http.framing", "A message must not carry both Content-Length and Transfer-Encoding.");
    if (!head.http11) return refused(400, "http.framing", "HTTP/1.0 has no Transfer-Encoding.");
    if (encodings > 1 || !same_text(encoding, "chunked")) {
      return refused(501, "http.encoding_unsupported", "The only Transfer-Encoding taken here is \"chunked\", once.");
    }
    return {std::nullopt, {.chunked = true}};
  }
  if (lengths == 0) return {};
  const bool digits =
      !length.empty() && length.size() <= 18 && std::all_of(length.begin(), length.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (lengths > 1 || !digits) return refused(400, "http.framing", "Content-Length must be there once, as a plain number.");
  return {std::nullopt, {.length = std::stoull(std::string(length)), .length_is_given = true}};
}

bool keeps_alive(const MessageHead& head) {
  if (lists_token(head.headers, "Connection", "close")) return false;
  return head.http11 || lists_token(head.headers, "Connection", "keep-alive");
}

}  // namespace trainyard::net::internal
