#include "apps/serve/check_onnx.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/file.h"

namespace trainyard::apps {
namespace {

constexpr std::size_t kRowsPerRun = 64;

Error check_error(std::string message) { return invalid_argument("serve.check", std::move(message)); }

Result<std::vector<float>> read_floats(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, read_file(path));
  if (text.size() % sizeof(float) != 0) return check_error(fmt::format("File is not a sequence of 32-bit floats: {}", path));
  std::vector<float> values(text.size() / sizeof(float));
  if (!text.empty()) std::memcpy(values.data(), text.data(), text.size());
  return values;
}

/// Elements of one row. Errors: dimensions behind the first must be fixed and not zero.
Result<std::size_t> row_size(const serve::TensorSpec& spec) {
  if (spec.type != DataType::kFp32 || spec.shape.empty()) return check_error(fmt::format("Tensor is not FP32 with rows: {}", spec.name));
  ASSIGN_OR_RETURN(const std::size_t size, element_count(Shape(spec.shape.begin() + 1, spec.shape.end())));
  if (size == 0) return check_error(fmt::format("Tensor has empty rows: {}", spec.name));
  return size;
}

double difference(float a, float b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b) ? 0 : std::numeric_limits<double>::infinity();
  return a == b ? 0 : std::abs(static_cast<double>(a) - static_cast<double>(b));
}

}  // namespace

Result<Document> check_onnx(serve::ModelLoader& loader, const CheckFiles& files) {
  ASSIGN_OR_RETURN(const std::unique_ptr<serve::Servable> servable, loader.load({files.model, 1}));
  const serve::Signature& signature = servable->signature();
  if (signature.inputs.size() != 1 || signature.outputs.empty()) return check_error("Model must have one input and an output");
  ASSIGN_OR_RETURN(const std::size_t input_size, row_size(signature.inputs.front()));
  ASSIGN_OR_RETURN(const std::size_t output_size, row_size(signature.outputs.front()));
  ASSIGN_OR_RETURN(const std::vector<float> inputs, read_floats(files.inputs));
  ASSIGN_OR_RETURN(const std::vector<float> expected, read_floats(files.expected));
  const std::size_t rows = inputs.size() / input_size;
  if (rows * input_size != inputs.size() || rows * output_size != expected.size() || rows == 0) {
    return check_error(fmt::format("Files do not hold the same number of rows: {} inputs of {}, {} expected values of {}", inputs.size(),
                                   input_size, expected.size(), output_size));
  }
  const std::int64_t fixed_rows = signature.inputs.front().shape.front();
  const std::size_t step = fixed_rows > 0 ? static_cast<std::size_t>(fixed_rows) : kRowsPerRun;
  if (fixed_rows > 0 && rows % step != 0) return check_error(fmt::format("Model takes {} rows at a time, the file has {}", step, rows));

  double largest = 0;
  for (std::size_t row = 0; row < rows; row += step) {
    const std::size_t count = std::min(step, rows - row);
    Shape shape = signature.inputs.front().shape;
    shape.front() = static_cast<std::int64_t>(count);
    const std::span<const float> values(inputs.data() + row * input_size, count * input_size);
    ASSIGN_OR_RETURN(const std::vector<Tensor> outputs,
                     servable->infer(0, {make_tensor<float>(DataType::kFp32, std::move(shape), values)}));
    std::vector<float> actual(count * output_size);
    if (outputs.front().bytes.size() != actual.size() * sizeof(float)) return check_error("Model answered with another number of values");
    std::memcpy(actual.data(), outputs.front().bytes.data(), outputs.front().bytes.size());
    for (std::size_t i = 0; i < actual.size(); ++i) largest = std::max(largest, difference(actual[i], expected[row * output_size + i]));
  }
  return Document::object({{"max_abs_diff", largest}, {"rows", static_cast<std::int64_t>(rows)}});
}

}  // namespace trainyard::apps
