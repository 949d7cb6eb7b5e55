#pragma once
#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "domain/tensor.h"

namespace trainyard::train {

/// A named array in memory that somebody else owns; row-major, little-endian.
struct TensorView {
  std::string name;
  DataType type = DataType::kFp32;
  Shape shape;
  std::span<const std::byte> bytes;
};

/// Named arrays read from a file, and the memory they lie in. Move-only: the views point into it.
struct TensorFile {
  std::unique_ptr<const std::string> content;
  std::vector<TensorView> tensors;  ///< In the order of the bytes.
  std::map<std::string, std::string> metadata;

  const TensorView* find(std::string_view name) const;
};

/// The bytes of a safetensors file: u64 little-endian header length, a JSON header {name: {dtype, shape, data_offsets}} with the strings of
/// `metadata` under "__metadata__", then the data without gaps. The header is padded with spaces so that the data start at a multiple of
/// 64 bytes. CHECKs that names are unique and that bytes and shapes agree. Format: the safetensors README, "Format".
std::string encode_tensor_file(std::span<const TensorView> tensors, const std::map<std::string, std::string>& metadata);

/// The inverse; every offset is checked before use. Errors: DATA_LOSS "tensor_file.corrupt".
Result<TensorFile> decode_tensor_file(std::string content);

}  // namespace trainyard::train
