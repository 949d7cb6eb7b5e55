#include "train/tensor_file.h"

#include <fmt/format.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <set>

#include "base/check.h"
#include "base/document.h"
#include "base/file.h"

namespace trainyard::train {
namespace {

static_assert(std::endian::native == std::endian::little, "tensors are written as they lie in memory");

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kAlignment = 64;
constexpr std::size_t kHeaderMax = std::size_t{100} << 20;  // What the readers of this format accept.

struct TypeName {
  DataType type;
  std::string_view name;
};
constexpr TypeName kTypeNames[] = {{DataType::kFp32, "F32"},  {DataType::kFp64, "F64"}, {DataType::kInt64, "I64"},
                                   {DataType::kInt32, "I32"}, {DataType::kUint8, "U8"}, {DataType::kBool, "BOOL"}};

std::optional<std::string_view> safetensors_name(DataType type) {
  for (const TypeName& entry : kTypeNames) {
    if (entry.type == type) return entry.name;
  }
  return std::nullopt;
}

std::optional<DataType> type_of(std::string_view name) {
  for (const TypeName& entry : kTypeNames) {
    if (entry.name == name) return entry.type;
  }
  return std::nullopt;
}

Error corrupt(std::string_view what) {
  return data_loss("tensor_file.corrupt", fmt::format("a tensor file is damaged and cannot be read; use an older one: {}", what));
}

std::size_t byte_count(DataType type, const Shape& shape) {
  const Result<std::size_t> count = element_count(shape);
  return count.ok() ? count.value() * element_size(type) : 0;
}

Document header_entry(const TensorView& tensor, std::size_t begin) {
  const std::optional<std::string_view> type = safetensors_name(tensor.type);
  CHECK(type.has_value(), "a tensor of this type cannot be stored");
  Document entry;
  entry.set("dtype", *type);
  Document shape = Document::array();
  for (const std::int64_t dimension : tensor.shape) shape.push(dimension);
  entry.set("shape", std::move(shape));
  Document offsets = Document::array();
  offsets.push(static_cast<std::uint64_t>(begin));
  offsets.push(static_cast<std::uint64_t>(begin + tensor.bytes.size()));
  entry.set("data_offsets", std::move(offsets));
  return entry;
}

Result<TensorView> view_from(const std::string& name, const Document& entry, std::string_view data, std::size_t expected_begin) {
  ASSIGN_OR_RETURN(const std::string type_name, entry.string_at("dtype"));
  const std::optional<DataType> type = type_of(type_name);
  if (!type) return corrupt("unknown element type " + type_name);
  TensorView view{.name = name, .type = *type, .shape = {}, .bytes = {}};
  for (const Document& dimension : entry["shape"].items()) {
    ASSIGN_OR_RETURN(const std::int64_t length, dimension.as_int());
    view.shape.push_back(length);
  }
  TRY(element_count(view.shape));
  const Document::Array& offsets = entry["data_offsets"].items();
  if (offsets.size() != 2) return corrupt("offsets of " + name);
  ASSIGN_OR_RETURN(const std::uint64_t begin, offsets[0].as_unsigned());
  ASSIGN_OR_RETURN(const std::uint64_t end, offsets[1].as_unsigned());
  if (begin != expected_begin || end < begin || end > data.size()) return corrupt("offsets of " + name);
  if (end - begin != byte_count(view.type, view.shape)) return corrupt("size of " + name);
  view.bytes = as_bytes(data.substr(begin, end - begin));
  return view;
}

Result<void> read_header(const Document& header, std::string_view data, TensorFile& file) {
  std::size_t begin = 0;
  for (const auto& [name, entry] : header.members()) {
    if (name == "__metadata__") {
      for (const auto& [key, value] : entry.members()) {
        ASSIGN_OR_RETURN(file.metadata[key], value.as_string());
      }
      continue;
    }
    ASSIGN_OR_RETURN(TensorView view, view_from(name, entry, data, begin));
    begin += view.bytes.size();
    file.tensors.push_back(std::move(view));
  }
  if (begin != data.size()) return corrupt("bytes that belong to no tensor");
  return {};
}

}  // namespace

const TensorView* TensorFile::find(std::string_view name) const {
  for (const TensorView& tensor : tensors) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

std::string encode_tensor_file(std::span<const TensorView> tensors, const std::map<std::string, std::string>& metadata) {
  Document header = Document::object();
  if (!metadata.empty()) {
    Document strings = Document::object();
    for (const auto& [key, value] : metadata) strings.set(key, value);
    header.set("__metadata__", std::move(strings));
  }
  std::size_t size = 0;
  std::set<std::string_view> names;
  for (const TensorView& tensor : tensors) {
    CHECK(names.insert(tensor.name).second, "two tensors have the same name: " + tensor.name);
    CHECK(tensor.bytes.size() == byte_count(tensor.type, tensor.shape), "bytes and shape of a tensor differ: " + tensor.name);
    header.set(tensor.name, header_entry(tensor, size));
    size += tensor.bytes.size();
  }
  std::string text = to_json(header);
  text.append((kAlignment - (kLengthBytes + text.size()) % kAlignment) % kAlignment, ' ');

  std::string content;
  content.reserve(kLengthBytes + text.size() + size);
  const std::uint64_t length = text.size();
  content.resize(kLengthBytes);
  std::memcpy(content.data(), &length, kLengthBytes);
  content += text;
  for (const TensorView& tensor : tensors) content += as_text(tensor.bytes);
  return content;
}

Result<TensorFile> decode_tensor_file(std::string content) {
  TensorFile file;
  file.content = std::make_unique<const std::string>(std::move(content));
  const std::string_view whole = *file.content;
  std::uint64_t length = 0;
  if (whole.size() < kLengthBytes) return corrupt("no header");
  std::memcpy(&length, whole.data(), kLengthBytes);
  if (length > kHeaderMax || length > whole.size() - kLengthBytes) return corrupt("header length");
  const Result<Document> header = parse_json(whole.substr(kLengthBytes, length));
  if (!header.ok() || !header.value().is_object()) return corrupt("header is no JSON object");
  if (const Result<void> read = read_header(header.value(), whole.substr(kLengthBytes + length), file); !read.ok()) {
    return corrupt(read.error().message);
  }
  return file;
}

}  // namespace trainyard::train
