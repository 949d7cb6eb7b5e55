#pragma once
#include "domain/tensor.h"

namespace trainyard::api::oip {

/// The `classes` highest values of each row of `scores` as texts "value:index", highest first, ties by index: shape [rows, classes], or
/// [classes] when the tensor is one row. `batched` says whether the first dimension counts rows.
/// Errors: INVALID_ARGUMENT "oip.classification" when the elements are not numbers.
Result<Tensor> classify(const Tensor& scores, std::size_t classes, bool batched);

}  // namespace trainyard::api::oip
