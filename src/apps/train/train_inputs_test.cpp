#include "apps/train/train_inputs.h"

#include <gtest/gtest.h>

#include "base/file.h"

namespace trainyard::apps {
namespace {

class TrainInputsTest : public ::testing::Test {
 protected:
  void SetUp() override { directory_ = make_temporary_directory("trainyard-inputs-").value(); }
  void TearDown() override { EXPECT_TRUE(remove_tree(directory_).ok()); }

  struct Split {
    std::string role;
    std::vector<std::uint8_t> labels;
    std::int64_t side = 2;
    std::string pixels = "pixels";
  };
  /// A pack of 1 x side x side images, and the entry that a spec would hold for it.
  void add(const Split& split) {
    const auto pixel_count = static_cast<std::size_t>(split.side * split.side);
    data::PackHeader header{.record_bytes = 1 + pixel_count, .classes = 3};
    header.fields = {{.name = "label", .type = "uint8", .shape = {}, .offset = 0},
                     {.name = split.pixels, .type = "uint8", .shape = {1, split.side, split.side}, .offset = 1}};
    const std::string path = directory_ + "/" + std::to_string(dataset_.files.size()) + ".pack";
    data::PackWriter writer = data::PackWriter::create(path, header).value();
    for (const std::uint8_t label : split.labels) {
      std::vector<std::byte> record(1 + pixel_count, std::byte{9});
      record[0] = std::byte{label};
      ASSERT_TRUE(writer.append(record).ok());
    }
    ASSERT_TRUE(writer.finish().ok());
    dataset_.files.push_back({.uri = "ty://packs/x", .path = path, .role = split.role});
  }

  std::string directory_;
  runner::InputDataset dataset_;
};

TEST_F(TrainInputsTest, packs_of_all_splits_are_mapped) {
  add({.role = "pack:train", .labels = {0, 1, 2, 1}});
  add({.role = "pack:validation", .labels = {1}});
  add({.role = "pack:test", .labels = {2, 2}});
  const Result<TrainInputs> inputs = open_train_inputs(dataset_, {});
  ASSERT_TRUE(inputs.ok()) << inputs.error().describe();
  EXPECT_EQ(inputs->data.classes, 3);
  EXPECT_EQ(inputs->data.layout.height, 2);
  EXPECT_EQ(inputs->data.train.rows(), 4u);
  EXPECT_EQ(inputs->data.validation.rows(), 1u);
  EXPECT_EQ(inputs->data.test.record(1)[0], std::byte{2});
}

TEST_F(TrainInputsTest, validation_and_test_may_be_missing) {
  add({.role = "pack:train", .labels = {0, 1}});
  const Result<TrainInputs> inputs = open_train_inputs(dataset_, {});
  ASSERT_TRUE(inputs.ok());
  EXPECT_EQ(inputs->data.test.rows(), 0u);
}

TEST_F(TrainInputsTest, missing_training_split_is_a_bad_configuration) {
  add({.role = "pack:test", .labels = {0}});
  EXPECT_EQ(open_train_inputs(dataset_, {}).error().id, "spec.input_file");
}

TEST_F(TrainInputsTest, label_beyond_the_classes_is_bad_data) {
  add({.role = "pack:train", .labels = {0, 3}});
  EXPECT_EQ(open_train_inputs(dataset_, {}).error().category, Category::kDataLoss);
}

TEST_F(TrainInputsTest, splits_that_differ_in_layout_are_bad_data) {
  add({.role = "pack:train", .labels = {0}});
  add({.role = "pack:test", .labels = {0}, .side = 3});
  EXPECT_EQ(open_train_inputs(dataset_, {}).error().id, "train.data");
}

TEST_F(TrainInputsTest, records_without_pixels_are_bad_data) {
  add({.role = "pack:train", .labels = {0}, .pixels = "sound"});
  EXPECT_EQ(open_train_inputs(dataset_, {}).error().id, "train.data");
}

TEST_F(TrainInputsTest, damaged_pack_is_bad_data) {
  add({.role = "pack:train", .labels = {0, 1}});
  std::string bytes = read_file(dataset_.files[0].path).value();
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  ASSERT_TRUE(write_file_atomically(dataset_.files[0].path, bytes).ok());
  EXPECT_EQ(open_train_inputs(dataset_, {}).error().category, Category::kDataLoss);
}

TEST_F(TrainInputsTest, trial_without_validation_split_is_a_bad_configuration) {
  add({.role = "pack:train", .labels = {0, 1}});
  EXPECT_EQ(open_train_inputs(dataset_, {.trial = {.rung_steps = {1}}}).error().id, "train.rung_steps");
}

}  // namespace
}  // namespace trainyard::apps
