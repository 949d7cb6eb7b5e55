#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace trainyard::api::oip::internal {

/// What a path below /v2/models names. Model names may hold slashes, so a path is read from its end.
struct ModelPath {
  std::string model;
  std::optional<std::int64_t> version;  ///< None: the one the server chooses.
  std::string verb;                     ///< "infer", "ready", "stats", "config", "generate"; empty for the model itself.
};

/// `rest` is what follows "/v2/models/". Versions are compared as text: "01" is not "1". Errors: NOT_FOUND "serve.unknown_version" or
/// "serve.unknown_model".
Result<ModelPath> parse_model_path(std::string_view rest);

}  // namespace trainyard::api::oip::internal
