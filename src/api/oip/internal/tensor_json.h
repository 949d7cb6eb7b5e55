#pragma once
#include <string>
#include <string_view>

#include "domain/tensor.h"

namespace trainyard::api::oip::internal {

/// Reads the JSON array `text`, flat or nested as the shape says, into a tensor. Numbers must fit the type; NaN, Infinity and -Infinity
/// are taken bare or quoted for floats. Errors: INVALID_ARGUMENT "oip.data", which says what was wrong but not in which tensor.
Result<Tensor> tensor_from_json(std::string_view text, DataType type, Shape shape);

/// Appends the elements as one flat JSON array; non-finite floats are quoted. Errors: INVALID_ARGUMENT "oip.binary_only" for BF16 and for
/// texts that are not UTF-8.
Result<void> append_json_data(const Tensor& tensor, std::string& out);

}  // namespace trainyard::api::oip::internal
