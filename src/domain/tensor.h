#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace trainyard {

/// Element types of tensors, after the Open Inference Protocol v2.
enum class DataType {
  kBool,
  kUint8,
  kUint16,
  kUint32,
  kUint64,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kFp16,
  kBf16,
  kFp32,
  kFp64,
  kBytes,
};

/// The protocol's name: "BOOL", "UINT8", "FP32", "BYTES" ...
std::string_view name_of(DataType type);
/// The type with that exact name, if there is one.
std::optional<DataType> data_type_from(std::string_view name);
/// Bytes of one element; 0 for BYTES, whose elements differ.
std::size_t element_size(DataType type);

/// Lengths of the dimensions, outermost first. -1 stands for "any" in a signature and never in a tensor.
using Shape = std::vector<std::int64_t>;

/// "[1,28,28]"
std::string text_of(const Shape& shape);
/// Product of the dimensions; 1 for a scalar. Errors: INVALID_ARGUMENT "tensor.shape" for a negative dimension or more than 2^40 elements.
Result<std::size_t> element_count(const Shape& shape);

/// A dense array in row-major order, little-endian. BOOL is one byte 0 or 1; a BYTES element is a u32 length and that many bytes.
struct Tensor {
  DataType type = DataType::kFp32;
  Shape shape;
  std::vector<std::byte> bytes;

  friend bool operator==(const Tensor&, const Tensor&) = default;
};

/// A tensor of the given values, copied. `T` must have the size of one element.
template <typename T>
Tensor make_tensor(DataType type, Shape shape, std::span<const T> values) {
  CHECK(element_size(type) == sizeof(T), "value type does not have the size of one element");
  const std::span<const std::byte> bytes = std::as_bytes(values);
  return {type, std::move(shape), {bytes.begin(), bytes.end()}};
}

/// Checks that the bytes are what type and shape say: their number, BOOL values, BYTES lengths.
/// Errors: INVALID_ARGUMENT "tensor.shape" or "tensor.bytes".
Result<void> check_tensor(const Tensor& tensor);

/// Appends one BYTES element.
void append_bytes_element(std::string_view element, std::vector<std::byte>& out);
/// The elements of well-formed BYTES content, as views into it. Errors: INVALID_ARGUMENT "tensor.bytes" for a length beyond the end.
Result<std::vector<std::string_view>> bytes_elements(std::span<const std::byte> content);

/// IEEE 754 binary16, rounded to nearest even.
std::uint16_t half_from_float(float value);
float float_from_half(std::uint16_t bits);

}  // namespace trainyard
