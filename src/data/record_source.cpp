#include "data/record_source.h"

#include <fmt/format.h>

#include <charconv>

namespace trainyard::data {
namespace {

/// Takes "digits" and the `delimiter` after it off the front of `text`.
bool take_number(std::string_view& text, char delimiter, std::int64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 1 || number > 65'535) return false;
  const auto used = static_cast<std::size_t>(end - text.data());
  if (used >= text.size() || text[used] != delimiter) return false;
  text.remove_prefix(used + 1);
  return true;
}

}  // namespace

std::string ImageLayout::pixels_type() const { return fmt::format("uint8[1,{},{}]", height, width); }

Result<ImageLayout> image_layout_from_type(std::string_view pixels_type, std::int64_t classes) {
  constexpr std::string_view kPrefix = "uint8[1,";
  ImageLayout layout{.height = 0, .width = 0, .classes = classes};
  std::string_view rest = pixels_type;
  if (rest.starts_with(kPrefix)) {
    rest.remove_prefix(kPrefix.size());
    if (take_number(rest, ',', layout.height) && take_number(rest, ']', layout.width) && rest.empty()) return layout;
  }
  return invalid_argument("data.layout", fmt::format("an image column has a type such as uint8[1,28,28], not \"{}\"", pixels_type));
}

void RecordBatch::clear() {
  records.clear();
  sources.clear();
  offsets.clear();
}

std::string DeadLetter::text() const {
  return fmt::format("{} line {}: {}{}{}: {}", source, line, code, column.empty() ? "" : " in ", column, reason);
}

}  // namespace trainyard::data
