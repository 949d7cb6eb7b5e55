#include "apps/serve/check_onnx.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "serve/testing/fake_servable.h"

namespace trainyard::apps {
namespace {

class CheckOnnxTest : public ::testing::Test {
 protected:
  void SetUp() override { directory = make_temporary_directory("check-onnx").value(); }
  void TearDown() override { EXPECT_TRUE(remove_tree(directory).ok()); }

  std::string write(const std::string& name, const std::vector<float>& values) {
    const std::string path = directory + "/" + name;
    EXPECT_TRUE(write_file_atomically(path, as_text(std::as_bytes(std::span(values)))).ok());
    return path;
  }
  Result<Document> check(const std::vector<float>& inputs, const std::vector<float>& expected) {
    return check_onnx(loader, {"/model", write("inputs", inputs), write("expected", expected)});
  }

  std::string directory;
  serve::testing::FakeModelLoader loader;  ///< Rows of two values, doubled.
};

TEST_F(CheckOnnxTest, largest_difference_over_all_rows_is_reported) {
  EXPECT_EQ(to_json(check({1, 2, 3, 4}, {2, 4, 6, 8}).value()), R"({"max_abs_diff":0.0,"rows":2})");
  EXPECT_DOUBLE_EQ(check({1, 2, 3, 4}, {2, 4, 6.5F, 8}).value()["max_abs_diff"].as_double().value(), 0.5);
}

TEST_F(CheckOnnxTest, many_rows_are_checked_in_pieces) {
  std::vector<float> inputs(2 * 150);
  for (std::size_t i = 0; i < inputs.size(); ++i) inputs[i] = static_cast<float>(i);
  std::vector<float> expected = inputs;
  for (float& value : expected) value *= 2;
  expected.back() += 3;
  const Document figures = check(inputs, expected).value();
  EXPECT_EQ(figures["rows"].as_int().value(), 150);
  EXPECT_DOUBLE_EQ(figures["max_abs_diff"].as_double().value(), 3);
}

TEST_F(CheckOnnxTest, files_that_do_not_fit_are_refused) {
  EXPECT_EQ(check({1, 2, 3}, {2, 4}).error().id, "serve.check");
  EXPECT_EQ(check({1, 2, 3, 4}, {2, 4}).error().id, "serve.check");
  EXPECT_EQ(check({}, {}).error().id, "serve.check");
}

}  // namespace
}  // namespace trainyard::apps
