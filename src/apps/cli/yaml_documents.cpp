#include "apps/cli/yaml_documents.h"

#include <algorithm>
#include <utility>

namespace trainyard::apps {
namespace {

bool is_marker(std::string_view line, std::string_view marker) {
  if (!line.starts_with(marker)) return false;
  return line.size() == marker.size() || line[marker.size()] == ' ' || line[marker.size()] == '\t' || line[marker.size()] == '\r';
}

/// Whether a line says more than a comment or a marker.
bool has_content(std::string_view line) {
  if (is_marker(line, "---")) line.remove_prefix(3);
  const std::size_t first = line.find_first_not_of(" \t\r");
  return first != std::string_view::npos && line[first] != '#';
}

}  // namespace

std::vector<YamlPart> split_yaml_documents(std::string_view text) {
  std::vector<YamlPart> parts;
  std::string part;
  std::size_t begin = 1;
  bool content = false;
  const auto finish = [&](std::size_t next) {
    if (content) parts.push_back({begin, std::string(begin - 1, '\n') + part});
    part.clear();
    content = false;
    begin = next;
  };
  std::size_t number = 1;
  for (std::string_view rest = text; !rest.empty(); ++number) {
    const std::size_t end = std::min(rest.find('\n'), rest.size() - 1) + 1;
    const std::string_view line = rest.substr(0, end);
    const std::string_view bare = line.ends_with('\n') ? line.substr(0, line.size() - 1) : line;
    rest.remove_prefix(end);
    if (is_marker(bare, "...")) {
      finish(number + 1);
      continue;
    }
    if (is_marker(bare, "---")) finish(number);
    content = content || has_content(bare);
    part += line;
  }
  finish(number);
  return parts;
}

}  // namespace trainyard::apps
