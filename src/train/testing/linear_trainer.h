#pragma once
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "train/trainer.h"

namespace trainyard::train::testing {

/// A real, tiny model without a framework: softmax regression with momentum. Starts at zero, so every replica starts alike.
class LinearTrainer final : public Trainer {
 public:
  LinearTrainer(const RecordLayout& layout, std::size_t classes)
      : layout_(layout),
        classes_(classes),
        parameters_(classes * layout.pixel_count()),
        gradients_(parameters_.size()),
        momenta_(parameters_.size()) {}

  std::span<const float> parameters() const override { return parameters_; }
  std::span<float> gradients() override { return gradients_; }

  Result<BatchScore> compute_gradients(const RecordBatch& batch, std::int64_t global_rows) override {
    if (fail_next_) return internal_error("trainer.failed", "asked to fail");
    ASSIGN_OR_RETURN(const std::span<const float> logits, forward(batch));
    gradients_.assign(gradients_.size(), 0.0F);
    for (std::size_t i = 0; i < batch.rows.size(); ++i)
      add_gradient(batch.table.record(batch.rows[i]), logits.subspan(i * classes_, classes_), global_rows);
    ++chance_;
    return score_logits(logits, batch, layout_);
  }

  Result<void> apply(double learning_rate) override {
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      momenta_[i] = 0.9F * momenta_[i] + gradients_[i];
      parameters_[i] -= static_cast<float>(learning_rate) * momenta_[i];
    }
    return {};
  }

  Result<std::span<const float>> forward(const RecordBatch& batch) override {
    logits_.assign(batch.rows.size() * classes_, 0.0F);
    for (std::size_t i = 0; i < batch.rows.size(); ++i) {
      const std::span<const std::byte> record = batch.table.record(batch.rows[i]);
      for (std::size_t c = 0; c < classes_; ++c) {
        for (std::size_t p = 0; p < layout_.pixel_count(); ++p) logits_[i * classes_ + c] += weight(c, p) * pixel(record, p);
      }
    }
    return std::span<const float>(logits_);
  }

  std::vector<StateTensor> state() override {
    const Shape shape{static_cast<std::int64_t>(parameters_.size())};
    return {{.view = {.name = "parameter/all", .type = DataType::kFp32, .shape = shape, .bytes = std::as_bytes(std::span(parameters_))}},
            {.view = {.name = "momentum/all", .type = DataType::kFp32, .shape = shape, .bytes = std::as_bytes(std::span(momenta_))}},
            {.view = {.name = "random", .type = DataType::kInt64, .shape = {1}, .bytes = std::as_bytes(std::span(&chance_, 1))},
             .replicated = false}};
  }

  Result<void> restore(std::span<const TensorView> tensors) override {
    for (const StateTensor& wanted : state()) {
      const TensorView* found = nullptr;
      for (const TensorView& tensor : tensors) found = tensor.name == wanted.view.name ? &tensor : found;
      if (found == nullptr || found->shape != wanted.view.shape) return failed_precondition("checkpoint.incompatible", wanted.view.name);
      if (found->name == "parameter/all") std::memcpy(parameters_.data(), found->bytes.data(), found->bytes.size());
      if (found->name == "momentum/all") std::memcpy(momenta_.data(), found->bytes.data(), found->bytes.size());
      if (found->name == "random") std::memcpy(&chance_, found->bytes.data(), sizeof chance_);
    }
    return {};
  }

  Result<std::string> export_onnx() override { return std::string("linear"); }

  /// How many batches this replica has seen, over restores.
  std::int64_t batches() const { return chance_; }
  void fail_next() { fail_next_ = true; }

 private:
  float weight(std::size_t c, std::size_t p) const { return parameters_[c * layout_.pixel_count() + p]; }
  float pixel(std::span<const std::byte> record, std::size_t p) const {
    return static_cast<float>(std::to_integer<int>(record[layout_.pixels_offset + p])) / 255.0F;
  }
  void add_gradient(std::span<const std::byte> record, std::span<const float> logits, std::int64_t global_rows) {
    float sum = 0;
    for (const float logit : logits) sum += std::exp(logit);
    for (std::size_t c = 0; c < classes_; ++c) {
      const float target = std::to_integer<std::size_t>(record[layout_.label_offset]) == c ? 1.0F : 0.0F;
      const float slope = (std::exp(logits[c]) / sum - target) / static_cast<float>(global_rows);
      for (std::size_t p = 0; p < layout_.pixel_count(); ++p) gradients_[c * layout_.pixel_count() + p] += slope * pixel(record, p);
    }
  }

  RecordLayout layout_;
  std::size_t classes_;
  std::vector<float> parameters_;
  std::vector<float> gradients_;
  std::vector<float> momenta_;
  std::vector<float> logits_;
  std::int64_t chance_ = 0;
  bool fail_next_ = false;
};

}  // namespace trainyard::train::testing
