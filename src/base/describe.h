#pragma once
#include <concepts>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/document.h"
#include "base/time.h"

namespace trainyard {

/// Bounds of a numeric field, inclusive.
struct Range {
  double min = std::numeric_limits<double>::lowest();
  double max = std::numeric_limits<double>::max();
};

/// A size in bytes; written "16GiB", "512MiB", "1GB" or a plain number of bytes.
struct ByteSize {
  std::int64_t bytes = 0;
  auto operator<=>(const ByteSize&) const = default;
};
/// CPU in thousandths; written "900m", 1, 0.5 or "2".
struct MilliCpu {
  std::int64_t milli = 0;
  auto operator<=>(const MilliCpu&) const = default;
};

Result<ByteSize> parse_byte_size(std::string_view text);
std::string format_byte_size(ByteSize size);
Result<MilliCpu> parse_milli_cpu(std::string_view text);

class FieldVisitor;

/// A struct that lists its fields once: `void describe(FieldVisitor& fields)`. Decoding, encoding, JSON Schema and help derive from it.
template <typename T>
concept Described = requires(T value, FieldVisitor& fields) {
  value.describe(fields);
};

/// Visits the fields of a described struct, in order. `doc` is one sentence for people. The value a field has before the visit is its
/// default; a field that must be given is `required`. Implementations decode, encode or write a schema.
class FieldVisitor {
 public:
  virtual ~FieldVisitor() = default;

  virtual void field(std::string_view name, bool& value, std::string_view doc) = 0;
  virtual void field(std::string_view name, std::int64_t& value, Range range, std::string_view doc) = 0;
  virtual void field(std::string_view name, double& value, Range range, std::string_view doc) = 0;
  virtual void field(std::string_view name, std::string& value, std::string_view doc) = 0;
  virtual void field(std::string_view name, Duration& value, std::string_view doc) = 0;
  virtual void field(std::string_view name, ByteSize& value, std::string_view doc) = 0;
  virtual void field(std::string_view name, MilliCpu& value, std::string_view doc) = 0;
  virtual void field(std::string_view name, std::vector<std::string>& value, std::string_view doc) = 0;
  virtual void field(std::string_view name, std::map<std::string, std::string>& value, std::string_view doc) = 0;
  virtual void field(std::string_view name, Document& value, std::string_view doc) = 0;
  /// A string out of a closed list.
  virtual void choice(std::string_view name, std::string& value, const std::vector<std::string_view>& allowed, std::string_view doc) = 0;
  /// The field visited last must be present in the input.
  virtual void required() = 0;

  /// A nested described struct.
  template <Described T>
  void field(std::string_view name, T& value, std::string_view doc) {
    object(name, doc, [&value](FieldVisitor& inner) { value.describe(inner); });
  }
  /// A list of described structs.
  template <Described T>
  void field(std::string_view name, std::vector<T>& values, std::string_view doc) {
    list(
        name, doc, values.size(), [&values](std::size_t count) { values.resize(count); },
        [&values](std::size_t index, FieldVisitor& inner) { values[index].describe(inner); },
        [](FieldVisitor& inner) { T{}.describe(inner); });
  }

 protected:
  using Visit = std::function<void(FieldVisitor&)>;
  virtual void object(std::string_view name, std::string_view doc, const Visit& visit) = 0;
  virtual void list(std::string_view name, std::string_view doc, std::size_t size, const std::function<void(std::size_t)>& resize,
                    const std::function<void(std::size_t, FieldVisitor&)>& visit, const Visit& visit_prototype) = 0;
};

using DescribeFunction = std::function<void(FieldVisitor&)>;

/// Fills the visited fields from `document`. Errors: INVALID_ARGUMENT "spec.unknown_key" (with the nearest known key), "spec.missing_key",
/// "spec.type", "spec.range", "spec.choice"; `where` is the position of the faulty node.
Result<void> decode_fields(const Document& document, const DescribeFunction& describe);
Document encode_fields(const DescribeFunction& describe);
/// A JSON Schema (2020-12) object for the visited fields, with defaults and bounds.
Document schema_of_fields(const DescribeFunction& describe);

template <Described T>
Result<T> decode(const Document& document) {
  T value;
  TRY(decode_fields(document, [&value](FieldVisitor& fields) { value.describe(fields); }));
  return value;
}
template <Described T>
Document encode(const T& value) {
  T copy = value;
  return encode_fields([&copy](FieldVisitor& fields) { copy.describe(fields); });
}
template <Described T>
Document schema_of() {
  T value;
  return schema_of_fields([&value](FieldVisitor& fields) { value.describe(fields); });
}

/// The candidate nearest to `text` by edit distance, if that is at most 2 (or a third of the length).
std::optional<std::string> nearest(std::string_view text, const std::vector<std::string>& candidates);

}  // namespace trainyard
