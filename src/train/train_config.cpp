#include "train/train_config.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "train/data_order.h"

namespace trainyard::train {

void ModelConfig::describe(FieldVisitor& fields) {
  fields.choice("name", name, {"mlp", "cnn", "resnet18"}, "The network: mlp (one hidden layer), cnn (two convolutions) or resnet18.");
  fields.field("width", width, {.min = 0, .max = 4096},
               "Width of the network: hidden units of mlp, channels of the first convolution "
               "otherwise; 0 takes the default of the model.");
  fields.field("num_classes", num_classes, {.min = 0, .max = 256}, "Number of classes; 0 takes it from the data.");
}

void TrialConfig::describe(FieldVisitor& fields) {
  Document steps = Document::array();
  for (const std::int64_t step : rung_steps) steps.push(step);
  fields.field("rung_steps", steps, "Steps at which the trial reports its accuracy and waits whether it may go on, ascending.");
  rung_steps.clear();
  for (const Document& step : steps.items()) rung_steps.push_back(step.as_int().value_or(-1));
  if (!steps.is_array() && !steps.is_null()) rung_steps.push_back(-1);
}

void TrainConfig::describe(FieldVisitor& fields) {
  fields.field("model", model, "The network to train.");
  fields.field("epochs", epochs, {.min = 1, .max = 100'000}, "Passes over the training rows.");
  fields.field("steps", steps, {.min = 0, .max = 1e12}, "Optimizer steps, instead of epochs; 0 means that epochs decide.");
  fields.field("batch_size", batch_size, {.min = 1, .max = 1 << 20}, "Rows of one step over all ranks; divisible by the number of ranks.");
  fields.field("learning_rate", learning_rate, {.min = 1e-9, .max = 1e3}, "The highest learning rate of the schedule.");
  fields.field("momentum", momentum, {.min = 0, .max = 0.9999}, "Momentum of the gradient descent.");
  fields.choice("schedule", schedule, {"cosine", "constant"}, "What the learning rate does after the warm-up.");
  fields.field("warmup", warmup, {.min = 0, .max = 1}, "Fraction of all steps over which the learning rate rises to its highest value.");
  fields.field("seed", seed, {.min = 0, .max = 9e15}, "Decides initial weights and the order of the rows.");
  fields.field("checkpoint_every", checkpoint_every, "Time between checkpoints; 0s writes none but those that are asked for.");
  fields.field("keep_checkpoints", keep_checkpoints, {.min = 1, .max = 1000}, "Checkpoints that are kept, newest first.");
  fields.field("evaluate", evaluate, "Measure the accuracy on the validation rows after every epoch and on the test rows at the end.");
  fields.field("export_onnx", export_onnx, "Export the trained model as ONNX, compare it with the trained one and store it.");
  fields.field("report_every_steps", report_every_steps, {.min = 1, .max = 1e9}, "Steps between two points of loss and training accuracy.");
  fields.field("trial", trial, "Set by a study for its trials.");
}

Result<TrainPlan> plan_training(const TrainConfig& config, std::uint64_t rows, std::uint32_t world_size) {
  if (config.batch_size % static_cast<std::int64_t>(world_size) != 0) {
    return invalid_argument(
        "train.batch_size",
        fmt::format("the batch size must be divisible by the number of ranks, so that every rank has as many rows; change "
                    "batch_size or tasks: batch_size {}, ranks {}",
                    config.batch_size, world_size),
        "/config/batch_size");
  }
  TrainPlan plan;
  plan.rank_batch = config.batch_size / static_cast<std::int64_t>(world_size);
  plan.steps_per_epoch = static_cast<std::int64_t>(rows) / config.batch_size;
  if (plan.steps_per_epoch == 0) {
    return invalid_argument(
        "train.batch_size",
        fmt::format("the batch is larger than the training data; lower batch_size: batch_size {}, rows {}", config.batch_size, rows),
        "/config/batch_size");
  }
  plan.steps_total = config.steps > 0 ? config.steps : config.epochs * plan.steps_per_epoch;
  std::int64_t previous = 0;
  for (const std::int64_t step : config.trial.rung_steps) {
    if (step <= previous || step > plan.steps_total) {
      return invalid_argument(
          "train.rung_steps",
          fmt::format("rung_steps must be ascending whole numbers from 1 to the last step of the training, {}: {}", plan.steps_total, step),
          "/config/trial/rung_steps");
    }
    previous = step;
  }
  return plan;
}

double learning_rate_at(const TrainConfig& config, const TrainPlan& plan, std::int64_t steps_done) {
  const double progress = static_cast<double>(steps_done) / static_cast<double>(plan.steps_total);
  if (progress < config.warmup) {
    constexpr double kStart = 0.05;  // Of the highest rate: the first step is not lost.
    return config.learning_rate * (kStart + (1 - kStart) * progress / config.warmup);
  }
  if (config.schedule == "constant" || config.warmup >= 1) return config.learning_rate;
  return config.learning_rate * 0.5 * (1 + std::cos(std::numbers::pi * (progress - config.warmup) / (1 - config.warmup)));
}

std::vector<std::uint64_t> batch_rows(const TrainConfig& config, const TrainPlan& plan, std::uint64_t rows, std::int64_t steps_done,
                                      std::uint32_t rank) {
  const auto epoch = static_cast<std::uint64_t>(steps_done / plan.steps_per_epoch);
  const auto batch = static_cast<std::uint64_t>(steps_done % plan.steps_per_epoch);
  const auto rank_batch = static_cast<std::uint64_t>(plan.rank_batch);
  const EpochOrder order(static_cast<std::uint64_t>(config.seed), epoch, rows);
  const std::uint64_t begin = batch * static_cast<std::uint64_t>(config.batch_size) + rank * rank_batch;
  std::vector<std::uint64_t> picked(rank_batch);
  for (std::uint64_t i = 0; i < rank_batch; ++i) picked[i] = order.row_at(begin + i);
  return picked;
}

}  // namespace trainyard::train
