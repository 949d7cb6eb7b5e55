#pragma once
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace trainyard {

/// How far a dataset has come: what arrived, what was deduplicated, what is ready for training.
enum class DatasetLayer { kRaw, kProcessed, kCurated };

/// "raw", "processed" or "curated".
std::string_view name_of(DatasetLayer layer);
const std::vector<std::string_view>& dataset_layer_names();
/// Errors: INVALID_ARGUMENT "dataset.layer".
Result<DatasetLayer> parse_dataset_layer(std::string_view text);

/// A dataset's name: letters, digits, '.', '_' and '-', from a letter or digit, at most 64. Errors: INVALID_ARGUMENT "dataset.name".
Result<void> check_dataset_name(std::string_view name);

/// One published, immutable version. Versions count from 1 in each layer of a dataset.
struct DatasetVersionKey {
  std::string name;
  DatasetLayer layer = DatasetLayer::kCurated;
  std::int64_t version = 0;
  auto operator<=>(const DatasetVersionKey&) const = default;

  /// "fashion@3/curated"
  std::string text() const;
};

/// What a spec says it reads: `name[@version|@latest][/layer]`. Without a version the latest one is meant, without a layer curated.
struct DatasetRef {
  std::string name;
  std::optional<std::int64_t> version;
  DatasetLayer layer = DatasetLayer::kCurated;
  auto operator<=>(const DatasetRef&) const = default;
};

/// Errors: INVALID_ARGUMENT "dataset.ref", "dataset.name" or "dataset.layer"; the message shows the grammar.
Result<DatasetRef> parse_dataset_ref(std::string_view text);
/// The full form, e.g. "fashion@latest/curated"; parse_dataset_ref reads it back as an equal value.
std::string format_dataset_ref(const DatasetRef& ref);

}  // namespace trainyard
