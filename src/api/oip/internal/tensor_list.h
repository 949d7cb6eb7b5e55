#pragma once
#include <optional>
#include <string_view>
#include <vector>

#include "base/document.h"
#include "serve/servable.h"

namespace trainyard::api::oip::internal {

/// A body cut into its JSON and the binary contents behind it.
struct Body {
  std::string_view json;
  std::string_view binary;
};

/// Errors: INVALID_ARGUMENT "oip.request" for a header length that is no number or exceeds the body.
Result<Body> cut_body(std::string_view body, std::optional<std::string_view> header_length);

/// A request or an answer: its members, without tensor contents, and its tensors.
struct TensorMessage {
  Document members;
  std::vector<serve::NamedTensor> tensors;
};

/// Reads the tensors of the member `list` ("inputs" or "outputs"), each from its `data` or from its piece of the binary contents, and
/// checks them against their shape. Errors: INVALID_ARGUMENT "oip.request", "oip.data", "tensor.*", naming the tensor; UNIMPLEMENTED
/// "oip.shared_memory".
Result<TensorMessage> read_tensor_message(const Body& body, std::string_view list);

}  // namespace trainyard::api::oip::internal
