#pragma once
#include <string>

#include "runner/event_writer.h"
#include "store/object_store.h"
#include "train/trainer.h"
#include "train/training_loop.h"

namespace trainyard::apps {

struct ExportSettings {
  std::string workdir;           ///< Where the files of the comparison are written.
  std::string checker;           ///< The program that runs `check-onnx MODEL INPUTS EXPECTED`.
  double difference_max = 1e-4;  ///< The largest difference between a logit of the export and of the trained model that passes.
};

struct ExportedModel {
  runner::ArtifactEvent artifact;
  double difference = 0;  ///< The largest one, over 256 images.
};

/// Exports the model as ONNX, lets the checker run it with the inference runtime on 256 images, compares with the trainer's own logits and
/// stores the file as ty://models/HASH.onnx. The files model.onnx, inputs.f32 and expected.f32 stay in the working directory.
/// Errors: INTERNAL "train.export_mismatch"; "train.export_check" when the checker fails; those of the store.
Result<ExportedModel> export_model(train::Trainer& trainer, const train::TrainData& data, store::ObjectStore& objects,
                                   const ExportSettings& settings, const Clock& clock);

}  // namespace trainyard::apps
