#include "apps/train/model_export.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "apps/train/child_process.h"
#include "base/file.h"
#include "runner/artifact.h"

namespace trainyard::apps {
namespace {

constexpr std::uint64_t kCheckedImages = 256;
constexpr Duration kCheckPatience = std::chrono::minutes(2);

/// The split that the model has not seen, as far as there is one.
const train::RecordTable& unseen_split(const train::TrainData& data) {
  if (data.test.rows() > 0) return data.test;
  return data.validation.rows() > 0 ? data.validation : data.train;
}

std::vector<float> scaled_pixels(const train::RecordBatch& batch, const train::RecordLayout& layout) {
  std::vector<float> pixels;
  pixels.reserve(batch.rows.size() * layout.pixel_count());
  for (const std::uint64_t row : batch.rows) {
    for (const std::byte value : batch.table.record(row).subspan(layout.pixels_offset, layout.pixel_count())) {
      pixels.push_back(static_cast<float>(std::to_integer<int>(value)) * (1.0F / 255.0F));
    }
  }
  return pixels;
}

Result<void> write_floats(const std::string& path, std::span<const float> values) {
  return write_file_atomically(path, as_text(std::as_bytes(values)));
}

Result<double> checked_difference(const ExportSettings& settings, const Clock& clock) {
  const std::string at = settings.workdir + "/";
  ASSIGN_OR_RETURN(
      const ChildOutcome outcome,
      run_child({settings.checker, "check-onnx", at + "model.onnx", at + "inputs.f32", at + "expected.f32"}, clock, kCheckPatience));
  if (outcome.exit_code != 0) {
    return internal_error("train.export_check",
                          fmt::format("the exported model could not be compared with the trained one; the checker's own "
                                      "message is above: {} ended with {}",
                                      settings.checker, outcome.exit_code));
  }
  ASSIGN_OR_RETURN(const Document figures, parse_json(outcome.output));
  return figures.double_at("max_abs_diff");
}

}  // namespace

Result<ExportedModel> export_model(train::Trainer& trainer, const train::TrainData& data, store::ObjectStore& objects,
                                   const ExportSettings& settings, const Clock& clock) {
  ASSIGN_OR_RETURN(const std::string onnx, trainer.export_onnx());
  TRY(write_file_atomically(settings.workdir + "/model.onnx", onnx));

  const train::RecordTable& table = unseen_split(data);
  std::vector<std::uint64_t> rows(std::min(kCheckedImages, table.rows()));
  std::iota(rows.begin(), rows.end(), std::uint64_t{0});
  const train::RecordBatch batch{.table = table, .rows = rows};
  TRY(write_floats(settings.workdir + "/inputs.f32", scaled_pixels(batch, data.layout)));
  ASSIGN_OR_RETURN(const std::span<const float> logits, trainer.forward(batch));
  TRY(write_floats(settings.workdir + "/expected.f32", logits));

  ExportedModel exported;
  ASSIGN_OR_RETURN(exported.difference, checked_difference(settings, clock));
  // Written so that a difference which is no number fails too.
  if (!(exported.difference <= settings.difference_max)) {
    return internal_error("train.export_mismatch",
                          fmt::format("the exported model does not compute what the trained one does, so it was not "
                                      "stored: largest difference {:.3g}, allowed {:.3g}",
                                      exported.difference, settings.difference_max));
  }
  ASSIGN_OR_RETURN(exported.artifact, runner::put_object(objects, {.name = "model.onnx", .bucket = "models", .extension = ".onnx"},
                                                         settings.workdir + "/model.onnx"));
  return exported;
}

}  // namespace trainyard::apps
