#include "track/validation.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/document.h"

namespace trainyard::track {
namespace {

bool is_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }

bool in_key_alphabet(char c) {
  // Letters outside ASCII count as letters.
  return is_word(c) || static_cast<unsigned char>(c) >= 0x80 || std::string_view("/-. :").find(c) != std::string_view::npos;
}

Error invalid_value(std::string_view value, std::string_view parameter, std::string_view why) {
  return invalid_argument("track.name",
                          fmt::format("Invalid value {} for parameter '{}' supplied: {}", to_json(Document(value)), parameter, why));
}

}  // namespace

Error missing_parameter(std::string_view parameter) {
  return invalid_argument("track.missing",
                          fmt::format("Missing value for required parameter '{}'. See the API docs for more information about "
                                      "request parameters.",
                                      parameter));
}

Result<void> check_length(std::string_view value, std::size_t max, std::string_view what) {
  if (value.size() <= max) return {};
  return invalid_argument("track.length", fmt::format("'{}' exceeds the maximum length of {} characters", what, max));
}

Result<void> check_key(std::string_view key, std::string_view parameter, std::string_view what) {
  if (key.empty()) return missing_parameter(parameter);
  TRY(check_length(key, kKeyMax, what));
  if (!std::all_of(key.begin(), key.end(), in_key_alphabet)) {
    return invalid_value(key, parameter,
                         "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and "
                         "slashes (/).");
  }
  const std::string normal = normal_path(key);
  if (normal != key || normal == "." || normal.starts_with("..") || normal.starts_with("/")) {
    return invalid_value(key, parameter,
                         fmt::format("Names may be treated as files in certain cases, and must not resolve to other names when treated as "
                                     "such. This name would resolve to '{}'",
                                     normal));
  }
  return {};
}

Result<void> check_run_id(std::string_view id) {
  const bool good = !id.empty() && id.size() <= 256 && id.front() != '_' &&
                    std::all_of(id.begin(), id.end(), [](char c) { return is_word(c) || c == '-'; }) && id.front() != '-';
  if (good) return {};
  return invalid_argument("track.run_id", fmt::format("Invalid run ID: '{}'", id.substr(0, kKeyMax)));
}

Result<void> check_namespace(std::string_view name) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  const bool good = !name.empty() && name.size() <= 63 && plain(name.front()) && plain(name.back()) &&
                    std::all_of(name.begin(), name.end(), [&plain](char c) { return plain(c) || c == '-'; });
  if (good) return {};
  return invalid_argument("track.namespace", fmt::format("A namespace has at most 63 lower-case letters, digits and '-', and begins and "
                                                         "ends with a letter or digit, not '{}'",
                                                         name.substr(0, kKeyMax)));
}

Result<std::int64_t> experiment_number(std::string_view id) {
  std::int64_t number = 0;
  const auto [end, code] = std::from_chars(id.data(), id.data() + id.size(), number);
  if (code != std::errc() || end != id.data() + id.size() || number < 0) {
    return not_found("track.unknown_experiment", fmt::format("No Experiment with id={} exists", id.substr(0, 64)));
  }
  return number;
}

std::string cut_text(std::string value, std::size_t max) {
  if (value.size() <= max) return value;
  std::size_t end = max;
  while (end > 0 && (static_cast<unsigned char>(value[end]) & 0xc0U) == 0x80U) --end;
  value.resize(end);
  return value;
}

std::string normal_path(std::string_view path) {
  const bool absolute = path.starts_with('/');
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, slash);
    path.remove_prefix(std::min(slash + 1, path.size()));
    if (part.empty() || part == ".") continue;
    if (part == ".." && !parts.empty() && parts.back() != "..") {
      parts.pop_back();
    } else if (part != ".." || !absolute) {
      parts.push_back(part);
    }
  }
  const std::string joined = fmt::format("{}{}", absolute ? "/" : "", fmt::join(parts, "/"));
  return joined.empty() ? "." : joined;
}

}  // namespace trainyard::track
