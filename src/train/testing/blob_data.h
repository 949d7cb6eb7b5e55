#pragma once
#include <cstdint>
#include <vector>

#include "base/rng.h"
#include "train/training_loop.h"

namespace trainyard::train::testing {

/// A small data set that can be learned: 4x4 images of four classes, each bright in its own quarter, with noise. Owns its bytes.
class BlobData {
 public:
  static constexpr std::int64_t kClasses = 4;

  explicit BlobData(std::uint64_t train_rows = 240, std::uint64_t validation_rows = 60)
      : train_(make(1, train_rows)), validation_(make(2, validation_rows)), test_(make(3, validation_rows)) {}

  static RecordLayout layout() {
    return {.record_bytes = 17, .label_offset = 0, .pixels_offset = 1, .channels = 1, .height = 4, .width = 4};
  }
  TrainData view() const {
    return {.layout = layout(),
            .classes = kClasses,
            .train = table(train_),
            .validation = table(validation_),
            .test = table(test_),
            .identity = "blobs"};
  }

 private:
  static RecordTable table(const std::vector<std::byte>& bytes) { return {.bytes = bytes, .record_bytes = layout().record_bytes}; }
  static std::vector<std::byte> make(std::uint64_t seed, std::uint64_t rows) {
    SeededRng rng(seed);
    std::vector<std::byte> bytes;
    for (std::uint64_t row = 0; row < rows; ++row) {
      const std::uint64_t label = rng.below(kClasses);
      bytes.push_back(static_cast<std::byte>(label));
      for (std::uint64_t p = 0; p < 16; ++p) {
        const std::uint64_t quarter = (p / 8) * 2 + (p % 4) / 2;
        bytes.push_back(static_cast<std::byte>(rng.below(160) + (quarter == label ? 90 : 0)));
      }
    }
    return bytes;
  }

  std::vector<std::byte> train_;
  std::vector<std::byte> validation_;
  std::vector<std::byte> test_;
};

}  // namespace trainyard::train::testing
