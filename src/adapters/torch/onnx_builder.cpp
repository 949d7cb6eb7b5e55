#include "adapters/torch/onnx_builder.h"

#include "base/file.h"

namespace trainyard::adapters::torch {
namespace {

// Field numbers of onnx.proto.
namespace model_proto {
constexpr int kIrVersion = 1, kProducerName = 2, kGraph = 7, kOpsetImport = 8;
}
namespace opset_proto {
constexpr int kVersion = 2;
}
namespace graph_proto {
constexpr int kNode = 1, kName = 2, kInitializer = 5, kInput = 11, kOutput = 12;
}
namespace node_proto {
constexpr int kInput = 1, kOutput = 2, kName = 3, kOpType = 4, kAttribute = 5;
}
namespace attribute_proto {
constexpr int kName = 1, kInteger = 3, kIntegers = 8, kType = 20;
constexpr std::uint64_t kTypeInteger = 2, kTypeIntegers = 7;
}  // namespace attribute_proto
namespace tensor_proto {
constexpr int kDims = 1, kDataType = 2, kName = 8, kRawData = 9;
constexpr std::uint64_t kFloat = 1;
}  // namespace tensor_proto
namespace value_proto {
constexpr int kName = 1, kType = 2;
}
namespace type_proto {
constexpr int kTensorType = 1, kElementType = 1, kShape = 2, kDimension = 1, kDimensionValue = 1, kDimensionParameter = 2;
}

constexpr std::uint64_t kIrVersion = 7;
constexpr std::uint64_t kOperatorSet = 13;

void append_varint(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>((value & 0x7F) | 0x80));
    value >>= 7U;
  }
  out.push_back(static_cast<char>(value));
}

void append_number(std::string& out, int field, std::uint64_t value) {
  append_varint(out, static_cast<std::uint64_t>(field) << 3U);  // Wire type 0.
  append_varint(out, value);
}

void append_bytes(std::string& out, int field, std::string_view bytes) {
  append_varint(out, (static_cast<std::uint64_t>(field) << 3U) | 2U);  // Wire type 2.
  append_varint(out, bytes.size());
  out += bytes;
}

std::string encode_attribute(const OnnxAttribute& attribute) {
  std::string out;
  append_bytes(out, attribute_proto::kName, attribute.name);
  for (const std::int64_t value : attribute.integers) {
    append_number(out, attribute.is_list ? attribute_proto::kIntegers : attribute_proto::kInteger, static_cast<std::uint64_t>(value));
  }
  append_number(out, attribute_proto::kType, attribute.is_list ? attribute_proto::kTypeIntegers : attribute_proto::kTypeInteger);
  return out;
}

std::string encode_value(const OnnxBuilder::Value& value) {
  std::string shape;
  std::string batch;
  append_bytes(batch, type_proto::kDimensionParameter, "N");
  append_bytes(shape, type_proto::kDimension, batch);
  for (const std::int64_t length : value.shape) {
    std::string dimension;
    append_number(dimension, type_proto::kDimensionValue, static_cast<std::uint64_t>(length));
    append_bytes(shape, type_proto::kDimension, dimension);
  }
  std::string tensor;
  append_number(tensor, type_proto::kElementType, tensor_proto::kFloat);
  append_bytes(tensor, type_proto::kShape, shape);
  std::string type;
  append_bytes(type, type_proto::kTensorType, tensor);
  std::string out;
  append_bytes(out, value_proto::kName, value.name);
  append_bytes(out, value_proto::kType, type);
  return out;
}

}  // namespace

void OnnxBuilder::initializer(std::string_view name, const Shape& shape, std::span<const float> values) {
  std::string tensor;
  for (const std::int64_t length : shape) append_number(tensor, tensor_proto::kDims, static_cast<std::uint64_t>(length));
  append_number(tensor, tensor_proto::kDataType, tensor_proto::kFloat);
  append_bytes(tensor, tensor_proto::kName, name);
  append_bytes(tensor, tensor_proto::kRawData, as_text(std::as_bytes(values)));
  append_bytes(initializers_, graph_proto::kInitializer, tensor);
}

void OnnxBuilder::node(std::string_view operation, const std::vector<std::string>& inputs, std::string_view output,
                       const std::vector<OnnxAttribute>& attributes) {
  std::string node;
  for (const std::string& input : inputs) append_bytes(node, node_proto::kInput, input);
  append_bytes(node, node_proto::kOutput, output);
  append_bytes(node, node_proto::kName, std::string(operation) + "_" + std::to_string(node_count_++));
  append_bytes(node, node_proto::kOpType, operation);
  for (const OnnxAttribute& attribute : attributes) append_bytes(node, node_proto::kAttribute, encode_attribute(attribute));
  append_bytes(nodes_, graph_proto::kNode, node);
}

std::string OnnxBuilder::finish(std::string_view graph_name, const Value& input, const Value& output) {
  std::string graph = std::move(nodes_);
  append_bytes(graph, graph_proto::kName, graph_name);
  graph += initializers_;
  append_bytes(graph, graph_proto::kInput, encode_value(input));
  append_bytes(graph, graph_proto::kOutput, encode_value(output));

  std::string operator_set;
  append_number(operator_set, opset_proto::kVersion, kOperatorSet);
  std::string model;
  append_number(model, model_proto::kIrVersion, kIrVersion);
  append_bytes(model, model_proto::kProducerName, "trainyard");
  append_bytes(model, model_proto::kGraph, graph);
  append_bytes(model, model_proto::kOpsetImport, operator_set);
  return model;
}

}  // namespace trainyard::adapters::torch
