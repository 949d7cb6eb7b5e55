#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "train/records.h"
#include "train/tensor_file.h"

namespace trainyard::train {

/// What a batch scored, as plain sums, so that ranks and batches add up.
struct BatchScore {
  double loss = 0;  ///< Sum of the cross entropies, natural logarithm.
  std::int64_t correct = 0;
  std::int64_t rows = 0;

  BatchScore& operator+=(const BatchScore& other) {
    loss += other.loss;
    correct += other.correct;
    rows += other.rows;
    return *this;
  }
};

/// One array of a model replica's state.
struct StateTensor {
  TensorView view;         ///< Valid until the next call that changes the trainer.
  bool replicated = true;  ///< Equal on every rank: only rank 0 stores it.
};

/// One replica of a classification model with its optimizer; knows no files, ranks or time. Two replicas that are made alike and get the
/// same calls hold the same bits. Not thread-safe. Errors: INTERNAL "trainer.failed" for whatever the framework reports.
class Trainer {
 public:
  virtual ~Trainer() = default;

  /// All parameters in one buffer, in a fixed order.
  virtual std::span<const float> parameters() const = 0;
  /// All gradients in one buffer of the same length and order. The caller replaces them by the sum over the ranks.
  virtual std::span<float> gradients() = 0;
  /// Sets the gradients to those of (sum of the batch's losses) / `global_rows`.
  virtual Result<BatchScore> compute_gradients(const RecordBatch& batch, std::int64_t global_rows) = 0;
  /// One optimizer step with the gradients as they are.
  virtual Result<void> apply(double learning_rate) = 0;
  /// The logits of a batch in evaluation mode, rows x classes, valid until the next call. Changes no state.
  virtual Result<std::span<const float>> forward(const RecordBatch& batch) = 0;

  /// Everything a later process needs to go on with the same bits: parameters, optimizer, buffers, generators of chance.
  virtual std::vector<StateTensor> state() = 0;
  /// Takes over what `state` gave. Errors: FAILED_PRECONDITION "checkpoint.incompatible" naming the first tensor that does not fit.
  virtual Result<void> restore(std::span<const TensorView> tensors) = 0;

  /// The model as the bytes of an ONNX file: input "pixels" float [N, channels, height, width] from 0 to 1, output "logits" [N, classes].
  /// Errors: UNIMPLEMENTED "train.export" for a model that has no export.
  virtual Result<std::string> export_onnx() = 0;
};

/// Scores logits (rows x classes) against the labels of the batch. Ties count for the lower class. CHECKs that the sizes agree.
BatchScore score_logits(std::span<const float> logits, const RecordBatch& batch, const RecordLayout& layout);

}  // namespace trainyard::train
