#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "domain/tensor.h"

namespace trainyard::adapters::torch {

/// An attribute of an ONNX node: whole numbers or one number.
struct OnnxAttribute {
  std::string name;
  std::vector<std::int64_t> integers;
  bool is_list = true;  ///< INTS, or INT with the only element of `integers`.
};

/// Writes an ONNX model (IR version 7, operator set 13) as protobuf bytes without a protobuf library. Only what these networks need is
/// known: float tensors, nodes with integer attributes. Field numbers: onnx.proto of ONNX 1.12, which later versions keep.
class OnnxBuilder {
 public:
  /// A constant tensor.
  void initializer(std::string_view name, const Shape& shape, std::span<const float> values);
  /// A node with one output.
  void node(std::string_view operation, const std::vector<std::string>& inputs, std::string_view output,
            const std::vector<OnnxAttribute>& attributes = {});

  struct Value {
    std::string name;
    Shape shape;  ///< Without the leading dimension, which is called "N".
  };
  /// The bytes of the model. The builder must not be used afterwards.
  std::string finish(std::string_view graph_name, const Value& input, const Value& output);

 private:
  std::string nodes_;  // Encoded fields of GraphProto.
  std::string initializers_;
  int node_count_ = 0;
};

}  // namespace trainyard::adapters::torch
