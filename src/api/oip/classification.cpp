#include "api/oip/classification.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>

namespace trainyard::api::oip {
namespace {

template <typename T>
double number_at(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return static_cast<double>(value);
}

using ReadNumber = double (*)(const std::byte*);

/// None for types whose elements are not numbers.
ReadNumber reader_of(DataType type) {
  switch (type) {
    case DataType::kUint8:
      return number_at<std::uint8_t>;
    case DataType::kUint16:
      return number_at<std::uint16_t>;
    case DataType::kUint32:
      return number_at<std::uint32_t>;
    case DataType::kUint64:
      return number_at<std::uint64_t>;
    case DataType::kInt8:
      return number_at<std::int8_t>;
    case DataType::kInt16:
      return number_at<std::int16_t>;
    case DataType::kInt32:
      return number_at<std::int32_t>;
    case DataType::kInt64:
      return number_at<std::int64_t>;
    case DataType::kFp32:
      return number_at<float>;
    case DataType::kFp64:
      return number_at<double>;
    case DataType::kFp16:
      return [](const std::byte* bytes) {
        std::uint16_t bits = 0;
        std::memcpy(&bits, bytes, sizeof(bits));
        return static_cast<double>(float_from_half(bits));
      };
    case DataType::kBool:
    case DataType::kBf16:
    case DataType::kBytes:
      return nullptr;
  }
  return nullptr;
}

}  // namespace

Result<Tensor> classify(const Tensor& scores, std::size_t classes, bool batched) {
  const ReadNumber read = reader_of(scores.type);
  if (read == nullptr) {
    return invalid_argument("oip.classification", fmt::format("Output of datatype {} cannot be classified", name_of(scores.type)));
  }
  const std::size_t count = scores.bytes.size() / element_size(scores.type);
  const std::size_t rows = batched && !scores.shape.empty() ? static_cast<std::size_t>(scores.shape.front()) : 1;
  const std::size_t width = rows == 0 ? 0 : count / rows;
  const std::size_t kept = std::min(classes, width);

  Tensor top{DataType::kBytes, {}, {}};
  if (batched) top.shape.push_back(static_cast<std::int64_t>(rows));
  top.shape.push_back(static_cast<std::int64_t>(kept));
  std::vector<std::size_t> order(width);
  for (std::size_t row = 0; row < rows; ++row) {
    const auto value = [&](std::size_t index) { return read(scores.bytes.data() + (row * width + index) * element_size(scores.type)); };
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return value(a) > value(b); });
    for (std::size_t i = 0; i < kept; ++i) append_bytes_element(fmt::format("{:.6f}:{}", value(order[i]), order[i]), top.bytes);
  }
  return top;
}

}  // namespace trainyard::api::oip
