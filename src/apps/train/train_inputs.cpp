#include "apps/train/train_inputs.h"

#include <fmt/format.h>

namespace trainyard::apps {
namespace {

Error bad_data(std::string_view what, std::string_view path) {
  return data_loss("train.data", fmt::format("the data cannot be trained on; make a new version of the dataset: {}: {}", what, path));
}

Result<train::RecordLayout> layout_of(const data::PackHeader& header, const std::string& path) {
  train::RecordLayout layout{.record_bytes = header.record_bytes};
  bool label = false;
  bool pixels = false;
  for (const data::PackField& field : header.fields) {
    if (field.name == "label" && field.type == "uint8" && field.shape.empty()) {
      layout.label_offset = field.offset;
      label = field.offset < header.record_bytes;
    }
    if (field.name == "pixels" && field.type == "uint8" && field.shape.size() == 3) {
      layout.pixels_offset = field.offset;
      layout.channels = field.shape[0];
      layout.height = field.shape[1];
      layout.width = field.shape[2];
      pixels = field.offset + layout.pixel_count() <= header.record_bytes;
    }
  }
  if (!label) return bad_data("the records have no field \"label\" of one uint8", path);
  if (!pixels) return bad_data("the records have no field \"pixels\" of uint8 [channels, height, width]", path);
  return layout;
}

Result<void> check_labels(const train::RecordTable& table, const train::RecordLayout& layout, std::int64_t classes,
                          const std::string& path) {
  for (std::uint64_t row = 0; row < table.rows(); ++row) {
    const auto label = std::to_integer<std::int64_t>(table.record(row)[layout.label_offset]);
    if (label >= classes) return bad_data(fmt::format("row {} has label {}, but there are {} classes", row, label, classes), path);
  }
  return {};
}

/// Maps one split and checks it against what the splits before it said.
Result<train::RecordTable> open_split(const runner::InputFile& file, TrainInputs& inputs) {
  ASSIGN_OR_RETURN(data::PackReader reader, data::PackReader::open(file.path));
  TRY(reader.verify());
  ASSIGN_OR_RETURN(const train::RecordLayout layout, layout_of(reader.header(), file.path));
  if (inputs.packs.empty()) {
    inputs.data.layout = layout;
    if (inputs.data.classes == 0) inputs.data.classes = reader.header().classes;
  } else if (layout != inputs.data.layout) {
    return bad_data("its records are laid out differently from those of the training split", file.path);
  }
  const train::RecordTable table{.bytes = reader.records(), .record_bytes = reader.header().record_bytes};
  TRY(check_labels(table, layout, inputs.data.classes, file.path));
  inputs.data.identity += (inputs.data.identity.empty() ? "" : "|") + reader.header().checksum;
  inputs.packs.push_back(std::move(reader));
  return table;
}

}  // namespace

Result<TrainInputs> open_train_inputs(const runner::InputDataset& dataset, const train::TrainConfig& config) {
  TrainInputs inputs;
  inputs.data.classes = config.model.num_classes;
  ASSIGN_OR_RETURN(const runner::InputFile train_file, dataset.only_file_of("pack:train"));
  ASSIGN_OR_RETURN(inputs.data.train, open_split(train_file, inputs));
  if (!dataset.files_of("pack:validation").empty()) {
    ASSIGN_OR_RETURN(const runner::InputFile file, dataset.only_file_of("pack:validation"));
    ASSIGN_OR_RETURN(inputs.data.validation, open_split(file, inputs));
  }
  if (!dataset.files_of("pack:test").empty()) {
    ASSIGN_OR_RETURN(const runner::InputFile file, dataset.only_file_of("pack:test"));
    ASSIGN_OR_RETURN(inputs.data.test, open_split(file, inputs));
  }
  if (!config.trial.rung_steps.empty() && inputs.data.validation.rows() == 0) {
    return invalid_argument("train.rung_steps",
                            "a trial with rungs needs a validation split to report its accuracy of; curate the dataset with one",
                            "/config/trial");
  }
  return inputs;
}

}  // namespace trainyard::apps
