#pragma once
#include <vector>

#include "serve/servable.h"

namespace trainyard::serve {

/// Checks `inputs` against the signature and puts them into its order. Every declared input must be there once, with the declared type and
/// a shape that fits; inputs of a batchable model must have the same number of rows. The bytes must already fit type and shape.
/// Errors: INVALID_ARGUMENT "serve.input" naming the model input.
Result<std::vector<Tensor>> bind_inputs(const Signature& signature, std::vector<NamedTensor> inputs);

/// The first dimension of the first input of a batchable model.
std::size_t row_count(const std::vector<Tensor>& inputs);

/// Inputs of zeros (empty texts for BYTES) with `rows` rows; other free dimensions become 1. What a warm-up runs.
std::vector<Tensor> zero_inputs(const Signature& signature, std::int64_t rows);

/// Appends the rows of `part` to `whole`: same type, same dimensions but the first.
void append_rows(const Tensor& part, Tensor& whole);

/// Cuts `whole` into pieces of the given numbers of rows. Errors: INTERNAL "serve.batch_output" when the rows do not add up to its first
/// dimension, so that rows can never reach the wrong caller.
Result<std::vector<Tensor>> split_rows(const Tensor& whole, const std::vector<std::size_t>& rows);

}  // namespace trainyard::serve
