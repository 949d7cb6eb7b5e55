#include "data/ingest_config.h"

#include <fmt/format.h>

#include <algorithm>

#include "domain/dataset_ref.h"

namespace trainyard::data {
namespace {

constexpr std::int64_t kSideMax = 4096;

Error bad_source(std::size_t index, std::string_view key, std::string message) {
  return invalid_argument("ingest.sources", std::move(message), fmt::format("/config/sources/{}/{}", index, key));
}

Result<std::string> sha256_text(const std::string& text, std::size_t index, std::string_view key) {
  std::string lower = text;
  for (char& c : lower) c = c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
  const bool valid = lower.empty() || (lower.size() == 64 && lower.find_first_not_of("0123456789abcdef") == std::string::npos);
  if (valid) return lower;
  return bad_source(index, key, fmt::format("a sha256 has 64 hex digits, not \"{}\"", text));
}

Result<ImageLayout> layout_from(const IngestConfig& config) {
  ImageLayout layout{.classes = config.classes};
  if (config.image.is_null()) return layout;
  const Error error =
      invalid_argument("ingest.image", fmt::format("image is [height, width], each from 1 to {}", kSideMax), "/config/image");
  if (!config.image.is_array() || config.image.items().size() != 2) return error;
  const Result<std::int64_t> height = config.image.items()[0].as_int();
  const Result<std::int64_t> width = config.image.items()[1].as_int();
  if (!height.ok() || !width.ok()) return error;
  if (*height < 1 || *height > kSideMax || *width < 1 || *width > kSideMax) return error;
  layout.height = *height;
  layout.width = *width;
  return layout;
}

/// The labels of the IDX images at `index`: named there, or the only label file of the split.
Result<SourceSettings> labels_of(const IngestConfig& config, std::size_t index) {
  const SourceSettings& images = config.sources[index];
  if (!images.labels.empty()) {
    SourceSettings labels = images;
    labels.path = images.labels;
    labels.sha256 = images.labels_sha256;
    return labels;
  }
  std::vector<SourceSettings> found;
  std::int64_t image_files = 0;
  for (const SourceSettings& other : config.sources) {
    if (other.split != images.split) continue;
    if (other.format == "idx_labels") found.push_back(other);
    if (other.format == "idx_images" && other.labels.empty()) ++image_files;
  }
  if (found.size() == 1 && image_files == 1) return std::move(found.front());
  return bad_source(
      index, "labels",
      fmt::format("IDX images need their labels: name the file, or list exactly one idx_labels source for split {}", images.split));
}

Result<PlannedSource> plan_source(const IngestConfig& config, std::size_t index) {
  const SourceSettings& source = config.sources[index];
  PlannedSource planned;
  planned.path = source.path;
  planned.split = source.split == "test" ? Split::kTest : Split::kTrain;
  if (source.path.empty()) return bad_source(index, "path", "a source needs a path");
  ASSIGN_OR_RETURN(planned.sha256, sha256_text(source.sha256, index, "sha256"));
  if (source.format == "idx_images") {
    ASSIGN_OR_RETURN(const SourceSettings labels, labels_of(config, index));
    planned.labels = labels.path;
    ASSIGN_OR_RETURN(planned.labels_sha256, sha256_text(labels.sha256, index, "labels_sha256"));
  } else if (!source.labels.empty()) {
    return bad_source(index, "labels", "only idx_images has a labels file; a CSV file has its labels in the first column");
  }
  return planned;
}

}  // namespace

void SourceSettings::describe(FieldVisitor& fields) {
  fields.field("path", path, "File to read, plain or gzip.");
  fields.required();
  fields.choice("format", format, {"idx_images", "idx_labels", "csv"}, "What the file holds; CSV has the header label,pixel_0,..");
  fields.required();
  fields.choice("split", split, {"train", "test"}, "Which rows these are.");
  fields.field("labels", labels, "Labels file of IDX images.");
  fields.field("sha256", sha256, "Expected SHA-256 of the file as it lies on disk; empty: not checked.");
  fields.field("labels_sha256", labels_sha256, "Expected SHA-256 of the labels file.");
}

void IngestConfig::describe(FieldVisitor& fields) {
  fields.field("dataset", dataset, "Dataset to publish; empty: the output names it.");
  fields.field("sources", sources, "Files to read, in order.");
  fields.required();
  fields.field("dead_letter_budget", dead_letter_budget, Range{0, 1}, "Fraction of malformed rows beyond which nothing is published.");
  fields.field("image", image, "[height, width] of the images.");
  fields.field("classes", classes, Range{1, 256}, "Labels are 0 to classes - 1.");
}

Result<IngestPlan> plan_ingest(const IngestConfig& config) {
  IngestPlan plan;
  plan.dataset = config.dataset;
  if (!config.dataset.empty()) TRY(check_dataset_name(config.dataset));
  ASSIGN_OR_RETURN(plan.layout, layout_from(config));
  plan.dead_letter_budget = config.dead_letter_budget;
  for (std::size_t i = 0; i < config.sources.size(); ++i) {
    if (config.sources[i].format == "idx_labels") continue;
    ASSIGN_OR_RETURN(PlannedSource source, plan_source(config, i));
    plan.sources.push_back(std::move(source));
  }
  if (plan.sources.empty()) return invalid_argument("ingest.sources", "an ingest needs at least one source with images", "/config/sources");
  return plan;
}

}  // namespace trainyard::data
