#include "api/oip/internal/tensor_list.h"

#include <fmt/format.h>

#include <charconv>

#include "api/oip/internal/json_split.h"
#include "api/oip/internal/tensor_json.h"
#include "base/file.h"

namespace trainyard::api::oip::internal {
namespace {

Error request_error(std::string message) { return invalid_argument("oip.request", std::move(message)); }

/// The error of one tensor, which knows its cause but not its name.
Error named(Error error, std::string_view name) {
  error.message = fmt::format("{}: tensor {}", error.message, name);
  return error;
}

Result<Shape> shape_of(const Document& item, const std::string& name) {
  const Document& dimensions = item["shape"];
  if (!dimensions.is_array()) return request_error(fmt::format("Tensor has no array 'shape': {}", name));
  Shape shape;
  for (const Document& dimension : dimensions.items()) {
    if (dimension.kind() != Document::Kind::kInt) return request_error(fmt::format("Dimensions in 'shape' must be integers: {}", name));
    shape.push_back(dimension.as_int().value_or(-1));
  }
  return shape;
}

class TensorListReader {
 public:
  TensorListReader(std::vector<std::string_view> data, std::string_view binary) : data_(std::move(data)), binary_(binary) {}

  Result<serve::NamedTensor> read(const Document& item) {
    if (!item.is_object()) return request_error("Every tensor must be a JSON object");
    if (!item["name"].is_string()) return request_error("Tensor has no string 'name'");
    serve::NamedTensor named_tensor{item["name"].as_string().value_or(""), {}};
    const std::string& name = named_tensor.name;
    ASSIGN_OR_RETURN(Shape shape, shape_of(item, name));
    const std::string type_name = item["datatype"].as_string().value_or("");
    const std::optional<DataType> type = data_type_from(type_name);
    if (!type) return request_error(fmt::format("Tensor has an unknown datatype '{}': {}", type_name, name));
    const Document& parameters = item["parameters"];
    if (parameters.find("shared_memory_region") != nullptr) {
      return Error{Category::kUnimplemented, "oip.shared_memory", fmt::format("Shared memory is not supported: tensor {}", name), {}, {}};
    }
    const Document* binary_size = parameters.find("binary_data_size");
    if ((binary_size != nullptr) == (item.find("data") != nullptr)) {
      return request_error(fmt::format("Tensor needs either 'data' or the parameter 'binary_data_size': {}", name));
    }
    Result<Tensor> tensor =
        binary_size != nullptr ? take_binary(*binary_size, *type, std::move(shape)) : read_json(item["data"], *type, std::move(shape));
    if (!tensor.ok()) return named(std::move(tensor).error(), name);
    named_tensor.tensor = std::move(tensor).value();
    return named_tensor;
  }

  std::size_t binary_left() const { return binary_.size(); }

 private:
  Result<Tensor> take_binary(const Document& size, DataType type, Shape shape) {
    const std::int64_t wanted = size.kind() == Document::Kind::kInt ? size.as_int().value_or(-1) : -1;
    if (wanted < 0) return request_error("Parameter 'binary_data_size' must be a number of bytes");
    const auto length = static_cast<std::size_t>(wanted);
    if (length > binary_.size()) {
      return request_error(fmt::format("Binary data ends too early: {} bytes announced, {} left", length, binary_.size()));
    }
    const std::span<const std::byte> content = as_bytes(binary_.substr(0, length));
    Tensor tensor{type, std::move(shape), {content.begin(), content.end()}};
    binary_.remove_prefix(length);
    TRY(check_tensor(tensor));
    return tensor;
  }

  Result<Tensor> read_json(const Document& data, DataType type, Shape shape) {
    const std::int64_t index = data.kind() == Document::Kind::kInt ? data.as_int().value_or(-1) : -1;
    if (index < 0 || static_cast<std::size_t>(index) >= data_.size()) return request_error("Data must be an array");
    return tensor_from_json(data_[static_cast<std::size_t>(index)], type, std::move(shape));
  }

  std::vector<std::string_view> data_;
  std::string_view binary_;
};

}  // namespace

Result<Body> cut_body(std::string_view body, std::optional<std::string_view> header_length) {
  if (!header_length) return Body{body, {}};
  std::size_t length = 0;
  const char* end = header_length->data() + header_length->size();
  const auto [stopped, code] = std::from_chars(header_length->data(), end, length);
  if (code != std::errc() || stopped != end || length > body.size()) {
    return request_error(fmt::format("Inference-Header-Content-Length must be at most the {} bytes of the body: '{}'", body.size(),
                                     header_length->substr(0, 40)));
  }
  return Body{body.substr(0, length), body.substr(length)};
}

Result<TensorMessage> read_tensor_message(const Body& body, std::string_view list) {
  SplitJson split = split_tensor_data(body.json, list);
  Result<Document> parsed = parse_json(split.skeleton);
  if (!parsed.ok()) return request_error(fmt::format("Body is not well-formed JSON: {}", parsed.error().message));
  TensorMessage message{std::move(parsed).value(), {}};
  if (!message.members.is_object()) return request_error("Body must be a JSON object");
  const Document& items = message.members[list];
  if (!items.is_array()) return request_error(fmt::format("Body has no array '{}'", list));
  TensorListReader reader(std::move(split.data), body.binary);
  for (const Document& item : items.items()) {
    ASSIGN_OR_RETURN(serve::NamedTensor tensor, reader.read(item));
    message.tensors.push_back(std::move(tensor));
  }
  if (reader.binary_left() != 0) {
    return request_error(fmt::format("Body has {} bytes of binary data that belong to no tensor", reader.binary_left()));
  }
  return message;
}

}  // namespace trainyard::api::oip::internal
