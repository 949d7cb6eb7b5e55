#include "adapters/torch/torch_trainer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "base/checksum.h"
#include "base/rng.h"

namespace trainyard::adapters::torch {
namespace {

using train::RecordBatch;
using train::RecordLayout;
using train::RecordTable;

constexpr RecordLayout kLayout{.record_bytes = 145, .label_offset = 0, .pixels_offset = 1, .channels = 1, .height = 12, .width = 12};
constexpr std::int64_t kClasses = 3;

/// Images with one bright third each, which any of the models learns.
std::vector<std::byte> make_records(std::uint64_t rows) {
  SeededRng rng(11);
  std::vector<std::byte> bytes;
  for (std::uint64_t row = 0; row < rows; ++row) {
    const std::uint64_t label = rng.below(3);
    bytes.push_back(static_cast<std::byte>(label));
    for (std::uint64_t p = 0; p < 144; ++p) bytes.push_back(static_cast<std::byte>(rng.below(100) + (p / 48 == label ? 150 : 0)));
  }
  return bytes;
}

class TorchTrainerTest : public ::testing::TestWithParam<const char*> {
 protected:
  static void SetUpTestSuite() { configure_torch(1); }

  std::unique_ptr<train::Trainer> make(std::uint64_t seed = 1) const {
    return make_torch_trainer({.model = GetParam(), .model_width = 8, .classes = kClasses, .layout = kLayout, .seed = seed}).value();
  }
  RecordBatch batch(std::size_t begin, std::size_t count) const {
    return {.table = table_, .rows = std::span(rows_).subspan(begin, count)};
  }
  void train(train::Trainer& trainer, int from, int to) const {
    for (int step = from; step < to; ++step) {
      ASSERT_TRUE(trainer.compute_gradients(batch(static_cast<std::size_t>(step % 8) * 12, 12), 12).ok());
      ASSERT_TRUE(trainer.apply(0.05).ok());
    }
  }
  static std::string hash_of(const train::Trainer& trainer) { return xxh3_hex(std::as_bytes(trainer.parameters())); }

  std::vector<std::byte> records_ = make_records(96);
  RecordTable table_{.bytes = records_, .record_bytes = kLayout.record_bytes};
  std::vector<std::uint64_t> rows_ = [] {
    std::vector<std::uint64_t> rows(96);
    std::iota(rows.begin(), rows.end(), 0);
    return rows;
  }();
};

TEST_P(TorchTrainerTest, training_lowers_the_loss) {
  const std::unique_ptr<train::Trainer> trainer = make();
  const double before = train::score_logits(trainer->forward(batch(0, 96)).value(), batch(0, 96), kLayout).loss;
  train(*trainer, 0, 150);
  const train::BatchScore after = train::score_logits(trainer->forward(batch(0, 96)).value(), batch(0, 96), kLayout);
  EXPECT_LT(after.loss, before / 2);
  EXPECT_GT(after.correct, 80);
}

TEST_P(TorchTrainerTest, equal_seeds_give_equal_bits) {
  const std::unique_ptr<train::Trainer> a = make();
  const std::unique_ptr<train::Trainer> b = make();
  EXPECT_NE(hash_of(*a), hash_of(*make(2)));
  train(*a, 0, 5);
  train(*b, 0, 5);
  EXPECT_EQ(hash_of(*a), hash_of(*b));
}

TEST_P(TorchTrainerTest, restored_replica_goes_on_with_the_same_bits) {
  const std::unique_ptr<train::Trainer> undisturbed = make();
  train(*undisturbed, 0, 5);
  const std::vector<train::StateTensor> state = undisturbed->state();
  std::vector<train::TensorView> views;
  for (const train::StateTensor& tensor : state) views.push_back(tensor.view);
  const train::TensorFile file = train::decode_tensor_file(train::encode_tensor_file(views, {})).value();
  train(*undisturbed, 5, 12);

  const std::unique_ptr<train::Trainer> resumed = make(77);
  ASSERT_TRUE(resumed->restore(file.tensors).ok());
  train(*resumed, 5, 12);
  EXPECT_EQ(hash_of(*resumed), hash_of(*undisturbed));
  const std::span<const float> logits = resumed->forward(batch(0, 20)).value();
  EXPECT_TRUE(std::ranges::equal(logits, undisturbed->forward(batch(0, 20)).value())) << "running statistics came along";
}

TEST_P(TorchTrainerTest, incomplete_state_is_refused_and_changes_nothing) {
  const std::unique_ptr<train::Trainer> trainer = make();
  const std::string before = hash_of(*trainer);
  const std::unique_ptr<train::Trainer> other = make(2);
  std::vector<train::TensorView> views;
  for (const train::StateTensor& tensor : other->state()) views.push_back(tensor.view);
  views.erase(views.begin() + 1);
  EXPECT_EQ(trainer->restore(views).error().id, "checkpoint.incompatible");
  EXPECT_EQ(hash_of(*trainer), before);
}

TEST_P(TorchTrainerTest, gradients_of_two_half_batches_add_up_to_the_whole) {
  if (std::string_view(GetParam()) == "resnet18") GTEST_SKIP() << "normalises over the rows of its own batch";
  const std::unique_ptr<train::Trainer> trainer = make();
  ASSERT_TRUE(trainer->compute_gradients(batch(0, 24), 24).ok());
  const std::vector<float> whole(trainer->gradients().begin(), trainer->gradients().end());
  std::vector<float> sum(whole.size());
  for (const std::size_t half : {0u, 12u}) {
    ASSERT_TRUE(trainer->compute_gradients(batch(half, 12), 24).ok());
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += trainer->gradients()[i];
  }
  for (std::size_t i = 0; i < sum.size(); ++i) ASSERT_NEAR(sum[i], whole[i], 1e-5) << i;
}

TEST_P(TorchTrainerTest, gradient_is_the_slope_of_the_loss) {
  // Along the gradient the loss must change by its squared length: checked by a small step without momentum.
  const std::unique_ptr<train::Trainer> trainer =
      make_torch_trainer({.model = GetParam(), .model_width = 8, .classes = kClasses, .layout = kLayout, .momentum = 0, .seed = 1}).value();
  const double before = trainer->compute_gradients(batch(0, 24), 24)->loss / 24;
  double squared = 0;
  for (const float slope : trainer->gradients()) squared += static_cast<double>(slope) * slope;
  constexpr double kStep = 1e-3;
  ASSERT_TRUE(trainer->apply(kStep).ok());
  const double after = trainer->compute_gradients(batch(0, 24), 24)->loss / 24;
  EXPECT_NEAR((before - after) / (kStep * squared), 1.0, 0.1);
}

TEST_P(TorchTrainerTest, export_holds_every_weight) {
  const std::unique_ptr<train::Trainer> trainer = make();
  const Result<std::string> onnx = trainer->export_onnx();
  ASSERT_TRUE(onnx.ok());
  EXPECT_GT(onnx->size(), trainer->parameters().size() * sizeof(float) * 9 / 10);
  EXPECT_NE(onnx->find("pixels"), std::string::npos);
  EXPECT_NE(onnx->find("logits"), std::string::npos);
}

TEST_P(TorchTrainerTest, colour_images_are_taken_too) {
  const RecordLayout colour{.record_bytes = 3073, .label_offset = 3072, .pixels_offset = 0, .channels = 3, .height = 32, .width = 32};
  const std::vector<std::byte> bytes(3073 * 4, std::byte{1});
  const RecordTable table{.bytes = bytes, .record_bytes = 3073};
  const std::array<std::uint64_t, 4> rows{0, 1, 2, 3};
  const std::unique_ptr<train::Trainer> trainer =
      make_torch_trainer({.model = GetParam(), .model_width = 4, .classes = 10, .layout = colour}).value();
  const Result<std::span<const float>> logits = trainer->forward({.table = table, .rows = rows});
  ASSERT_TRUE(logits.ok()) << logits.error().describe();
  EXPECT_EQ(logits->size(), 40u);
}

INSTANTIATE_TEST_SUITE_P(Models, TorchTrainerTest, ::testing::Values("mlp", "cnn", "resnet18"),
                         [](const auto& model) { return model.param; });

TEST(MakeTorchTrainer, unknown_model_is_an_error_that_names_the_known_ones) {
  const Result<std::unique_ptr<train::Trainer>> trainer = make_torch_trainer({.model = "vgg"});
  ASSERT_FALSE(trainer.ok());
  EXPECT_EQ(trainer.error().id, "train.model");
  EXPECT_NE(trainer.error().message.find("resnet18"), std::string::npos);
}

TEST(MakeTorchTrainer, images_too_small_for_the_models_are_refused) {
  EXPECT_EQ(make_torch_trainer({.layout = {.record_bytes = 5, .height = 2, .width = 2}}).error().id, "train.model");
}

}  // namespace
}  // namespace trainyard::adapters::torch
