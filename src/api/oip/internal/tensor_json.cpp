#include "api/oip/internal/tensor_json.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include "api/oip/internal/json_scalars.h"
#include "base/document.h"

namespace trainyard::api::oip::internal {
namespace {

constexpr std::size_t kRankMax = 32;

Error data_error(std::string message) { return invalid_argument("oip.data", std::move(message)); }

class DataReader {
 public:
  DataReader(std::string_view text, DataType type, Shape shape) : scalars_(text), tensor_{type, std::move(shape), {}} {}

  Result<Tensor> read() {
    ASSIGN_OR_RETURN(const std::size_t count, element_count(tensor_.shape));
    // Every element takes at least one character and a separator: a huge shape cannot make us reserve what the text does not hold.
    tensor_.bytes.reserve(std::min(count, scalars_.remaining()) * element_size(tensor_.type));
    if (!scalars_.take('[')) return data_error("Data must be an array");
    TRY(read_array(0));
    if (!scalars_.at_end()) return data_error("Data is not one JSON array");
    if (elements_ != count) {
      return data_error(fmt::format("Shape {} needs {} elements, the data has {}", text_of(tensor_.shape), count, elements_));
    }
    TRY(check_nesting());
    return std::move(tensor_);
  }

 private:
  Result<void> read_array(std::size_t level) {
    if (level >= kRankMax) return data_error("Data is nested too deeply");
    std::size_t length = 0;
    if (!scalars_.take(']')) {
      do {
        TRY(read_item(level));
        ++length;
      } while (scalars_.take(','));
      if (!scalars_.take(']')) return data_error("Data is not a well-formed JSON array");
    }
    if (lengths_.size() <= level) lengths_.resize(level + 1, kUnknown);
    if (lengths_[level] != kUnknown && lengths_[level] != length) return data_error("Data is ragged: nested arrays differ in length");
    lengths_[level] = length;
    return {};
  }

  Result<void> read_item(std::size_t level) {
    if (scalars_.take('[')) return read_array(level + 1);
    if (leaf_level_ != kUnknown && leaf_level_ != level) return data_error("Data is ragged: elements at different depths");
    leaf_level_ = level;
    ++elements_;
    return read_element();
  }

  Result<void> check_nesting() const {
    if (leaf_level_ == kUnknown || leaf_level_ == 0) return {};
    bool equal = lengths_.size() == leaf_level_ + 1 && lengths_.size() == tensor_.shape.size();
    for (std::size_t i = 0; equal && i < lengths_.size(); ++i) equal = static_cast<std::int64_t>(lengths_[i]) == tensor_.shape[i];
    if (equal) return {};
    return data_error(fmt::format("Data is nested as [{}], its shape is {}", fmt::join(lengths_, ","), text_of(tensor_.shape)));
  }

  Result<void> read_element() {
    switch (tensor_.type) {
      case DataType::kBool:
        return read_bool();
      case DataType::kUint8:
        return read_integer<std::uint8_t>();
      case DataType::kUint16:
        return read_integer<std::uint16_t>();
      case DataType::kUint32:
        return read_integer<std::uint32_t>();
      case DataType::kUint64:
        return read_integer<std::uint64_t>();
      case DataType::kInt8:
        return read_integer<std::int8_t>();
      case DataType::kInt16:
        return read_integer<std::int16_t>();
      case DataType::kInt32:
        return read_integer<std::int32_t>();
      case DataType::kInt64:
        return read_integer<std::int64_t>();
      case DataType::kFp16:
        return read_half();
      case DataType::kBf16:
        return data_error("BF16 values can only be sent as binary data");
      case DataType::kFp32:
        return read_float<float>();
      case DataType::kFp64:
        return read_float<double>();
      case DataType::kBytes:
        return read_text();
    }
    return data_error("Data has an unknown type");
  }

  template <typename T>
  void append(T value) {
    const std::size_t size = tensor_.bytes.size();
    tensor_.bytes.resize(size + sizeof(T));
    std::memcpy(tensor_.bytes.data() + size, &value, sizeof(T));
  }

  Error unsuitable() { return data_error(fmt::format("Value {} is no {}", scalars_.excerpt(), name_of(tensor_.type))); }

  Result<void> read_bool() {
    const std::string_view token = scalars_.peek_token();
    if (token != "true" && token != "false") return unsuitable();
    append(static_cast<std::uint8_t>(token == "true" ? 1 : 0));
    scalars_.skip(token.size());
    return {};
  }

  template <typename T>
  Result<void> read_integer() {
    const std::string_view token = scalars_.peek_token();
    T value = 0;
    const auto [end, code] = std::from_chars(token.data(), token.data() + token.size(), value);
    if (code != std::errc() || end != token.data() + token.size() || !is_json_number(token)) return unsuitable();
    append(value);
    scalars_.skip(token.size());
    return {};
  }

  template <typename T>
  Result<T> float_value() {
    const std::string_view token = scalars_.peek_token();
    const std::optional<T> value = parse_float<T>(token);
    if (!value) return unsuitable();
    scalars_.skip(token.size());
    return *value;
  }

  template <typename T>
  Result<void> read_float() {
    ASSIGN_OR_RETURN(const T value, float_value<T>());
    append(value);
    return {};
  }

  Result<void> read_half() {
    ASSIGN_OR_RETURN(const float value, float_value<float>());
    append(half_from_float(value));
    return {};
  }

  Result<void> read_text() {
    const std::optional<std::string> text = scalars_.take_string();
    if (!text) return unsuitable();
    append_bytes_element(*text, tensor_.bytes);
    return {};
  }

  static constexpr std::size_t kUnknown = std::numeric_limits<std::size_t>::max();
  ScalarReader scalars_;
  Tensor tensor_;
  std::size_t elements_ = 0;
  std::size_t leaf_level_ = kUnknown;
  std::vector<std::size_t> lengths_;  ///< Of the arrays at each level.
};

template <typename T>
T element(const Tensor& tensor, std::size_t index) {
  T value;
  std::memcpy(&value, tensor.bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

template <typename T>
void append_number(T value, std::string& out) {
  if constexpr (std::is_floating_point_v<T>) {
    if (!std::isfinite(value)) {
      out.append(std::isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
      return;
    }
  }
  char buffer[32];
  const auto [end, code] = std::to_chars(buffer, buffer + sizeof(buffer), value);
  out.append(buffer, end);
}

template <typename T>
void append_numbers(const Tensor& tensor, std::string& out) {
  const std::size_t count = tensor.bytes.size() / sizeof(T);
  for (std::size_t i = 0; i < count; ++i) {
    if (i != 0) out.push_back(',');
    append_number(element<T>(tensor, i), out);
  }
}

void append_bools(const Tensor& tensor, std::string& out) {
  for (std::size_t i = 0; i < tensor.bytes.size(); ++i) {
    out.append(i == 0 ? "" : ",").append(tensor.bytes[i] == std::byte{0} ? "false" : "true");
  }
}

void append_halves(const Tensor& tensor, std::string& out) {
  for (std::size_t i = 0; i < tensor.bytes.size() / sizeof(std::uint16_t); ++i) {
    if (i != 0) out.push_back(',');
    append_number(float_from_half(element<std::uint16_t>(tensor, i)), out);
  }
}

Result<void> append_texts(const Tensor& tensor, std::string& out) {
  ASSIGN_OR_RETURN(const std::vector<std::string_view> elements, bytes_elements(tensor.bytes));
  for (std::size_t i = 0; i < elements.size(); ++i) {
    if (!is_utf8(elements[i])) {
      return invalid_argument("oip.binary_only", "Output holds text that is not UTF-8; ask for it with binary_data");
    }
    if (i != 0) out.push_back(',');
    out.append(to_json(Document(elements[i])));
  }
  return {};
}

Result<void> append_elements(const Tensor& tensor, std::string& out) {
  switch (tensor.type) {
    case DataType::kBool:
      append_bools(tensor, out);
      return {};
    case DataType::kUint8:
      append_numbers<std::uint8_t>(tensor, out);
      return {};
    case DataType::kUint16:
      append_numbers<std::uint16_t>(tensor, out);
      return {};
    case DataType::kUint32:
      append_numbers<std::uint32_t>(tensor, out);
      return {};
    case DataType::kUint64:
      append_numbers<std::uint64_t>(tensor, out);
      return {};
    case DataType::kInt8:
      append_numbers<std::int8_t>(tensor, out);
      return {};
    case DataType::kInt16:
      append_numbers<std::int16_t>(tensor, out);
      return {};
    case DataType::kInt32:
      append_numbers<std::int32_t>(tensor, out);
      return {};
    case DataType::kInt64:
      append_numbers<std::int64_t>(tensor, out);
      return {};
    case DataType::kFp16:
      append_halves(tensor, out);
      return {};
    case DataType::kBf16:
      return invalid_argument("oip.binary_only", "BF16 output cannot be written as JSON; ask for it with binary_data");
    case DataType::kFp32:
      append_numbers<float>(tensor, out);
      return {};
    case DataType::kFp64:
      append_numbers<double>(tensor, out);
      return {};
    case DataType::kBytes:
      return append_texts(tensor, out);
  }
  return {};
}

}  // namespace

Result<Tensor> tensor_from_json(std::string_view text, DataType type, Shape shape) {
  return DataReader(text, type, std::move(shape)).read();
}

Result<void> append_json_data(const Tensor& tensor, std::string& out) {
  out.push_back('[');
  TRY(append_elements(tensor, out));
  out.push_back(']');
  return {};
}

}  // namespace trainyard::api::oip::internal
