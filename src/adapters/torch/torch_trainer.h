#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "base/document.h"
#include "base/result.h"
#include "train/records.h"
#include "train/trainer.h"

namespace trainyard::adapters::torch {

struct TorchTrainerSettings {
  std::string model = "cnn";     ///< A name of `builtin_models`.
  std::int64_t model_width = 0;  ///< 0: the model's default.
  std::int64_t classes = 10;
  train::RecordLayout layout;
  double momentum = 0.9;
  std::uint64_t seed = 1;  ///< Decides the initial weights.
};

/// A replica over libtorch on the CPU. Weights are drawn by our own generator, so that the seed means the same with every version of the
/// library. Errors: INVALID_ARGUMENT "train.model" naming the models there are, or when the images are too small for it; INTERNAL
/// "trainer.failed".
Result<std::unique_ptr<train::Trainer>> make_torch_trainer(const TorchTrainerSettings& settings);

/// Sets the threads of one operation and asks for deterministic kernels; once, before the first trainer.
void configure_torch(int threads);
/// Version, threads, CPU capability and libraries: bits are comparable only where this is equal.
Document torch_environment();

}  // namespace trainyard::adapters::torch
