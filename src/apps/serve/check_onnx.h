#pragma once
#include <string>

#include "base/document.h"
#include "serve/servable.h"

namespace trainyard::apps {

/// Files of raw little-endian 32-bit floats, row after row.
struct CheckFiles {
  std::string model;
  std::string inputs;
  std::string expected;
};

/// Runs every row of `inputs` through the model's only input and compares its first output with `expected`:
/// {"max_abs_diff": x, "rows": N}. Errors: the loader's, INVALID_ARGUMENT "serve.check" for files of another size or another type of model.
Result<Document> check_onnx(serve::ModelLoader& loader, const CheckFiles& files);

}  // namespace trainyard::apps
