#include "data/synthetic.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/rng.h"
#include "data/pack.h"
#include "data/row_hash.h"
#include "data/stored_file.h"

namespace trainyard::data {
namespace {

struct Shape {
  std::string_view dataset;
  std::int64_t channels;
  std::int64_t side;
  std::int64_t classes;
  std::size_t pixels() const { return static_cast<std::size_t>(channels * side * side); }
};

constexpr Shape kKnownShapes[] = {{"cifar10", 3, 32, 10}, {"cifar100", 3, 32, 100}};
constexpr Shape kDefaultShape = {"", 1, 28, 10};

struct SplitSize {
  Split split;
  std::int64_t rows;
};
constexpr SplitSize kSplits[] = {{Split::kTrain, 2'000}, {Split::kValidation, 200}, {Split::kTest, 400}};

Shape shape_of(std::string_view dataset) {
  const auto* known = std::find_if(std::begin(kKnownShapes), std::end(kKnownShapes), [&](const Shape& s) { return s.dataset == dataset; });
  return known == std::end(kKnownShapes) ? kDefaultShape : *known;
}

/// Rows of one made-up dataset: for each class a pattern of blocks, which noise moves up and down.
class Rows {
 public:
  Rows(const Shape& shape, std::uint64_t seed) : shape_(shape), rng_(seed) {
    constexpr std::int64_t kBlock = 4;
    const std::int64_t blocks = (shape.side + kBlock - 1) / kBlock;
    for (std::int64_t c = 0; c < shape.classes; ++c) {
      std::vector<std::uint8_t> levels(static_cast<std::size_t>(shape.channels * blocks * blocks));
      for (std::uint8_t& level : levels) level = static_cast<std::uint8_t>(rng_.below(160));
      std::vector<std::uint8_t>& pattern = patterns_.emplace_back();
      for (std::int64_t channel = 0; channel < shape.channels; ++channel) {
        for (std::int64_t y = 0; y < shape.side; ++y) {
          for (std::int64_t x = 0; x < shape.side; ++x) {
            pattern.push_back(levels[static_cast<std::size_t>((channel * blocks + y / kBlock) * blocks + x / kBlock)]);
          }
        }
      }
    }
  }

  /// The next row: its label, then its pixels.
  std::span<const std::byte> next() {
    const std::uint64_t label = rng_.below(static_cast<std::uint64_t>(shape_.classes));
    row_.clear();
    row_.push_back(static_cast<std::byte>(label));
    for (const std::uint8_t level : patterns_[label]) row_.push_back(static_cast<std::byte>(level + rng_.below(96)));
    return row_;
  }

 private:
  Shape shape_;
  SeededRng rng_;
  std::vector<std::vector<std::uint8_t>> patterns_;  ///< By class.
  std::vector<std::byte> row_;
};

PackHeader header_of(const Shape& shape) {
  PackHeader header;
  header.record_bytes = 1 + shape.pixels();
  header.fields = {{"label", "uint8", {}, 0}, {"pixels", "uint8", {shape.channels, shape.side, shape.side}, 1}};
  header.classes = shape.classes;
  return header;
}

}  // namespace

bool is_synthetic(const VersionDraft& draft) { return draft.properties[kSyntheticProperty].as_bool().value_or(false); }

Result<VersionDraft> make_synthetic_dataset(const std::string& name, store::ObjectStore& objects, const std::string& scratch) {
  TRY(check_dataset_name(name));
  const Shape shape = shape_of(name);
  VersionDraft draft;
  draft.name = name;
  draft.layer = DatasetLayer::kCurated;
  draft.idempotency_key = "synthetic:" + name;
  draft.schema = {{"label", "uint8"}, {"pixels", fmt::format("uint8[{},{},{}]", shape.channels, shape.side, shape.side)}};
  draft.properties = Document::object({{std::string(kSyntheticProperty), true}, {"classes", shape.classes}});

  Rows rows(shape, xxh3_64(as_bytes(name)));
  ContentHash content;
  for (const SplitSize& part : kSplits) {
    const std::string path = fmt::format("{}/{}.pack", scratch, name_of(part.split));
    ASSIGN_OR_RETURN(PackWriter writer, PackWriter::create(path, header_of(shape)));
    for (std::int64_t i = 0; i < part.rows; ++i) {
      const std::span<const std::byte> row = rows.next();
      content.add(part.split, row);
      TRY(writer.append(row));
    }
    TRY(writer.finish());
    ASSIGN_OR_RETURN(DatasetFile file,
                     store_file(objects, {path, "packs", ".pack", fmt::format("pack:{}", name_of(part.split)), part.rows}));
    draft.files.push_back(std::move(file));
    draft.rows += part.rows;
  }
  draft.content_hash = content.hex();
  return draft;
}

}  // namespace trainyard::data
