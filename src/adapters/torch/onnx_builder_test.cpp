#include "adapters/torch/onnx_builder.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <map>

namespace trainyard::adapters::torch {
namespace {

/// A protobuf message read field by field: numbers and bytes by field number.
struct Message {
  std::multimap<int, std::uint64_t> numbers;
  std::multimap<int, std::string> bytes;

  static std::uint64_t varint(const std::string& in, std::size_t& at) {
    std::uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      const auto byte = static_cast<std::uint8_t>(in.at(at++));
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if ((byte & 0x80) == 0) return value;
    }
  }
  static Message parse(const std::string& in) {
    Message message;
    for (std::size_t at = 0; at < in.size();) {
      const std::uint64_t key = varint(in, at);
      const int field = static_cast<int>(key >> 3U);
      if ((key & 7U) == 0) {
        message.numbers.emplace(field, varint(in, at));
      } else {
        EXPECT_EQ(key & 7U, 2u);
        const std::uint64_t length = varint(in, at);
        message.bytes.emplace(field, in.substr(at, length));
        at += length;
      }
    }
    return message;
  }
  std::string text(int field) const { return bytes.find(field)->second; }
  Message inner(int field) const { return parse(text(field)); }
};

std::string small_model() {
  OnnxBuilder onnx;
  const std::array<float, 2> weights{1.5F, -2.0F};
  onnx.initializer("w", {2, 1}, weights);
  onnx.node("Gemm", {"pixels", "w"}, "logits",
            {{.name = "transB", .integers = {1}, .is_list = false}, {.name = "pads", .integers = {0, 300}}});
  return onnx.finish("small", {.name = "pixels", .shape = {1, 28, 28}}, {.name = "logits", .shape = {10}});
}

TEST(OnnxBuilder, model_names_its_versions) {
  const Message model = Message::parse(small_model());
  EXPECT_EQ(model.numbers.find(1)->second, 7u);
  EXPECT_EQ(model.inner(8).numbers.find(2)->second, 13u);
}

TEST(OnnxBuilder, node_has_inputs_output_and_attributes) {
  const Message node = Message::parse(small_model()).inner(7).inner(1);
  EXPECT_EQ(node.bytes.count(1), 2u);
  EXPECT_EQ(node.text(2), "logits");
  EXPECT_EQ(node.text(4), "Gemm");
  const auto [first, last] = node.bytes.equal_range(5);
  const Message flag = Message::parse(first->second);
  EXPECT_EQ(flag.text(1), "transB");
  EXPECT_EQ(flag.numbers.find(3)->second, 1u);
  EXPECT_EQ(flag.numbers.find(20)->second, 2u);
  const Message list = Message::parse(std::next(first)->second);
  EXPECT_EQ(list.numbers.count(8), 2u);
  EXPECT_EQ(std::next(list.numbers.find(8))->second, 300u);
  EXPECT_EQ(list.numbers.find(20)->second, 7u);
}

TEST(OnnxBuilder, initializer_holds_the_raw_floats) {
  const Message tensor = Message::parse(small_model()).inner(7).inner(5);
  EXPECT_EQ(tensor.text(8), "w");
  EXPECT_EQ(tensor.numbers.count(1), 2u);
  std::array<float, 2> values{};
  ASSERT_EQ(tensor.text(9).size(), sizeof values);
  std::memcpy(values.data(), tensor.text(9).data(), sizeof values);
  EXPECT_EQ(values[1], -2.0F);
}

TEST(OnnxBuilder, first_dimension_of_input_and_output_is_open) {
  const Message graph = Message::parse(small_model()).inner(7);
  for (const int field : {11, 12}) {
    const Message shape = graph.inner(field).inner(2).inner(1).inner(2);
    EXPECT_EQ(Message::parse(shape.bytes.find(1)->second).text(2), "N");
  }
}

}  // namespace
}  // namespace trainyard::adapters::torch
