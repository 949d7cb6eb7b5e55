#include "api/oip/internal/model_path.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

namespace trainyard::api::oip::internal {
namespace {

constexpr std::string_view kVersions = "/versions/";
constexpr std::array<std::string_view, 7> kVerbs{"infer", "ready", "stats", "config", "generate", "generate_stream", "infer_stream"};

std::optional<std::int64_t> version_from(std::string_view text) {
  std::int64_t version = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), version);
  if (code != std::errc() || end != text.data() + text.size() || version < 1 || std::to_string(version) != text) return std::nullopt;
  return version;
}

}  // namespace

Result<ModelPath> parse_model_path(std::string_view rest) {
  ModelPath path;
  const std::size_t slash = rest.rfind('/');
  for (const std::string_view verb : kVerbs) {
    if (slash != std::string_view::npos && rest.substr(slash + 1) == verb) path.verb = verb;
  }
  if (!path.verb.empty()) rest = rest.substr(0, slash);
  if (const std::size_t versions = rest.rfind(kVersions); versions != std::string_view::npos) {
    const std::string_view text = rest.substr(versions + kVersions.size());
    path.version = version_from(text);
    path.model = rest.substr(0, versions);
    if (!path.version) {
      return not_found("serve.unknown_version", fmt::format("Version is not served here: {} version {}", path.model, text));
    }
    return path;
  }
  path.model = rest;
  if (path.model.empty()) return not_found("serve.unknown_model", "The path names no model; use /v2/models/NAME");
  return path;
}

}  // namespace trainyard::api::oip::internal
