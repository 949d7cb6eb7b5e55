#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/byte_input.h"
#include "data/record_source.h"

namespace trainyard::data {

/// The head of an IDX file (the format of MNIST): two zero bytes, a type byte (8 = unsigned bytes), the number of dimensions, then each
/// dimension as a big-endian u32. The elements follow.
struct IdxHeader {
  std::vector<std::int64_t> dimensions;  ///< The first one counts the items.
};

/// Reads and checks the head. Errors: INVALID_ARGUMENT "data.idx" naming the file and what is wrong with it.
Result<IdxHeader> read_idx_header(ByteInput& input, std::size_t dimension_count);

/// Reads labelled images from a pair of IDX files, images and labels in the same order, plain or gzip. A label beyond the classes makes a
/// dead letter; everything else that is wrong makes the pair unusable. Errors: INVALID_ARGUMENT "data.idx" (magic, dimensions, counts
/// that differ, truncation, trailing bytes).
class IdxImageSource final : public RecordSource {
 public:
  struct Inputs {
    ByteInput& images;
    ByteInput& labels;
    std::int64_t index = 0;  ///< RecordBatch::sources.
  };
  /// The inputs outlive the source.
  static Result<IdxImageSource> open(Inputs inputs, ImageLayout layout);

  Result<bool> next(std::size_t rows_max, RecordBatch& batch, std::vector<DeadLetter>& dead) override;
  std::int64_t count() const { return count_; }

 private:
  IdxImageSource(Inputs inputs, ImageLayout layout, std::int64_t count) : inputs_(inputs), layout_(layout), count_(count) {}
  Result<void> read_exactly(ByteInput& input, std::span<std::byte> buffer, std::int64_t item_bytes) const;
  Result<void> check_end() const;

  Inputs inputs_;
  ImageLayout layout_;
  std::int64_t count_ = 0;
  std::int64_t position_ = 0;
  std::vector<std::byte> labels_;
};

}  // namespace trainyard::data
