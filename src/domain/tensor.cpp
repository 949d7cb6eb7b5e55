#include "domain/tensor.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cstring>

namespace trainyard {
namespace {

struct TypeEntry {
  DataType type;
  std::string_view name;
  std::size_t size;
};

constexpr std::array<TypeEntry, 14> kTypes{{
    {DataType::kBool, "BOOL", 1},
    {DataType::kUint8, "UINT8", 1},
    {DataType::kUint16, "UINT16", 2},
    {DataType::kUint32, "UINT32", 4},
    {DataType::kUint64, "UINT64", 8},
    {DataType::kInt8, "INT8", 1},
    {DataType::kInt16, "INT16", 2},
    {DataType::kInt32, "INT32", 4},
    {DataType::kInt64, "INT64", 8},
    {DataType::kFp16, "FP16", 2},
    {DataType::kBf16, "BF16", 2},
    {DataType::kFp32, "FP32", 4},
    {DataType::kFp64, "FP64", 8},
    {DataType::kBytes, "BYTES", 0},
}};

constexpr std::size_t kElementsMax = std::size_t{1} << 40;

const TypeEntry& entry_of(DataType type) { return kTypes[static_cast<std::size_t>(type)]; }

std::uint32_t length_at(std::span<const std::byte> content) {
  std::uint32_t length = 0;
  std::memcpy(&length, content.data(), sizeof(length));
  return length;
}

}  // namespace

std::string_view name_of(DataType type) { return entry_of(type).name; }

std::optional<DataType> data_type_from(std::string_view name) {
  for (const TypeEntry& entry : kTypes) {
    if (entry.name == name) return entry.type;
  }
  return std::nullopt;
}

std::size_t element_size(DataType type) { return entry_of(type).size; }

std::string text_of(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ",")); }

Result<std::size_t> element_count(const Shape& shape) {
  std::size_t count = 1;
  bool empty = false;
  for (const std::int64_t dimension : shape) {
    if (dimension < 0) {
      return invalid_argument("tensor.shape", fmt::format("Shape has a negative dimension: {}", text_of(shape)));
    }
    const auto length = static_cast<std::size_t>(dimension);
    if (length == 0) {
      empty = true;
    } else if (length > kElementsMax / count) {
      return invalid_argument("tensor.shape", fmt::format("Shape has more than 2^40 elements: {}", text_of(shape)));
    } else {
      count *= length;
    }
  }
  return empty ? 0 : count;
}

Result<void> check_tensor(const Tensor& tensor) {
  ASSIGN_OR_RETURN(const std::size_t count, element_count(tensor.shape));
  if (tensor.type == DataType::kBytes) {
    ASSIGN_OR_RETURN(const std::vector<std::string_view> elements, bytes_elements(tensor.bytes));
    if (elements.size() == count) return {};
    return invalid_argument("tensor.bytes", fmt::format("BYTES tensor of shape {} needs {} elements, its data has {}",
                                                        text_of(tensor.shape), count, elements.size()));
  }
  const std::size_t needed = count * element_size(tensor.type);
  if (tensor.bytes.size() != needed) {
    return invalid_argument("tensor.bytes", fmt::format("{} tensor of shape {} needs {} bytes, its data has {}", name_of(tensor.type),
                                                        text_of(tensor.shape), needed, tensor.bytes.size()));
  }
  if (tensor.type == DataType::kBool) {
    for (const std::byte value : tensor.bytes) {
      if (value > std::byte{1}) {
        return invalid_argument("tensor.bytes", fmt::format("BOOL element must be 0 or 1: {}", std::to_integer<int>(value)));
      }
    }
  }
  return {};
}

void append_bytes_element(std::string_view element, std::vector<std::byte>& out) {
  const auto length = static_cast<std::uint32_t>(element.size());
  const auto* length_bytes = static_cast<const std::byte*>(static_cast<const void*>(&length));
  const auto* content = static_cast<const std::byte*>(static_cast<const void*>(element.data()));
  out.insert(out.end(), length_bytes, length_bytes + sizeof(length));
  out.insert(out.end(), content, content + element.size());
}

Result<std::vector<std::string_view>> bytes_elements(std::span<const std::byte> content) {
  std::vector<std::string_view> elements;
  while (!content.empty()) {
    if (content.size() < sizeof(std::uint32_t) || content.size() - sizeof(std::uint32_t) < length_at(content)) {
      return invalid_argument("tensor.bytes", fmt::format("BYTES element {} reaches beyond the end of the data", elements.size()));
    }
    const std::uint32_t length = length_at(content);
    elements.emplace_back(static_cast<const char*>(static_cast<const void*>(content.data() + sizeof(length))), length);
    content = content.subspan(sizeof(length) + length);
  }
  return elements;
}

std::uint16_t half_from_float(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000u);
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<std::uint16_t>(sign | 0x7e00u);   // NaN
  if (magnitude >= 0x47800000u) return static_cast<std::uint16_t>(sign | 0x7c00u);  // 65536 and above
  if (magnitude < 0x33000000u) return sign;                                         // below half of the smallest subnormal

  std::uint32_t mantissa = (magnitude & 0x007fffffu) | 0x00800000u;
  const auto exponent = static_cast<int>(magnitude >> 23) - 127;
  const int dropped = exponent < -14 ? 13 + (-14 - exponent) : 13;
  std::uint32_t half = mantissa >> dropped;
  const std::uint32_t rest = mantissa & ((1u << dropped) - 1u);
  const std::uint32_t middle = 1u << (dropped - 1);
  if (rest > middle || (rest == middle && (half & 1u) != 0)) ++half;
  // The implicit bit of a normal number is the lowest exponent bit; a carry out of the mantissa raises the exponent by itself.
  if (exponent >= -14) half += static_cast<std::uint32_t>(exponent + 14) << 10;
  return static_cast<std::uint16_t>(sign | half);
}

float float_from_half(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000u) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1fu;
  const std::uint32_t mantissa = bits & 0x3ffu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent == 0) {
    const float subnormal = static_cast<float>(mantissa) * 0x1p-24F;
    return sign != 0 ? -subnormal : subnormal;
  }
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

}  // namespace trainyard
