#include "apps/train/model_export.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "store/testing/fake_object_store.h"
#include "train/testing/blob_data.h"
#include "train/testing/linear_trainer.h"

namespace trainyard::apps {
namespace {

/// The checker is a script, so that each case decides what it says.
class ModelExportTest : public ::testing::Test {
 protected:
  void SetUp() override { directory_ = make_temporary_directory("trainyard-export-").value(); }
  void TearDown() override { EXPECT_TRUE(remove_tree(directory_).ok()); }

  Result<ExportedModel> run(const std::string& script) {
    const std::string checker = directory_ + "/checker";
    EXPECT_TRUE(write_file_atomically(checker, "#!/bin/sh\n" + script + "\n", 0700).ok());
    train::testing::LinearTrainer trainer(train::testing::BlobData::layout(), 4);
    return export_model(trainer, data_.view(), objects_, {.workdir = directory_, .checker = checker}, clock_);
  }

  SystemClock clock_;
  std::string directory_;
  train::testing::BlobData data_;
  store::testing::FakeObjectStore objects_;
};

TEST_F(ModelExportTest, model_that_agrees_is_stored_by_content) {
  const Result<ExportedModel> exported =
      run(R"([ "$1" = check-onnx ] && [ -s "$2" ] && [ -s "$3" ] && [ -s "$4" ] && echo '{"max_abs_diff": 0.00002}')");
  ASSERT_TRUE(exported.ok()) << exported.error().describe();
  EXPECT_DOUBLE_EQ(exported->difference, 0.00002);
  EXPECT_TRUE(exported->artifact.uri.starts_with("ty://models/"));
  EXPECT_EQ(objects_.list("models/").value().size(), 1u);
  EXPECT_EQ(file_size(directory_ + "/inputs.f32").value(), 60u * 16 * sizeof(float)) << "as many images as there are, up to 256";
  EXPECT_EQ(file_size(directory_ + "/expected.f32").value(), 60u * 4 * sizeof(float));
}

TEST_F(ModelExportTest, model_that_differs_is_not_stored) {
  for (const char* difference : {"0.001", "\"NaN\""}) {
    const Result<ExportedModel> exported = run(fmt::format("echo '{{\"max_abs_diff\": {}}}'", difference));
    ASSERT_FALSE(exported.ok()) << difference;
  }
  EXPECT_TRUE(objects_.list("models/").value().empty());
  EXPECT_EQ(run("echo '{\"max_abs_diff\": 0.001}'").error().id, "train.export_mismatch");
}

TEST_F(ModelExportTest, checker_that_fails_is_an_error) {
  EXPECT_EQ(run("exit 70").error().id, "train.export_check");
  EXPECT_FALSE(run("echo nonsense").ok());
}

}  // namespace
}  // namespace trainyard::apps
