#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace trainyard::adapters::openvino::testing {

/// Writes the two protobuf wire types an ONNX file needs (https://protobuf.dev/programming-guides/encoding).
class ProtobufWriter {
 public:
  ProtobufWriter& varint(std::uint32_t field, std::uint64_t value) {
    raw_varint(field << 3U);
    raw_varint(value);
    return *this;
  }
  ProtobufWriter& bytes(std::uint32_t field, std::string_view value) {
    raw_varint((field << 3U) | 2U);
    raw_varint(value.size());
    text_.append(value);
    return *this;
  }
  ProtobufWriter& message(std::uint32_t field, const ProtobufWriter& value) { return bytes(field, value.text_); }
  const std::string& text() const { return text_; }

 private:
  void raw_varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7U) text_.push_back(static_cast<char>((value & 0x7fU) | 0x80U));
    text_.push_back(static_cast<char>(value));
  }
  std::string text_;
};

/// A linear classifier as an ONNX file: output = flatten(input) * weights + bias. Field numbers are those of onnx.proto3.
struct TinyLinearModel {
  std::vector<std::int64_t> input_shape{-1, 1, 2, 2};  ///< First dimension is the rows; -1 is free.
  std::int64_t classes = 3;
  std::vector<float> weights;  ///< [features, classes], row-major.
  std::vector<float> bias;     ///< [classes]
  std::string input_name = "input";
  std::string output_name = "logits";
};

namespace detail {

inline ProtobufWriter value_info(const std::string& name, const std::vector<std::int64_t>& shape) {
  ProtobufWriter dimensions;
  for (const std::int64_t length : shape) {
    ProtobufWriter dimension;
    if (length < 0) {
      dimension.bytes(2, "N");
    } else {
      dimension.varint(1, static_cast<std::uint64_t>(length));
    }
    dimensions.message(1, dimension);
  }
  const ProtobufWriter tensor = ProtobufWriter().varint(1, 1).message(2, dimensions);
  return ProtobufWriter().bytes(1, name).message(2, ProtobufWriter().message(1, tensor));
}

inline ProtobufWriter float_tensor(std::string_view name, const std::vector<std::int64_t>& shape, const std::vector<float>& values) {
  ProtobufWriter tensor;
  for (const std::int64_t length : shape) tensor.varint(1, static_cast<std::uint64_t>(length));
  const auto* bytes = static_cast<const char*>(static_cast<const void*>(values.data()));
  return tensor.varint(2, 1).bytes(8, name).bytes(9, {bytes, values.size() * sizeof(float)});
}

inline ProtobufWriter node(std::string_view type, const std::vector<std::string_view>& inputs, std::string_view output) {
  ProtobufWriter writer;
  for (const std::string_view input : inputs) writer.bytes(1, input);
  return writer.bytes(2, output).bytes(4, type);
}

}  // namespace detail

inline std::string onnx_text(const TinyLinearModel& model) {
  const auto features = static_cast<std::int64_t>(model.weights.size()) / model.classes;
  ProtobufWriter graph;
  graph.message(1, detail::node("Flatten", {model.input_name}, "flat"))
      .message(1, detail::node("Gemm", {"flat", "weights", "bias"}, model.output_name))
      .bytes(2, "tiny")
      .message(5, detail::float_tensor("weights", {features, model.classes}, model.weights))
      .message(5, detail::float_tensor("bias", {model.classes}, model.bias))
      .message(11, detail::value_info(model.input_name, model.input_shape))
      .message(12, detail::value_info(model.output_name, {model.input_shape.front(), model.classes}));
  return ProtobufWriter().varint(1, 8).message(7, graph).message(8, ProtobufWriter().bytes(1, "").varint(2, 13)).text();
}

}  // namespace trainyard::adapters::openvino::testing
