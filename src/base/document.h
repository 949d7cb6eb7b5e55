#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace trainyard {

/// A tree of values read from JSON or YAML, or built to be written as JSON. Every node that was read from a text knows where it stood.
/// Objects keep the order of their members; keys are unique. Integers keep 64 bits. A plain value; copies are deep.
class Document {
 public:
  enum class Kind { kNull, kBool, kInt, kUnsigned, kDouble, kString, kArray, kObject };
  using Member = std::pair<std::string, Document>;
  using Array = std::vector<Document>;
  using Object = std::vector<Member>;

  Document() = default;
  Document(bool value) : kind_(Kind::kBool), bool_(value) {}
  Document(int value) : Document(static_cast<std::int64_t>(value)) {}
  Document(std::int64_t value) : kind_(Kind::kInt), int_(value) {}
  /// Values up to 2^63-1 become kInt, larger ones kUnsigned.
  Document(std::uint64_t value);
  Document(double value) : kind_(Kind::kDouble), double_(value) {}
  Document(std::string value) : kind_(Kind::kString), string_(std::move(value)) {}
  Document(std::string_view value) : Document(std::string(value)) {}
  Document(const char* value) : Document(std::string(value)) {}
  static Document array(Array items = {});
  static Document object(Object members = {});

  Kind kind() const { return kind_; }
  bool is_null() const { return kind_ == Kind::kNull; }
  bool is_string() const { return kind_ == Kind::kString; }
  bool is_array() const { return kind_ == Kind::kArray; }
  bool is_object() const { return kind_ == Kind::kObject; }
  bool is_number() const { return kind_ == Kind::kInt || kind_ == Kind::kUnsigned || kind_ == Kind::kDouble; }

  /// Typed reads. Errors: INVALID_ARGUMENT "document.type", naming what was expected, what is there and where.
  Result<bool> as_bool() const;
  Result<std::int64_t> as_int() const;  ///< Also a double without fraction, and a string of digits (64-bit integers in JSON).
  Result<std::uint64_t> as_unsigned() const;
  Result<double> as_double() const;  ///< Also an integer.
  Result<std::string> as_string() const;

  /// The text of a string, empty for any other kind.
  const std::string& text() const { return string_; }
  /// Items of an array, members of an object; empty for any other kind.
  const Array& items() const { return array_; }
  Array& items() { return array_; }
  const Object& members() const { return object_; }

  /// The member called `key`, or nullptr. A null document has no members.
  const Document* find(std::string_view key) const;
  /// The member called `key`, or a null document.
  const Document& operator[](std::string_view key) const;
  /// Sets or replaces a member; a null document becomes an object.
  Document& set(std::string_view key, Document value);
  /// Appends a member whose key is known to be new: linear building of large objects.
  Document& append_member(std::string key, Document value) {
    kind_ = Kind::kObject;
    return object_.emplace_back(std::move(key), std::move(value)).second;
  }
  /// Appends to an array; a null document becomes an array.
  Document& push(Document value);

  /// Reads of members with a default for absent or null; a wrong type is an error.
  Result<std::string> string_or(std::string_view key, std::string fallback) const;
  Result<std::int64_t> int_or(std::string_view key, std::int64_t fallback) const;
  Result<double> double_or(std::string_view key, double fallback) const;
  Result<bool> bool_or(std::string_view key, bool fallback) const;
  /// Reads of members that must be there. Errors: also INVALID_ARGUMENT "document.missing".
  Result<std::string> string_at(std::string_view key) const;
  Result<std::int64_t> int_at(std::string_view key) const;
  Result<double> double_at(std::string_view key) const;

  /// "/tasks/0/name" for JSON, "FILE:LINE:COLUMN" for YAML; empty for a built node and for the root of a JSON text.
  const std::string& where() const { return where_; }
  void set_where(std::string where) { where_ = std::move(where); }

  friend bool operator==(const Document& a, const Document& b);

 private:
  Kind kind_ = Kind::kNull;
  bool bool_ = false;
  std::int64_t int_ = 0;
  std::uint64_t unsigned_ = 0;
  double double_ = 0;
  std::string string_;
  Array array_;
  Object object_;
  std::string where_;
};

std::string_view name_of(Document::Kind kind);

/// Where the node that `pointer` names below `root` stands in the text it was read from, so that an error about a copy
/// ("/config/steps") can name the line of the original. When there is no such node or it knows no place: that of the nearest one above
/// it, if any, else `pointer` itself. Takes JSON pointers (RFC 6901); any other text is returned as it is.
std::string place_of(const Document& root, std::string_view pointer);

struct ParseLimits {
  std::size_t depth_max = 64;
  std::size_t nodes_max = 1'000'000;
};

/// Parses RFC 8259 JSON. Errors: INVALID_ARGUMENT "json.malformed" with line and column, "document.duplicate_key", "document.too_deep",
/// "document.too_large".
Result<Document> parse_json(std::string_view text, const ParseLimits& limits = {});

/// Parses one YAML 1.2 core document; JSON is accepted since it is YAML. No tags, no implicit yes/no booleans, duplicate keys are errors,
/// alias expansion counts against `nodes_max`. Positions are "`name`:line:column". Errors: INVALID_ARGUMENT "yaml.malformed" and as JSON.
Result<Document> parse_yaml(std::string_view text, std::string_view name, const ParseLimits& limits = {});

/// Compact JSON; NaN and infinities become the strings "NaN", "Infinity", "-Infinity". Invalid UTF-8 is replaced by U+FFFD.
std::string to_json(const Document& document);
/// JSON with two-space indentation, for people.
std::string to_pretty_json(const Document& document);
/// Block YAML that parse_yaml reads back as an equal document. Invalid UTF-8 and Unicode noncharacters are replaced by U+FFFD.
std::string to_yaml(const Document& document);

}  // namespace trainyard
