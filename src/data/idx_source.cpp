#include "data/idx_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace trainyard::data {
namespace {

constexpr std::byte kUnsignedBytes{0x08};

Error bad_idx(std::string what, const std::string& path) {
  return invalid_argument("data.idx",
                          fmt::format("an IDX file cannot be read; fetch it again or correct its entry under sources: {}: {}", what, path));
}

std::uint32_t big_endian(std::span<const std::byte, 4> bytes) {
  std::uint32_t value = 0;
  for (const std::byte byte : bytes) value = value << 8 | static_cast<std::uint32_t>(byte);
  return value;
}

Result<void> check_trailing(ByteInput& input) {
  std::array<std::byte, 1> extra{};
  ASSIGN_OR_RETURN(const std::size_t got, input.read(extra));
  if (got == 0) return {};
  return bad_idx("it has bytes behind the last item that its header announces", input.path());
}

}  // namespace

Result<IdxHeader> read_idx_header(ByteInput& input, std::size_t dimension_count) {
  std::array<std::byte, 4> word{};
  ASSIGN_OR_RETURN(const std::size_t got, input.read(word));
  if (got < word.size()) return bad_idx(fmt::format("it is truncated, {} bytes are no header", got), input.path());
  if (word[0] != std::byte{0} || word[1] != std::byte{0}) {
    return bad_idx(
        fmt::format("its magic number is {:08x} where 0000080{} belongs, so it is no IDX file", big_endian(word), dimension_count),
        input.path());
  }
  if (word[2] != kUnsignedBytes)
    return bad_idx(fmt::format("its elements have type {:02x} instead of 08, unsigned bytes", static_cast<unsigned>(word[2])),
                   input.path());
  if (static_cast<std::size_t>(word[3]) != dimension_count) {
    return bad_idx(
        fmt::format("it has {} dimensions instead of {}; are images and labels mixed up?", static_cast<unsigned>(word[3]), dimension_count),
        input.path());
  }
  IdxHeader header;
  for (std::size_t i = 0; i < dimension_count; ++i) {
    ASSIGN_OR_RETURN(const std::size_t bytes, input.read(word));
    if (bytes < word.size()) return bad_idx("it is truncated inside the header", input.path());
    header.dimensions.push_back(big_endian(word));
  }
  return header;
}

Result<IdxImageSource> IdxImageSource::open(Inputs inputs, ImageLayout layout) {
  ASSIGN_OR_RETURN(const IdxHeader images, read_idx_header(inputs.images, 3));
  ASSIGN_OR_RETURN(const IdxHeader labels, read_idx_header(inputs.labels, 1));
  if (images.dimensions[1] != layout.height || images.dimensions[2] != layout.width) {
    return bad_idx(fmt::format("its images are {}x{} and the configuration says {}x{}", images.dimensions[1], images.dimensions[2],
                               layout.height, layout.width),
                   inputs.images.path());
  }
  if (images.dimensions[0] != labels.dimensions[0]) {
    return bad_idx(
        fmt::format("it has {} images and there are {} labels in {}", images.dimensions[0], labels.dimensions[0], inputs.labels.path()),
        inputs.images.path());
  }
  return IdxImageSource(inputs, layout, images.dimensions[0]);
}

Result<void> IdxImageSource::read_exactly(ByteInput& input, std::span<std::byte> buffer, std::int64_t item_bytes) const {
  ASSIGN_OR_RETURN(const std::size_t got, input.read(buffer));
  if (got == buffer.size()) return {};
  return bad_idx(fmt::format("it is truncated, its header announces {} items and only {} are whole", count_,
                             position_ + static_cast<std::int64_t>(got) / item_bytes),
                 input.path());
}

Result<void> IdxImageSource::check_end() const {
  TRY(check_trailing(inputs_.images));
  return check_trailing(inputs_.labels);
}

Result<bool> IdxImageSource::next(std::size_t rows_max, RecordBatch& batch, std::vector<DeadLetter>& dead) {
  const std::size_t rows = std::min(rows_max, static_cast<std::size_t>(count_ - position_));
  const std::size_t pixel_bytes = layout_.pixel_bytes();
  labels_.resize(rows);
  TRY(read_exactly(inputs_.labels, labels_, 1));
  for (std::size_t i = 0; i < rows; ++i, ++position_) {
    const std::size_t begin = batch.records.size();
    batch.records.resize(begin + layout_.record_bytes());
    batch.records[begin] = labels_[i];
    TRY(read_exactly(inputs_.images, std::span(batch.records).subspan(begin + 1, pixel_bytes), static_cast<std::int64_t>(pixel_bytes)));
    if (const auto label = static_cast<std::int64_t>(labels_[i]); label >= layout_.classes) {
      const std::span<const std::byte> raw = std::span(batch.records).subspan(begin);
      // The fault stands in the file of the labels; the bytes that are kept are those of the whole record.
      dead.push_back({.source = inputs_.labels.path(),
                      .line = position_,
                      .raw = std::string(static_cast<const char*>(static_cast<const void*>(raw.data())), raw.size()),
                      .code = "out_of_range",
                      .column = "label",
                      .reason = fmt::format("the label of image {} (from 0) is outside 0..{}: {}", position_, layout_.classes - 1, label)});
      batch.records.resize(begin);
      continue;
    }
    batch.sources.push_back(inputs_.index);
    batch.offsets.push_back(position_);
  }
  if (position_ < count_) return true;
  TRY(check_end());
  return false;
}

}  // namespace trainyard::data
