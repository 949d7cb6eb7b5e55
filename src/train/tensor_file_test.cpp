#include "train/tensor_file.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

namespace trainyard::train {
namespace {

constexpr std::array<float, 3> kFloats{1.5F, -2.0F, 3.25F};
constexpr std::array<std::uint8_t, 2> kBytes{7, 9};

std::vector<TensorView> two_tensors() {
  return {{.name = "a", .type = DataType::kFp32, .shape = {3, 1}, .bytes = std::as_bytes(std::span(kFloats))},
          {.name = "b", .type = DataType::kUint8, .shape = {2}, .bytes = std::as_bytes(std::span(kBytes))}};
}

std::uint64_t header_length(const std::string& content) {
  std::uint64_t length = 0;
  std::memcpy(&length, content.data(), sizeof length);
  return length;
}

TEST(TensorFile, encoded_tensors_decode_to_the_same) {
  const Result<TensorFile> file = decode_tensor_file(encode_tensor_file(two_tensors(), {{"step", "4"}}));
  ASSERT_TRUE(file.ok()) << file.error().describe();
  ASSERT_EQ(file->tensors.size(), 2u);
  EXPECT_EQ(file->metadata.at("step"), "4");
  const TensorView* const a = file->find("a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->shape, (Shape{3, 1}));
  EXPECT_EQ(std::memcmp(a->bytes.data(), kFloats.data(), sizeof kFloats), 0);
  EXPECT_EQ(file->find("c"), nullptr);
}

TEST(TensorFile, data_begins_at_a_multiple_of_64_bytes) {
  const std::string content = encode_tensor_file(two_tensors(), {});
  EXPECT_EQ((8 + header_length(content)) % 64, 0u);
  EXPECT_EQ(content.size(), 8 + header_length(content) + 14);
}

TEST(TensorFile, header_is_what_the_format_says) {
  const std::string content = encode_tensor_file(two_tensors(), {});
  const std::string header = content.substr(8, header_length(content));
  EXPECT_EQ(header.substr(0, header.find_last_not_of(' ') + 1),
            R"({"a":{"dtype":"F32","shape":[3,1],"data_offsets":[0,12]},"b":{"dtype":"U8","shape":[2],"data_offsets":[12,14]}})");
}

TEST(TensorFile, no_tensors_are_a_file_too) {
  const Result<TensorFile> file = decode_tensor_file(encode_tensor_file({}, {}));
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE(file->tensors.empty());
}

TEST(TensorFile, every_cut_off_file_is_data_loss) {
  const std::string content = encode_tensor_file(two_tensors(), {{"k", "v"}});
  for (std::size_t length = 0; length < content.size(); ++length) {
    const Result<TensorFile> file = decode_tensor_file(content.substr(0, length));
    ASSERT_FALSE(file.ok()) << length;
    EXPECT_EQ(file.error().category, Category::kDataLoss);
  }
}

TEST(TensorFile, offsets_outside_the_data_are_data_loss) {
  for (const char* header :
       {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,400]}})", R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})",
        R"({"a":{"dtype":"F32","shape":[9223372036854775807],"data_offsets":[0,4]}})",
        R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", R"({"a":{"dtype":"Q9","shape":[1],"data_offsets":[0,4]}})",
        R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", R"({"a":3})", R"([])", R"({)"}) {
    const std::string text = header;
    std::string content(8, '\0');
    const std::uint64_t length = text.size();
    std::memcpy(content.data(), &length, sizeof length);
    const Result<TensorFile> file = decode_tensor_file(content + text + std::string(4, 'x'));
    ASSERT_FALSE(file.ok()) << header;
    EXPECT_EQ(file.error().id, "tensor_file.corrupt") << header;
  }
}

}  // namespace
}  // namespace trainyard::train
