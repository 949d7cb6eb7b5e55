#include "adapters/openvino/openvino_loader.h"

#include <fmt/format.h>

#include <cstring>
#include <map>
#include <mutex>
#include <openvino/openvino.hpp>

#include "base/file.h"

namespace trainyard::adapters::openvino {
namespace {

using serve::Servable;
using serve::Signature;
using serve::TensorSpec;

struct TypePair {
  DataType ours;
  ov::element::Type_t theirs;
};

constexpr TypePair kTypePairs[] = {
    {DataType::kBool, ov::element::Type_t::boolean}, {DataType::kUint8, ov::element::Type_t::u8},
    {DataType::kUint16, ov::element::Type_t::u16},   {DataType::kUint32, ov::element::Type_t::u32},
    {DataType::kUint64, ov::element::Type_t::u64},   {DataType::kInt8, ov::element::Type_t::i8},
    {DataType::kInt16, ov::element::Type_t::i16},    {DataType::kInt32, ov::element::Type_t::i32},
    {DataType::kInt64, ov::element::Type_t::i64},    {DataType::kFp16, ov::element::Type_t::f16},
    {DataType::kBf16, ov::element::Type_t::bf16},    {DataType::kFp32, ov::element::Type_t::f32},
    {DataType::kFp64, ov::element::Type_t::f64},     {DataType::kBytes, ov::element::Type_t::string},
};

std::optional<DataType> our_type(const ov::element::Type& type) {
  for (const TypePair& pair : kTypePairs) {
    if (pair.theirs == static_cast<ov::element::Type_t>(type)) return pair.ours;
  }
  return std::nullopt;
}

ov::element::Type their_type(DataType type) {
  for (const TypePair& pair : kTypePairs) {
    if (pair.ours == type) return pair.theirs;
  }
  return ov::element::dynamic;
}

/// The runtime's texts run over several lines; ours are one.
std::string one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    const char next = c == '\n' || c == '\t' ? ' ' : c;
    if (next != ' ' || (!line.empty() && line.back() != ' ')) line.push_back(next);
  }
  return line.substr(0, line.find_last_not_of(' ') + 1);
}

Error unreadable(const std::string& path, std::string_view why) {
  return invalid_argument("serve.model_unreadable", fmt::format("Model cannot be served; export it again: {}: {}", path, one_line(why)));
}

Result<TensorSpec> spec_of(const ov::Output<const ov::Node>& port, std::string name, const std::string& path) {
  const std::optional<DataType> type = our_type(port.get_element_type());
  if (!type) return unreadable(path, fmt::format("tensor {} has an unsupported element type", name));
  const ov::PartialShape& shape = port.get_partial_shape();
  if (shape.rank().is_dynamic()) return unreadable(path, fmt::format("tensor {} has no fixed number of dimensions", name));
  TensorSpec spec{std::move(name), *type, {}};
  for (const ov::Dimension& dimension : shape) spec.shape.push_back(dimension.is_static() ? dimension.get_length() : -1);
  return spec;
}

Result<Signature> signature_of(const ov::CompiledModel& model, const std::string& path) {
  Signature signature;
  signature.platform = "onnx_openvino";
  for (const auto& port : model.inputs()) {
    ASSIGN_OR_RETURN(TensorSpec spec, spec_of(port, port.get_any_name(), path));
    signature.inputs.push_back(std::move(spec));
  }
  for (const auto& port : model.outputs()) {
    ASSIGN_OR_RETURN(TensorSpec spec, spec_of(port, port.get_any_name(), path));
    signature.outputs.push_back(std::move(spec));
  }
  return signature;
}

/// A view of our bytes, except for texts, which the runtime keeps in objects of its own.
Result<ov::Tensor> to_runtime(const Tensor& tensor) {
  const ov::Shape shape(tensor.shape.begin(), tensor.shape.end());
  if (tensor.type != DataType::kBytes) {
    // The runtime only reads from input tensors although its constructor takes a writable pointer.
    return ov::Tensor(their_type(tensor.type), shape, const_cast<std::byte*>(tensor.bytes.data()));
  }
  ASSIGN_OR_RETURN(const std::vector<std::string_view> elements, bytes_elements(tensor.bytes));
  ov::Tensor texts(ov::element::string, shape);
  CHECK(texts.get_size() == elements.size(), "BYTES tensor was not checked against its shape");
  for (std::size_t i = 0; i < elements.size(); ++i) texts.data<std::string>()[i] = elements[i];
  return texts;
}

Tensor from_runtime(const ov::Tensor& tensor, DataType type) {
  const ov::Shape shape = tensor.get_shape();
  Tensor ours{type, Shape(shape.begin(), shape.end()), {}};
  if (type == DataType::kBytes) {
    for (std::size_t i = 0; i < tensor.get_size(); ++i) append_bytes_element(tensor.data<const std::string>()[i], ours.bytes);
  } else if (tensor.get_byte_size() > 0) {
    ours.bytes.resize(tensor.get_byte_size());
    std::memcpy(ours.bytes.data(), tensor.data(), ours.bytes.size());
  }
  return ours;
}

class OpenvinoServable final : public Servable {
 public:
  OpenvinoServable(ov::CompiledModel model, Signature signature, std::size_t instances)
      : model_(std::move(model)), signature_(std::move(signature)) {
    for (std::size_t i = 0; i < instances; ++i) requests_.push_back(model_.create_infer_request());
  }

  const Signature& signature() const override { return signature_; }
  std::size_t instances() const override { return requests_.size(); }

  Result<std::vector<Tensor>> infer(std::size_t instance, const std::vector<Tensor>& inputs) override {
    try {
      ov::InferRequest& request = requests_.at(instance);
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        ASSIGN_OR_RETURN(const ov::Tensor tensor, to_runtime(inputs[i]));
        request.set_input_tensor(i, tensor);
      }
      request.infer();
      std::vector<Tensor> outputs;
      for (std::size_t i = 0; i < signature_.outputs.size(); ++i) {
        outputs.push_back(from_runtime(request.get_output_tensor(i), signature_.outputs[i].type));
      }
      return outputs;
    } catch (const std::exception& failure) {
      return internal_error("serve.backend", fmt::format("The model failed on this input: {}", one_line(failure.what())));
    }
  }

 private:
  ov::CompiledModel model_;
  Signature signature_;
  std::vector<ov::InferRequest> requests_;
};

class OpenvinoLoader final : public serve::ModelLoader {
 public:
  Result<std::unique_ptr<Servable>> load(const serve::ModelSource& source) override {
    if (!file_exists(source.path)) {
      return not_found("serve.model_missing", fmt::format("Model file does not exist: {}", source.path));
    }
    try {
      ov::CompiledModel compiled = compile(source);
      ASSIGN_OR_RETURN(Signature signature, signature_of(compiled, source.path));
      return std::unique_ptr<Servable>(std::make_unique<OpenvinoServable>(std::move(compiled), std::move(signature), source.instances));
    } catch (const std::exception& failure) {
      return unreadable(source.path, failure.what());
    }
  }

 private:
  ov::CompiledModel compile(const serve::ModelSource& source) {
    const std::lock_guard lock(mutex_);
    if (!core_) core_ = std::make_unique<ov::Core>();
    const auto instances = static_cast<std::int32_t>(source.instances);
    // One stream of one thread per instance: instances then scale by themselves and do not wait for each other.
    return core_->compile_model(core_->read_model(source.path), "CPU", ov::num_streams(instances), ov::inference_num_threads(instances),
                                ov::hint::enable_cpu_pinning(false), ov::hint::inference_precision(ov::element::f32));
  }

  std::mutex mutex_;
  std::unique_ptr<ov::Core> core_;  // guarded by mutex_; made at the first load because it costs milliseconds
};

}  // namespace

std::unique_ptr<serve::ModelLoader> make_openvino_loader() { return std::make_unique<OpenvinoLoader>(); }

}  // namespace trainyard::adapters::openvino
