#include "adapters/openvino/openvino_loader.h"

#include <gtest/gtest.h>

#include <thread>

#include "adapters/openvino/testing/tiny_onnx.h"
#include "base/file.h"
#include "serve/signature.h"

namespace trainyard::adapters::openvino {
namespace {

class OpenvinoLoaderTest : public ::testing::Test {
 protected:
  void SetUp() override { directory = make_temporary_directory("openvino-test").value(); }
  void TearDown() override { EXPECT_TRUE(remove_tree(directory).ok()); }

  std::string write_model(const testing::TinyLinearModel& model) {
    const std::string path = directory + "/model.onnx";
    EXPECT_TRUE(write_file_atomically(path, testing::onnx_text(model)).ok());
    return path;
  }
  std::unique_ptr<serve::Servable> load(const testing::TinyLinearModel& model, std::size_t instances = 1) {
    auto loaded = loader->load({write_model(model), instances});
    EXPECT_TRUE(loaded.ok()) << loaded.error().describe();
    return loaded.ok() ? std::move(loaded).value() : nullptr;
  }

  std::string directory;
  std::unique_ptr<serve::ModelLoader> loader = make_openvino_loader();
};

testing::TinyLinearModel four_to_three() { return {.weights = {1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1}, .bias = {0.5F, 0, -0.5F}}; }

std::vector<float> values_of(const Tensor& tensor) {
  const auto* values = static_cast<const float*>(static_cast<const void*>(tensor.bytes.data()));
  return {values, values + tensor.bytes.size() / sizeof(float)};
}

Tensor rows_of_ones(std::int64_t rows) {
  const std::vector<float> values(static_cast<std::size_t>(rows * 4), 1.0F);
  return make_tensor<float>(DataType::kFp32, {rows, 1, 2, 2}, values);
}

TEST_F(OpenvinoLoaderTest, onnx_file_gives_its_signature) {
  const auto servable = load(four_to_three());
  ASSERT_NE(servable, nullptr);
  const serve::Signature& signature = servable->signature();
  ASSERT_EQ(signature.inputs.size(), 1u);
  EXPECT_EQ(signature.inputs.front().name, "input");
  EXPECT_EQ(signature.inputs.front().shape, (Shape{-1, 1, 2, 2}));
  EXPECT_EQ(signature.outputs.front().name, "logits");
  EXPECT_EQ(signature.outputs.front().shape, (Shape{-1, 3}));
  EXPECT_TRUE(signature.batchable());
}

TEST_F(OpenvinoLoaderTest, linear_model_answers_its_arithmetic) {
  const auto servable = load(four_to_three());
  ASSERT_NE(servable, nullptr);
  const std::vector<float> values{1, 2, 3, 10, 0, 0, 0, 0};
  const auto outputs = servable->infer(0, {make_tensor<float>(DataType::kFp32, {2, 1, 2, 2}, values)});
  ASSERT_TRUE(outputs.ok()) << outputs.error().describe();
  EXPECT_EQ(outputs->front().shape, (Shape{2, 3}));
  EXPECT_EQ(values_of(outputs->front()), (std::vector<float>{11.5F, 12, 12.5F, 0.5F, 0, -0.5F}));
}

TEST_F(OpenvinoLoaderTest, instances_answer_at_the_same_time) {
  const auto servable = load(four_to_three(), 2);
  ASSERT_NE(servable, nullptr);
  std::vector<std::jthread> threads;
  std::atomic<int> right{0};
  for (std::size_t instance = 0; instance < 2; ++instance) {
    threads.emplace_back([&, instance] {
      for (std::int64_t rows = 1; rows <= 50; ++rows) {
        const auto outputs = servable->infer(instance, {rows_of_ones(rows)});
        if (outputs.ok() && outputs->front().shape == Shape{rows, 3} && values_of(outputs->front()).back() == 1.5F) ++right;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(right.load(), 100);
}

TEST_F(OpenvinoLoaderTest, batch_of_zero_rows_gives_zero_rows) {
  const auto servable = load(four_to_three());
  ASSERT_NE(servable, nullptr);
  const auto outputs = servable->infer(0, {rows_of_ones(0)});
  ASSERT_TRUE(outputs.ok()) << outputs.error().describe();
  EXPECT_EQ(outputs->front().shape, (Shape{0, 3}));
  EXPECT_TRUE(servable->infer(0, {rows_of_ones(1)}).ok());
}

TEST_F(OpenvinoLoaderTest, model_with_fixed_rows_is_not_batchable) {
  testing::TinyLinearModel model = four_to_three();
  model.input_shape.front() = 1;
  const auto servable = load(model);
  ASSERT_NE(servable, nullptr);
  EXPECT_FALSE(servable->signature().batchable());
}

TEST_F(OpenvinoLoaderTest, absent_and_damaged_files_are_refused) {
  EXPECT_EQ(loader->load({directory + "/none.onnx"}).error().id, "serve.model_missing");
  const std::string path = directory + "/damaged.onnx";
  ASSERT_TRUE(write_file_atomically(path, "not a model").ok());
  const auto loaded = loader->load({path});
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.error().id, "serve.model_unreadable");
  EXPECT_NE(loaded.error().message.find(path), std::string::npos);
}

}  // namespace
}  // namespace trainyard::adapters::openvino
