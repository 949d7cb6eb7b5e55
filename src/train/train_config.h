#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/describe.h"

namespace trainyard::train {

/// Which network is trained. What a model makes of `width` is said where it is built.
struct ModelConfig {
  std::string name = "cnn";
  std::int64_t width = 0;        ///< 0: the model's own default.
  std::int64_t num_classes = 0;  ///< 0: as many as the data have.

  void describe(FieldVisitor& fields);
};

/// A trial of a study stops at rungs and waits for a decision.
struct TrialConfig {
  std::vector<std::int64_t> rung_steps;  ///< Ascending; empty for ordinary training.

  void describe(FieldVisitor& fields);
};

/// The `config` of a job of kind train.
struct TrainConfig {
  ModelConfig model;
  std::int64_t epochs = 3;
  std::int64_t steps = 0;         ///< Instead of epochs, when > 0.
  std::int64_t batch_size = 128;  ///< Over all ranks.
  double learning_rate = 0.1;     ///< The peak of the schedule.
  double momentum = 0.9;
  std::string schedule = "cosine";
  double warmup = 0.15;  ///< Fraction of all steps over which the rate rises.
  std::int64_t seed = 1;
  Duration checkpoint_every{60'000'000};
  std::int64_t keep_checkpoints = 2;
  bool evaluate = true;
  bool export_onnx = true;
  std::int64_t report_every_steps = 50;
  TrialConfig trial;

  void describe(FieldVisitor& fields);
};

/// How one run of training goes, worked out once from the configuration, the rows and the gang.
struct TrainPlan {
  std::int64_t steps_per_epoch = 0;  ///< Whole global batches only: the rows left over at the end of an epoch are not visited in it.
  std::int64_t steps_total = 0;
  std::int64_t rank_batch = 0;  ///< Rows of one rank in one step.
};

/// Errors: INVALID_ARGUMENT "train.batch_size" (not divisible by the ranks, or larger than the rows), "train.rung_steps".
Result<TrainPlan> plan_training(const TrainConfig& config, std::uint64_t rows, std::uint32_t world_size);

/// The rate of the step that takes `steps_done` to `steps_done + 1`. A linear rise over `warmup`, then constant or half a cosine to 0.
double learning_rate_at(const TrainConfig& config, const TrainPlan& plan, std::int64_t steps_done);

/// The rows of one rank in that step: its slice of the global batch in the epoch's order. Pure, so a resume needs no loader state.
std::vector<std::uint64_t> batch_rows(const TrainConfig& config, const TrainPlan& plan, std::uint64_t rows, std::int64_t steps_done,
                                      std::uint32_t rank);

}  // namespace trainyard::train
