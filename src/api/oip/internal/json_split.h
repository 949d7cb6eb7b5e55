#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace trainyard::api::oip::internal {

/// A JSON text in which the value of every `data` member below the list `list` is replaced by its index in `data`.
struct SplitJson {
  std::string skeleton;
  std::vector<std::string_view> data;  ///< Views into the text that was split.
};

/// Cuts tensor contents out of a request or answer before it becomes a tree: they are most of the text, go straight into tensor bytes, and
/// may hold the tokens NaN and Infinity, which JSON has not. Never fails: what is malformed stays in the skeleton, or in a piece of data,
/// and is refused there. Runs in one pass over the text.
SplitJson split_tensor_data(std::string_view text, std::string_view list);

}  // namespace trainyard::api::oip::internal
