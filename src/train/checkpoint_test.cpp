#include "train/checkpoint.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <array>

#include "base/failpoint.h"
#include "base/file.h"

namespace trainyard::train {
namespace {

constexpr std::array<float, 2> kWeights{1.0F, 2.0F};

class CheckpointTest : public ::testing::Test {
 protected:
  void SetUp() override { root_ = make_temporary_directory("trainyard-checkpoint-").value() + "/checkpoints"; }
  void TearDown() override {
    ASSERT_TRUE(arm_failpoints("").ok());
    EXPECT_TRUE(remove_tree(root_.substr(0, root_.rfind('/'))).ok());
  }

  CheckpointDirectory open(std::uint32_t attempt, std::size_t keep = 2) {
    return CheckpointDirectory({.root = root_, .job = JobId(7), .attempt = AttemptNumber(attempt), .keep = keep});
  }
  static Result<std::string> write(CheckpointDirectory& directory, std::int64_t step) {
    const std::array<TensorView, 1> tensors{
        TensorView{.name = "w", .type = DataType::kFp32, .shape = {2}, .bytes = std::as_bytes(std::span(kWeights))}};
    ASSIGN_OR_RETURN(const CheckpointFile file, directory.write_tensors(step, 0, tensors));
    return directory.commit({.step = step, .configuration_hash = "c"}, {file});
  }
  static std::optional<std::int64_t> newest_step(CheckpointDirectory& directory) {
    const Result<std::optional<Checkpoint>> newest = directory.newest();
    EXPECT_TRUE(newest.ok()) << (newest.ok() ? "" : newest.error().describe());
    return newest.value() ? std::optional(newest.value()->state.step) : std::nullopt;
  }

  std::string root_;
};

TEST_F(CheckpointTest, empty_directory_has_no_checkpoint) {
  CheckpointDirectory directory = open(1);
  EXPECT_EQ(newest_step(directory), std::nullopt);
}

TEST_F(CheckpointTest, committed_checkpoint_is_read_back) {
  CheckpointDirectory directory = open(1);
  ASSERT_TRUE(directory.claim().ok());
  const Result<std::string> manifest = write(directory, 40);
  ASSERT_TRUE(manifest.ok()) << manifest.error().describe();
  const Result<std::optional<Checkpoint>> newest = directory.newest();
  ASSERT_TRUE(newest.ok() && newest.value());
  EXPECT_EQ(newest.value()->manifest, manifest.value());
  EXPECT_EQ(newest.value()->state.configuration_hash, "c");
  const Result<TensorFile> tensors = directory.read_tensors(*newest.value(), 0);
  ASSERT_TRUE(tensors.ok());
  ASSERT_NE(tensors->find("w"), nullptr);
  EXPECT_TRUE(directory.read_tensors(*newest.value(), 1)->tensors.empty());
}

TEST_F(CheckpointTest, files_without_manifest_are_no_checkpoint) {
  CheckpointDirectory directory = open(1);
  ASSERT_TRUE(directory.claim().ok());
  ASSERT_TRUE(write(directory, 10).ok());
  ASSERT_TRUE(arm_failpoints("checkpoint.after_write_before_manifest=io").ok());
  EXPECT_FALSE(write(directory, 20).ok());
  EXPECT_EQ(newest_step(directory), 10);
}

TEST_F(CheckpointTest, checkpoint_that_fails_after_its_manifest_counts) {
  CheckpointDirectory directory = open(1);
  ASSERT_TRUE(directory.claim().ok());
  ASSERT_TRUE(arm_failpoints("checkpoint.after_manifest=io").ok());
  EXPECT_FALSE(write(directory, 20).ok());
  EXPECT_EQ(newest_step(directory), 20);
}

TEST_F(CheckpointTest, damaged_checkpoint_is_passed_over_for_the_one_before) {
  CheckpointDirectory directory = open(1);
  ASSERT_TRUE(directory.claim().ok());
  for (const char* victim : {"rank-0.safetensors", "state.json", "MANIFEST"}) {
    ASSERT_TRUE(write(directory, 10).ok());
    ASSERT_TRUE(write(directory, 20).ok());
    const std::string path = fmt::format("{}/1/20/{}", root_, victim);
    std::string bytes = read_file(path).value();
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    ASSERT_TRUE(write_file_atomically(path, bytes).ok());
    std::vector<std::string> skipped;
    const Result<std::optional<Checkpoint>> newest = directory.newest(&skipped);
    ASSERT_TRUE(newest.ok() && newest.value());
    EXPECT_EQ(newest.value()->state.step, 10) << victim;
    EXPECT_EQ(skipped.size(), 1u) << victim;
  }
}

TEST_F(CheckpointTest, missing_file_is_passed_over_too) {
  CheckpointDirectory directory = open(1);
  ASSERT_TRUE(directory.claim().ok());
  ASSERT_TRUE(write(directory, 10).ok());
  ASSERT_TRUE(write(directory, 20).ok());
  ASSERT_TRUE(remove_tree(root_ + "/1/20/rank-0.safetensors").ok());
  EXPECT_EQ(newest_step(directory), 10);
}

TEST_F(CheckpointTest, later_attempt_reads_what_an_earlier_one_committed) {
  CheckpointDirectory first = open(1);
  ASSERT_TRUE(first.claim().ok());
  ASSERT_TRUE(write(first, 10).ok());
  CheckpointDirectory second = open(2);
  ASSERT_TRUE(second.claim().ok());
  EXPECT_EQ(newest_step(second), 10);
}

TEST_F(CheckpointTest, attempt_that_was_overtaken_commits_nothing) {
  CheckpointDirectory first = open(1);
  ASSERT_TRUE(first.claim().ok());
  ASSERT_TRUE(write(first, 10).ok());
  CheckpointDirectory second = open(2);
  ASSERT_TRUE(second.claim().ok());
  const Result<std::string> late = write(first, 20);
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error().id, "checkpoint.fenced");
  EXPECT_EQ(first.claim().error().id, "checkpoint.fenced");
  EXPECT_EQ(newest_step(second), 10);
}

TEST_F(CheckpointTest, removal_keeps_the_newest_and_drops_leftovers) {
  CheckpointDirectory first = open(1);
  ASSERT_TRUE(first.claim().ok());
  ASSERT_TRUE(write(first, 10).ok());
  ASSERT_TRUE(arm_failpoints("checkpoint.after_write_before_manifest=io").ok());
  EXPECT_FALSE(write(first, 15).ok());
  ASSERT_TRUE(arm_failpoints("").ok());
  CheckpointDirectory second = open(2);
  ASSERT_TRUE(second.claim().ok());
  for (const std::int64_t step : {20, 30, 40}) {
    ASSERT_TRUE(write(second, step).ok());
    ASSERT_TRUE(second.remove_old().ok());
  }
  EXPECT_EQ(list_directory(root_).value(), (std::vector<std::string>{"2"}));
  EXPECT_EQ(list_directory(root_ + "/2").value(), (std::vector<std::string>{"30", "40"}));
  EXPECT_EQ(newest_step(second), 40);
}

TEST_F(CheckpointTest, full_disk_is_an_error_and_leaves_the_older_checkpoint) {
  CheckpointDirectory directory = open(1);
  ASSERT_TRUE(directory.claim().ok());
  ASSERT_TRUE(write(directory, 10).ok());
  ASSERT_TRUE(arm_failpoints("checkpoint.after_write_before_manifest=disk_full").ok());
  EXPECT_EQ(write(directory, 20).error().id, "io.disk_full");
  EXPECT_EQ(newest_step(directory), 10);
}

}  // namespace
}  // namespace trainyard::train
