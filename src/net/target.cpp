#include "net/target.h"

#include <algorithm>

#include "net/http.h"

namespace trainyard::net {
namespace {

bool has_control_character(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

bool has_dot_segment(std::string_view path) {
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string_view segment = path.substr(0, path.find('/'));
    if (segment == "." || segment == "..") return true;
    path.remove_prefix(segment.size());
  }
  return false;
}

Result<std::string> decode_query_part(std::string_view part) {
  std::string spaced(part);
  std::replace(spaced.begin(), spaced.end(), '+', ' ');
  return percent_decode(spaced);
}

Result<void> parse_query(std::string_view query, std::multimap<std::string, std::string>& out) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    ASSIGN_OR_RETURN(std::string key, decode_query_part(pair.substr(0, equals)));
    ASSIGN_OR_RETURN(std::string value, decode_query_part(equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1)));
    out.emplace(std::move(key), std::move(value));
  }
  return {};
}

}  // namespace

Result<Target> parse_target(std::string_view target) {
  target = target.substr(0, target.find('#'));
  const std::size_t question = target.find('?');
  Target result;
  ASSIGN_OR_RETURN(result.path, percent_decode(target.substr(0, question)));
  if (result.path.empty() || result.path.front() != '/') {
    return invalid_argument("http.path", "The request target must be a path that starts with '/'.");
  }
  if (has_control_character(result.path) || has_dot_segment(result.path)) {
    return invalid_argument("http.path", "The request path must not contain control characters or the segments '.' and '..'.");
  }
  if (question != std::string_view::npos) TRY(parse_query(target.substr(question + 1), result.query));
  return result;
}

}  // namespace trainyard::net
