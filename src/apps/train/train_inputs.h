#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "data/pack.h"
#include "runner/spec.h"
#include "train/train_config.h"
#include "train/training_loop.h"

namespace trainyard::apps {

/// The packs of one dataset version, mapped, and the view of them that the training loop works on.
struct TrainInputs {
  std::vector<data::PackReader> packs;  ///< Own the memory.
  train::TrainData data;
};

/// Opens the pack of each split (roles "pack:train", "pack:validation", "pack:test"; only the first must be there), verifies checksums and
/// labels, and derives layout and classes. Errors: INVALID_ARGUMENT "spec.input_file"; DATA_LOSS "data.pack", "train.data" when the splits
/// do not fit each other or the model's classes.
Result<TrainInputs> open_train_inputs(const runner::InputDataset& dataset, const train::TrainConfig& config);

}  // namespace trainyard::apps
