#include "domain/dataset_ref.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace trainyard {
namespace {

constexpr std::size_t kNameMax = 64;

bool is_letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

Result<std::optional<std::int64_t>> parse_version(std::string_view text, std::string_view whole) {
  if (text == "latest") return std::optional<std::int64_t>();
  std::int64_t version = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
  if (error != std::errc() || end != text.data() + text.size() || version < 1) {
    return invalid_argument(
        "dataset.ref",
        fmt::format("a dataset version is a number from 1 or \"latest\", as in fashion@3/curated, not \"{}\" in \"{}\"", text, whole));
  }
  return std::optional<std::int64_t>(version);
}

}  // namespace

std::string_view name_of(DatasetLayer layer) {
  switch (layer) {
    case DatasetLayer::kRaw:
      return "raw";
    case DatasetLayer::kProcessed:
      return "processed";
    case DatasetLayer::kCurated:
      return "curated";
  }
  return "";
}

const std::vector<std::string_view>& dataset_layer_names() {
  static const std::vector<std::string_view> names{"raw", "processed", "curated"};
  return names;
}

Result<DatasetLayer> parse_dataset_layer(std::string_view text) {
  for (const DatasetLayer layer : {DatasetLayer::kRaw, DatasetLayer::kProcessed, DatasetLayer::kCurated}) {
    if (text == name_of(layer)) return layer;
  }
  return invalid_argument("dataset.layer", fmt::format("a dataset layer is raw, processed or curated, not \"{}\"", text));
}

Result<void> check_dataset_name(std::string_view name) {
  const bool valid =
      !name.empty() && name.size() <= kNameMax && is_letter_or_digit(name.front()) &&
      std::all_of(name.begin(), name.end(), [](char c) { return is_letter_or_digit(c) || c == '.' || c == '_' || c == '-'; });
  if (valid) return {};
  return invalid_argument("dataset.name",
                          fmt::format("a dataset name has letters, digits, '.', '_' and '-', starts with a letter or digit and is "
                                      "at most {} long; this is not: \"{}\"",
                                      kNameMax, name));
}

std::string DatasetVersionKey::text() const { return fmt::format("{}@{}/{}", name, version, name_of(layer)); }

Result<DatasetRef> parse_dataset_ref(std::string_view text) {
  DatasetRef ref;
  std::string_view rest = text;
  if (const std::size_t slash = rest.find('/'); slash != std::string_view::npos) {
    ASSIGN_OR_RETURN(ref.layer, parse_dataset_layer(rest.substr(slash + 1)));
    rest = rest.substr(0, slash);
  }
  if (const std::size_t at = rest.find('@'); at != std::string_view::npos) {
    ASSIGN_OR_RETURN(ref.version, parse_version(rest.substr(at + 1), text));
    rest = rest.substr(0, at);
  }
  TRY(check_dataset_name(rest));
  ref.name = std::string(rest);
  return ref;
}

std::string format_dataset_ref(const DatasetRef& ref) {
  if (ref.version) return DatasetVersionKey{ref.name, ref.layer, *ref.version}.text();
  return fmt::format("{}@latest/{}", ref.name, name_of(ref.layer));
}

}  // namespace trainyard
