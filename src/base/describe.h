#pragma once
#include <concepts>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
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
/// A struct with a `static constexpr std::string_view kSchemaName` has a definition of its own in collected schemas.
template <typename T>
concept Described = requires(T value, FieldVisitor& fields) {
  value.describe(fields);
};

/// A value that holds no other fields. A null Document is not written. Times are RFC 3339 in UTC; the values of a map of texts may be
/// given as numbers or booleans and count as their text.
using Scalar = std::variant<bool*, std::int64_t*, double*, std::string*, Duration*, TimePoint*, ByteSize*, MilliCpu*,
                            std::vector<std::string>*, std::map<std::string, std::string>*, Document*>;

struct Slot;
using UseSlot = std::function<void(const Slot&)>;
using DescribeFunction = std::function<void(FieldVisitor&)>;

/// Where a value of a described struct lies, and what it may be. Valid during the visit only. `prototype` of the composed kinds shows a
/// fresh element, for schemas.
struct ScalarSlot {
  Scalar value;
  Range range;                                             ///< For numbers.
  const std::vector<std::string_view>* allowed = nullptr;  ///< For a text: the closed list it comes from; null: any.
};
struct ObjectSlot {
  std::string_view name;  ///< Of its definition; empty: none.
  DescribeFunction visit;
};
struct ListSlot {
  std::size_t size = 0;
  std::function<void(std::size_t count)> resize;
  std::function<void(std::size_t index, const UseSlot&)> item;
  std::function<void(const UseSlot&)> prototype;
};
struct MapSlot {
  std::function<void(const std::function<void(const std::string& key, const Slot&)>&)> each;
  std::function<void()> clear;
  std::function<void(const std::string& key, const UseSlot&)> add;
  std::function<void(const UseSlot&)> prototype;
};
struct OptionalSlot {
  bool present = false;
  std::function<void()> create;
  std::function<void(const UseSlot&)> value;  ///< Only while present.
  std::function<void(const UseSlot&)> prototype;
};
struct Slot {
  std::variant<ScalarSlot, ObjectSlot, ListSlot, MapSlot, OptionalSlot> value;
};

/// Visits the fields of a described struct, in order. `doc` is one sentence for people. The value a field has before the visit is its
/// default; a field that must be given is `required`. Implementations decode, encode or write a schema.
class FieldVisitor {
 public:
  virtual ~FieldVisitor() = default;

  virtual void visit(std::string_view name, const Slot& slot, std::string_view doc) = 0;
  /// The field visited last must be present in the input.
  virtual void required() = 0;

  /// A field of any supported type: those of Scalar, described structs, and lists, maps by text and optionals of these. An empty optional
  /// is not written; absent and null leave it empty.
  template <typename T>
  void field(std::string_view name, T& value, std::string_view doc);
  /// The same for numbers with bounds, also in lists, maps and optionals.
  template <typename T>
  void field(std::string_view name, T& value, Range range, std::string_view doc);
  /// A string, or an optional one, out of a closed list.
  template <typename T>
  void choice(std::string_view name, T& value, const std::vector<std::string_view>& allowed, std::string_view doc);
};

/// What a value may be, beyond its type.
struct SlotRules {
  Range range;
  const std::vector<std::string_view>* allowed = nullptr;
};

template <typename T>
constexpr std::string_view schema_name_of() {
  if constexpr (requires { T::kSchemaName; }) return T::kSchemaName;
  return {};
}

template <typename T>
struct SlotMaker {
  static_assert(std::is_constructible_v<Scalar, T*> || Described<T>, "a described struct cannot have a field of this type");
  static Slot make(T& value, const SlotRules& rules) {
    if constexpr (Described<T>) {
      return {ObjectSlot{schema_name_of<T>(), [&value](FieldVisitor& inner) { value.describe(inner); }}};
    } else {
      return {ScalarSlot{&value, rules.range, rules.allowed}};
    }
  }
};

template <typename T>
Slot slot_of(T& value, const SlotRules& rules) {
  return SlotMaker<T>::make(value, rules);
}

template <typename T>
std::function<void(const UseSlot&)> prototype_of(const SlotRules& rules) {
  return [rules](const UseSlot& use) {
    T fresh{};
    use(slot_of(fresh, rules));
  };
}

template <typename T>
struct SlotMaker<std::vector<T>> {
  static Slot make(std::vector<T>& values, const SlotRules& rules) {
    return {ListSlot{values.size(), [&values](std::size_t count) { values.resize(count); },
                     [&values, rules](std::size_t index, const UseSlot& use) { use(slot_of(values[index], rules)); },
                     prototype_of<T>(rules)}};
  }
};
template <>
struct SlotMaker<std::vector<std::string>> {
  static Slot make(std::vector<std::string>& values, const SlotRules& rules) { return {ScalarSlot{&values, rules.range, rules.allowed}}; }
};

template <typename T>
struct SlotMaker<std::map<std::string, T>> {
  static Slot make(std::map<std::string, T>& values, const SlotRules& rules) {
    return {MapSlot{[&values, rules](const std::function<void(const std::string&, const Slot&)>& use) {
                      for (auto& [key, value] : values) use(key, slot_of(value, rules));
                    },
                    [&values] { values.clear(); },
                    [&values, rules](const std::string& key, const UseSlot& use) { use(slot_of(values[key], rules)); },
                    prototype_of<T>(rules)}};
  }
};
template <>
struct SlotMaker<std::map<std::string, std::string>> {
  static Slot make(std::map<std::string, std::string>& values, const SlotRules& rules) {
    return {ScalarSlot{&values, rules.range, rules.allowed}};
  }
};

template <typename T>
struct SlotMaker<std::optional<T>> {
  static Slot make(std::optional<T>& value, const SlotRules& rules) {
    return {OptionalSlot{value.has_value(), [&value] { value.emplace(); },
                         [&value, rules](const UseSlot& use) { use(slot_of(*value, rules)); }, prototype_of<T>(rules)}};
  }
};

template <typename T>
void FieldVisitor::field(std::string_view name, T& value, std::string_view doc) {
  visit(name, slot_of(value, {}), doc);
}
template <typename T>
void FieldVisitor::field(std::string_view name, T& value, Range range, std::string_view doc) {
  visit(name, slot_of(value, {.range = range}), doc);
}
template <typename T>
void FieldVisitor::choice(std::string_view name, T& value, const std::vector<std::string_view>& allowed, std::string_view doc) {
  static_assert(std::is_same_v<T, std::string> || std::is_same_v<T, std::optional<std::string>>);
  visit(name, slot_of(value, {.allowed = &allowed}), doc);
}

struct DecodeSettings {
  /// Whether a number may be given as text ("5"), as flags and environment variables do. The API is stricter.
  bool numbers_as_text = true;
};

/// Fills the visited fields from `document`. Errors: INVALID_ARGUMENT "spec.unknown_key" (with the nearest known key), "spec.missing_key",
/// "spec.type", "spec.range", "spec.choice", and those of the parsers of times, durations and sizes; `where` is the position of the faulty
/// node.
Result<void> decode_fields(const Document& document, const DescribeFunction& describe, const DecodeSettings& settings = {});
Document encode_fields(const DescribeFunction& describe);
/// A JSON Schema (2020-12) object for the visited fields, with defaults and bounds; nested structs stand where they are used. See
/// base/describe_schema.h for schemas with shared definitions.
Document schema_of_fields(const DescribeFunction& describe);

template <Described T>
Result<T> decode(const Document& document, const DecodeSettings& settings = {}) {
  T value;
  TRY(decode_fields(
      document, [&value](FieldVisitor& fields) { value.describe(fields); }, settings));
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
