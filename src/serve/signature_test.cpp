#include "serve/signature.h"

#include <gtest/gtest.h>

#include "serve/testing/fake_servable.h"

namespace trainyard::serve {
namespace {

using testing::doubling_signature;

Signature two_inputs() {
  return {"fake", {{"a", DataType::kInt32, {-1, 2}}, {"b", DataType::kFp32, {-1}}}, {{"y", DataType::kFp32, {-1}}}};
}

NamedTensor zeros(std::string name, DataType type, Shape shape) {
  const std::size_t size = element_count(shape).value() * element_size(type);
  return {std::move(name), {type, std::move(shape), std::vector<std::byte>(size)}};
}

std::string refusal(const Signature& signature, std::vector<NamedTensor> inputs) {
  const auto bound = bind_inputs(signature, std::move(inputs));
  return bound.ok() ? "accepted" : bound.error().message;
}

TEST(Signature, inputs_come_back_in_the_order_of_the_model) {
  const auto bound = bind_inputs(two_inputs(), {zeros("b", DataType::kFp32, {3}), zeros("a", DataType::kInt32, {3, 2})});
  ASSERT_TRUE(bound.ok());
  EXPECT_EQ(bound->at(0).type, DataType::kInt32);
  EXPECT_EQ(row_count(*bound), 3u);
}

TEST(Signature, wrong_inputs_are_refused_by_name) {
  const NamedTensor a = zeros("a", DataType::kInt32, {3, 2});
  const NamedTensor b = zeros("b", DataType::kFp32, {3});
  EXPECT_EQ(refusal(two_inputs(), {a}), "Input is missing: b");
  EXPECT_EQ(refusal(two_inputs(), {a, b, b}), "Input is given twice: b");
  EXPECT_EQ(refusal(two_inputs(), {a, zeros("c", DataType::kFp32, {3})}), "The model has no input of this name: c");
  EXPECT_EQ(refusal(two_inputs(), {a, zeros("b", DataType::kFp64, {3})}), "Input has datatype FP64, the model expects FP32: b");
  EXPECT_EQ(refusal(two_inputs(), {zeros("a", DataType::kInt32, {3, 4}), b}),
            "Input has shape [3,4], the model expects [-1,2] (-1 is any length): a");
  EXPECT_EQ(refusal(two_inputs(), {zeros("a", DataType::kInt32, {3}), b}),
            "Input has shape [3], the model expects [-1,2] (-1 is any length): a");
  EXPECT_EQ(refusal(two_inputs(), {a, zeros("b", DataType::kFp32, {4})}), "Inputs have different numbers of rows, 3 and 4: b");
}

TEST(Signature, model_with_a_fixed_first_dimension_is_not_batchable) {
  EXPECT_TRUE(doubling_signature().batchable());
  Signature fixed = doubling_signature();
  fixed.outputs.front().shape.front() = 1;
  EXPECT_FALSE(fixed.batchable());
  fixed.outputs.front().shape.clear();
  EXPECT_FALSE(fixed.batchable());
}

TEST(Signature, zero_inputs_fit_the_signature) {
  const Signature signature{"fake", {{"a", DataType::kFp32, {-1, -1, 4}}, {"b", DataType::kBytes, {-1}}}, {{"y", DataType::kFp32, {-1}}}};
  for (const Tensor& tensor : zero_inputs(signature, 3)) EXPECT_TRUE(check_tensor(tensor).ok());
  EXPECT_EQ(zero_inputs(signature, 3).front().shape, (Shape{3, 1, 4}));
}

TEST(Signature, rows_are_split_as_they_were_joined) {
  const std::vector<float> first{1, 2};
  const std::vector<float> second{3, 4, 5, 6};
  Tensor whole = make_tensor<float>(DataType::kFp32, {1, 2}, first);
  append_rows(make_tensor<float>(DataType::kFp32, {2, 2}, second), whole);
  const auto parts = split_rows(whole, {1, 2});
  ASSERT_TRUE(parts.ok());
  EXPECT_EQ(testing::floats_of(parts->at(0)), first);
  EXPECT_EQ(testing::floats_of(parts->at(1)), second);
  EXPECT_EQ(parts->at(1).shape, (Shape{2, 2}));
}

TEST(Signature, rows_of_texts_are_split_at_their_lengths) {
  Tensor whole{DataType::kBytes, {3, 2}, {}};
  for (const std::string_view text : {"a", "", "bcd", "e", "f", "gh"}) append_bytes_element(text, whole.bytes);
  const auto parts = split_rows(whole, {2, 1});
  ASSERT_TRUE(parts.ok());
  EXPECT_EQ(bytes_elements(parts->at(0).bytes).value(), (std::vector<std::string_view>{"a", "", "bcd", "e"}));
  EXPECT_EQ(bytes_elements(parts->at(1).bytes).value(), (std::vector<std::string_view>{"f", "gh"}));
}

TEST(Signature, output_with_another_number_of_rows_is_never_split) {
  const std::vector<float> values{1, 2, 3};
  EXPECT_EQ(split_rows(make_tensor<float>(DataType::kFp32, {3}, values), {1, 1}).error().id, "serve.batch_output");
}

}  // namespace
}  // namespace trainyard::serve
