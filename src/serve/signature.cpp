#include "serve/signature.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace trainyard::serve {
namespace {

bool shape_fits(const Shape& shape, const Shape& declared) {
  return std::equal(shape.begin(), shape.end(), declared.begin(), declared.end(),
                    [](std::int64_t length, std::int64_t wanted) { return wanted == -1 || length == wanted; });
}

bool free_rows(const std::vector<TensorSpec>& specs) {
  return std::all_of(specs.begin(), specs.end(), [](const TensorSpec& spec) { return !spec.shape.empty() && spec.shape.front() == -1; });
}

Error input_error(std::string message) { return invalid_argument("serve.input", std::move(message)); }

Result<void> check_input(const TensorSpec& spec, const Tensor& tensor) {
  if (tensor.type != spec.type) {
    return input_error(fmt::format("Input has datatype {}, the model expects {}: {}", name_of(tensor.type), name_of(spec.type), spec.name));
  }
  if (!shape_fits(tensor.shape, spec.shape)) {
    return input_error(fmt::format("Input has shape {}, the model expects {} (-1 is any length): {}", text_of(tensor.shape),
                                   text_of(spec.shape), spec.name));
  }
  return {};
}

/// Where each row of the content starts, with the end as last entry.
Result<std::vector<std::size_t>> row_offsets(const Tensor& whole, std::size_t rows) {
  std::vector<std::size_t> offsets{0};
  if (whole.type != DataType::kBytes) {
    const std::size_t row_bytes = rows == 0 ? 0 : whole.bytes.size() / rows;
    for (std::size_t row = 1; row <= rows; ++row) offsets.push_back(row * row_bytes);
    return offsets;
  }
  ASSIGN_OR_RETURN(const std::vector<std::string_view> elements, bytes_elements(whole.bytes));
  const std::size_t per_row = rows == 0 ? 0 : elements.size() / rows;
  std::size_t offset = 0;
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t i = 0; i < per_row; ++i) offset += sizeof(std::uint32_t) + elements[row * per_row + i].size();
    offsets.push_back(offset);
  }
  return offsets;
}

}  // namespace

bool Signature::batchable() const { return !inputs.empty() && !outputs.empty() && free_rows(inputs) && free_rows(outputs); }

Result<std::vector<Tensor>> bind_inputs(const Signature& signature, std::vector<NamedTensor> inputs) {
  std::vector<Tensor> bound(signature.inputs.size());
  std::vector<bool> seen(signature.inputs.size(), false);
  for (NamedTensor& input : inputs) {
    const auto spec = std::find_if(signature.inputs.begin(), signature.inputs.end(),
                                   [&input](const TensorSpec& candidate) { return candidate.name == input.name; });
    if (spec == signature.inputs.end()) return input_error(fmt::format("The model has no input of this name: {}", input.name));
    const auto index = static_cast<std::size_t>(spec - signature.inputs.begin());
    if (seen[index]) return input_error(fmt::format("Input is given twice: {}", input.name));
    TRY(check_input(*spec, input.tensor));
    seen[index] = true;
    bound[index] = std::move(input.tensor);
  }
  for (std::size_t i = 0; i < seen.size(); ++i) {
    if (!seen[i]) return input_error(fmt::format("Input is missing: {}", signature.inputs[i].name));
  }
  if (signature.batchable()) {
    for (std::size_t i = 1; i < bound.size(); ++i) {
      if (bound[i].shape.front() != bound.front().shape.front()) {
        return input_error(fmt::format("Inputs have different numbers of rows, {} and {}: {}", bound.front().shape.front(),
                                       bound[i].shape.front(), signature.inputs[i].name));
      }
    }
  }
  return bound;
}

std::size_t row_count(const std::vector<Tensor>& inputs) {
  if (inputs.empty() || inputs.front().shape.empty()) return 1;
  return static_cast<std::size_t>(inputs.front().shape.front());
}

std::vector<Tensor> zero_inputs(const Signature& signature, std::int64_t rows) {
  std::vector<Tensor> inputs;
  for (const TensorSpec& spec : signature.inputs) {
    Tensor tensor{spec.type, spec.shape, {}};
    for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
      if (tensor.shape[i] == -1) tensor.shape[i] = i == 0 ? rows : 1;
    }
    const std::size_t count = element_count(tensor.shape).value_or(0);
    const std::size_t size = spec.type == DataType::kBytes ? sizeof(std::uint32_t) : element_size(spec.type);
    tensor.bytes.resize(count * size);
    inputs.push_back(std::move(tensor));
  }
  return inputs;
}

void append_rows(const Tensor& part, Tensor& whole) {
  CHECK(part.type == whole.type && part.shape.size() == whole.shape.size() && !part.shape.empty() &&
            std::equal(part.shape.begin() + 1, part.shape.end(), whole.shape.begin() + 1),
        "rows of different tensors cannot share a batch");
  whole.shape.front() += part.shape.front();
  whole.bytes.insert(whole.bytes.end(), part.bytes.begin(), part.bytes.end());
}

Result<std::vector<Tensor>> split_rows(const Tensor& whole, const std::vector<std::size_t>& rows) {
  const std::size_t total = std::accumulate(rows.begin(), rows.end(), std::size_t{0});
  if (whole.shape.empty() || whole.shape.front() != static_cast<std::int64_t>(total)) {
    return internal_error("serve.batch_output",
                          fmt::format("The model answered a batch of {} rows with an output of shape {}", total, text_of(whole.shape)));
  }
  ASSIGN_OR_RETURN(const std::vector<std::size_t> offsets, row_offsets(whole, total));
  std::vector<Tensor> parts;
  std::size_t first = 0;
  for (const std::size_t count : rows) {
    Tensor part{whole.type, whole.shape, {}};
    part.shape.front() = static_cast<std::int64_t>(count);
    const std::byte* bytes = whole.bytes.data();
    part.bytes.assign(bytes + offsets[first], bytes + offsets[first + count]);
    first += count;
    parts.push_back(std::move(part));
  }
  return parts;
}

}  // namespace trainyard::serve
