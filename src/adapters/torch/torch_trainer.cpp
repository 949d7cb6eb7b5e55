#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/Version.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <torch/headeronly/version.h>

#include "adapters/torch/internal/check_is_ours.h"

#include "adapters/torch/torch_trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <exception>

#include "adapters/torch/internal/network.h"

namespace trainyard::adapters::torch {
namespace {

using internal::Network;
using internal::ParameterSet;
using train::BatchScore;
using train::RecordBatch;
using train::StateTensor;
using train::TensorView;

constexpr std::string_view kParameterPrefix = "parameter/";
constexpr std::string_view kMomentumPrefix = "momentum/";
constexpr std::string_view kBufferPrefix = "buffer/";
constexpr const char* kGeneratorName = "random/cpu";

Error failed(const std::exception& exception) {
  return internal_error("trainer.failed", std::string("libtorch reported an error: ") + exception.what());
}

/// Runs `work` and turns what the library throws into an error.
template <typename Work>
auto guarded(const Work& work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::exception& exception) {
    return failed(exception);
  }
}

class TorchTrainer final : public train::Trainer {
 public:
  TorchTrainer(TorchTrainerSettings settings, std::unique_ptr<Network> network)
      : settings_(std::move(settings)), network_(std::move(network)) {}

  std::span<const float> parameters() const override { return network_->parameters().values(); }
  std::span<float> gradients() override { return network_->parameters().gradients(); }

  Result<BatchScore> compute_gradients(const RecordBatch& batch, std::int64_t global_rows) override {
    return guarded([&]() -> Result<BatchScore> {
      gather(batch);
      network_->parameters().zero_gradients();
      const at::Tensor logits = network_->forward(pixels_, true);
      const at::Tensor loss = at::cross_entropy_loss(logits, labels_, {}, at::Reduction::Sum) / static_cast<double>(global_rows);
      loss.backward();
      return train::score_logits(copy_logits(logits), batch, settings_.layout);
    });
  }

  Result<void> apply(double learning_rate) override {
    return guarded([&]() -> Result<void> {
      network_->parameters().descend(learning_rate, settings_.momentum);
      return {};
    });
  }

  Result<std::span<const float>> forward(const RecordBatch& batch) override {
    return guarded([&]() -> Result<std::span<const float>> {
      const at::NoGradGuard no_grad;
      gather(batch);
      return copy_logits(network_->forward(pixels_, false));
    });
  }

  std::vector<StateTensor> state() override;
  Result<void> restore(std::span<const TensorView> tensors) override;

  Result<std::string> export_onnx() override {
    OnnxBuilder onnx;
    network_->write_onnx(onnx);
    const train::RecordLayout& layout = settings_.layout;
    return onnx.finish(settings_.model, {.name = "pixels", .shape = {layout.channels, layout.height, layout.width}},
                       {.name = "logits", .shape = {settings_.classes}});
  }

 private:
  /// Fills pixels_ and labels_ with the rows of the batch.
  void gather(const RecordBatch& batch);
  std::span<const float> copy_logits(const at::Tensor& logits) {
    const at::Tensor dense = logits.detach().contiguous();
    const float* const data = dense.data_ptr<float>();
    logits_.assign(data, data + dense.numel());
    return logits_;
  }

  TorchTrainerSettings settings_;
  std::unique_ptr<Network> network_;
  at::Tensor pixels_;
  at::Tensor labels_;
  at::Tensor generator_state_;  // What the view of the last state() points to.
  std::vector<float> logits_;
};

void TorchTrainer::gather(const RecordBatch& batch) {
  const train::RecordLayout& layout = settings_.layout;
  const auto rows = static_cast<std::int64_t>(batch.rows.size());
  // A tensor that a graph of the step before may still hold is never written again: each batch gets memory of its own.
  pixels_ = at::empty({rows, layout.channels, layout.height, layout.width}, at::kFloat);
  labels_ = at::empty({rows}, at::kLong);
  float* pixel = pixels_.data_ptr<float>();
  std::int64_t* label = labels_.data_ptr<std::int64_t>();
  constexpr float kScale = 1.0F / 255.0F;
  for (const std::uint64_t row : batch.rows) {
    const std::span<const std::byte> record = batch.table.record(row);
    *label++ = std::to_integer<std::int64_t>(record[layout.label_offset]);
    for (const std::byte value : record.subspan(layout.pixels_offset, layout.pixel_count())) {
      *pixel++ = static_cast<float>(std::to_integer<int>(value)) * kScale;
    }
  }
}

std::vector<StateTensor> TorchTrainer::state() {
  std::vector<StateTensor> all;
  const auto add = [&all](std::string name, const Shape& shape, std::span<const float> values, bool replicated) {
    all.push_back({.view = {.name = std::move(name), .type = DataType::kFp32, .shape = shape, .bytes = std::as_bytes(values)},
                   .replicated = replicated});
  };
  const std::vector<ParameterSet::Entry> entries = network_->parameters().entries();
  for (const ParameterSet::Entry& entry : entries) {
    if (!entry.momenta.empty()) add(std::string(kParameterPrefix) + entry.name, entry.shape, entry.values, true);
  }
  for (const ParameterSet::Entry& entry : entries) {
    if (!entry.momenta.empty()) add(std::string(kMomentumPrefix) + entry.name, entry.shape, entry.momenta, true);
  }
  // Running statistics follow the rows that this rank has seen.
  for (const ParameterSet::Entry& entry : entries) {
    if (entry.momenta.empty()) add(std::string(kBufferPrefix) + entry.name, entry.shape, entry.values, false);
  }
  generator_state_ = at::detail::getDefaultCPUGenerator().get_state();
  const auto size = static_cast<std::size_t>(generator_state_.numel());
  all.push_back({.view = {.name = kGeneratorName,
                          .type = DataType::kUint8,
                          .shape = {generator_state_.numel()},
                          .bytes = std::as_bytes(std::span(generator_state_.data_ptr<std::uint8_t>(), size))},
                 .replicated = false});
  return all;
}

Result<void> TorchTrainer::restore(std::span<const TensorView> tensors) {
  const auto misfit = [](const std::string& name) {
    return failed_precondition("checkpoint.incompatible",
                               "the checkpoint does not fit the model of this job: it lacks a tensor of the right shape: " + name);
  };
  return guarded([&]() -> Result<void> {
    for (const StateTensor& wanted : state()) {
      const auto found = std::find_if(tensors.begin(), tensors.end(), [&](const TensorView& t) { return t.name == wanted.view.name; });
      if (found == tensors.end() || found->type != wanted.view.type || found->shape != wanted.view.shape) return misfit(wanted.view.name);
    }
    const auto take = [&](const std::string& name, std::span<float> values) {
      const auto found = std::find_if(tensors.begin(), tensors.end(), [&](const TensorView& t) { return t.name == name; });
      std::memcpy(values.data(), found->bytes.data(), found->bytes.size());
    };
    for (const ParameterSet::Entry& entry : network_->parameters().entries()) {
      const bool trainable = !entry.momenta.empty();
      take(std::string(trainable ? kParameterPrefix : kBufferPrefix) + entry.name, entry.values);
      if (trainable) take(std::string(kMomentumPrefix) + entry.name, entry.momenta);
    }
    const auto generator = std::find_if(tensors.begin(), tensors.end(), [](const TensorView& t) { return t.name == kGeneratorName; });
    std::memcpy(generator_state_.data_ptr<std::uint8_t>(), generator->bytes.data(), generator->bytes.size());
    at::Generator target = at::detail::getDefaultCPUGenerator();
    target.set_state(generator_state_);
    return {};
  });
}

Result<std::unique_ptr<Network>> make_network(const TorchTrainerSettings& settings) {
  struct Builtin {
    std::string_view name;
    std::unique_ptr<Network> (*make)(const internal::NetworkSettings&, Rng&);
  };
  constexpr Builtin kBuiltin[] = {{"mlp", &internal::make_mlp}, {"cnn", &internal::make_cnn}, {"resnet18", &internal::make_resnet18}};
  const train::RecordLayout& layout = settings.layout;
  constexpr std::int64_t kSideMin = 8;
  if (layout.height < kSideMin || layout.width < kSideMin) {
    return invalid_argument("train.model", fmt::format("the images are too small for the models, which need {0} x {0} pixels: {1} x {2}",
                                                       kSideMin, layout.height, layout.width));
  }
  const internal::NetworkSettings network{.channels = layout.channels,
                                          .height = layout.height,
                                          .width = layout.width,
                                          .classes = settings.classes,
                                          .network_width = settings.model_width};
  SeededRng rng(settings.seed);
  std::string names;
  for (const Builtin& builtin : kBuiltin) {
    if (builtin.name == settings.model) return builtin.make(network, rng);
    names += (names.empty() ? "" : ", ") + std::string(builtin.name);
  }
  return invalid_argument("train.model", fmt::format("no model has this name; choose one of {}: {}", names, settings.model),
                          "/config/model/name");
}

}  // namespace

Result<std::unique_ptr<train::Trainer>> make_torch_trainer(const TorchTrainerSettings& settings) {
  return guarded([&]() -> Result<std::unique_ptr<train::Trainer>> {
    at::manual_seed(settings.seed);
    ASSIGN_OR_RETURN(std::unique_ptr<Network> network, make_network(settings));
    return std::unique_ptr<train::Trainer>(std::make_unique<TorchTrainer>(settings, std::move(network)));
  });
}

void configure_torch(int threads) {
  at::set_num_threads(threads);
  at::globalContext().setDeterministicAlgorithms(true, false);
}

Document torch_environment() {
  Document document;
  document.set("torch", TORCH_VERSION);
  document.set("threads", static_cast<std::int64_t>(at::get_num_threads()));
  document.set("cpu_capability", at::get_cpu_capability());
  document.set("onednn", at::hasMKLDNN());
  document.set("mkl", at::hasMKL());
  return document;
}

}  // namespace trainyard::adapters::torch
