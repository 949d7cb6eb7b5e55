#include "domain/tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace trainyard {
namespace {

TEST(Tensor, data_type_names_are_read_back) {
  for (int i = 0; i <= static_cast<int>(DataType::kBytes); ++i) {
    const auto type = static_cast<DataType>(i);
    EXPECT_EQ(data_type_from(name_of(type)), type);
  }
  EXPECT_FALSE(data_type_from("fp32").has_value());
}

TEST(Tensor, element_count_of_a_scalar_is_one_and_of_an_empty_dimension_zero) {
  EXPECT_EQ(element_count({}).value(), 1u);
  EXPECT_EQ(element_count({3, 0, 5}).value(), 0u);
  EXPECT_EQ(element_count({2, 3}).value(), 6u);
}

TEST(Tensor, impossible_shape_is_refused) {
  EXPECT_EQ(element_count({-1, 2}).error().id, "tensor.shape");
  EXPECT_EQ(element_count({1 << 30, 1 << 30}).error().id, "tensor.shape");
  EXPECT_EQ(element_count({1LL << 62, 1LL << 62, 0}).error().id, "tensor.shape");
}

TEST(Tensor, wrong_number_of_bytes_is_refused) {
  Tensor tensor{DataType::kFp32, {2, 2}, std::vector<std::byte>(16)};
  EXPECT_TRUE(check_tensor(tensor).ok());
  tensor.bytes.pop_back();
  EXPECT_EQ(check_tensor(tensor).error().message, "FP32 tensor of shape [2,2] needs 16 bytes, its data has 15");
}

TEST(Tensor, bool_other_than_zero_and_one_is_refused) {
  EXPECT_EQ(check_tensor({DataType::kBool, {1}, {std::byte{2}}}).error().id, "tensor.bytes");
}

TEST(Tensor, bytes_elements_come_back_as_they_went_in) {
  Tensor tensor{DataType::kBytes, {3}, {}};
  for (const std::string_view element : {"a", "", "xyz"}) append_bytes_element(element, tensor.bytes);
  ASSERT_TRUE(check_tensor(tensor).ok());
  EXPECT_EQ(bytes_elements(tensor.bytes).value(), (std::vector<std::string_view>{"a", "", "xyz"}));
  tensor.bytes.pop_back();
  EXPECT_EQ(check_tensor(tensor).error().id, "tensor.bytes");
}

TEST(Half, every_half_survives_the_way_through_float) {
  for (std::uint32_t bits = 0; bits < 0x10000u; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = float_from_half(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(float_from_half(half_from_float(value))));
    } else {
      ASSERT_EQ(half_from_float(value), half) << bits;
    }
  }
}

TEST(Half, float_is_rounded_to_nearest_even) {
  EXPECT_EQ(half_from_float(1.0F), 0x3c00);
  EXPECT_EQ(half_from_float(65504.0F), 0x7bff);
  EXPECT_EQ(half_from_float(65520.0F), 0x7c00);
  EXPECT_EQ(half_from_float(1.0F + 0x1p-11F), 0x3c00);
  EXPECT_EQ(half_from_float(1.0F + 3 * 0x1p-11F), 0x3c02);
  EXPECT_EQ(half_from_float(0x1p-25F), 0x0000);
  EXPECT_EQ(half_from_float(std::numeric_limits<float>::infinity()), 0x7c00);
  EXPECT_EQ(half_from_float(-2.0F), 0xc000);
}

}  // namespace
}  // namespace trainyard
