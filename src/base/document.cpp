#include "base/document.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace trainyard {
namespace {

const Document& null_document() {
  static const Document null;
  return null;
}

Error wrong_type(const Document& document, std::string_view expected) {
  return invalid_argument("document.type", fmt::format("expected {}, found {}", expected, name_of(document.kind())), document.where());
}

Error missing(const Document& parent, std::string_view key) {
  return invalid_argument("document.missing", fmt::format("the key \"{}\" is missing", key), parent.where());
}

template <typename T>
Result<T> number_from_text(const Document& document, const std::string& text, std::string_view expected) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return wrong_type(document, expected);
  return value;
}

}  // namespace

std::string_view name_of(Document::Kind kind) {
  switch (kind) {
    case Document::Kind::kNull:
      return "null";
    case Document::Kind::kBool:
      return "a boolean";
    case Document::Kind::kInt:
    case Document::Kind::kUnsigned:
      return "an integer";
    case Document::Kind::kDouble:
      return "a number";
    case Document::Kind::kString:
      return "a string";
    case Document::Kind::kArray:
      return "a list";
    case Document::Kind::kObject:
      return "an object";
  }
  return "nothing";
}

Document::Document(std::uint64_t value) : kind_(Kind::kUnsigned), unsigned_(value) {
  if (value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    kind_ = Kind::kInt;
    int_ = static_cast<std::int64_t>(value);
    unsigned_ = 0;
  }
}

Document Document::array(Array items) {
  Document document;
  document.kind_ = Kind::kArray;
  document.array_ = std::move(items);
  return document;
}

Document Document::object(Object members) {
  Document document;
  document.kind_ = Kind::kObject;
  document.object_ = std::move(members);
  return document;
}

Result<bool> Document::as_bool() const {
  if (kind_ == Kind::kBool) return bool_;
  return wrong_type(*this, "true or false");
}

Result<std::int64_t> Document::as_int() const {
  constexpr double kExact = 9007199254740992.0;
  if (kind_ == Kind::kInt) return int_;
  if (kind_ == Kind::kDouble && std::trunc(double_) == double_ && std::abs(double_) <= kExact) return static_cast<std::int64_t>(double_);
  if (kind_ == Kind::kString) return number_from_text<std::int64_t>(*this, string_, "an integer");
  return wrong_type(*this, "an integer");
}

Result<std::uint64_t> Document::as_unsigned() const {
  if (kind_ == Kind::kUnsigned) return unsigned_;
  if (kind_ == Kind::kString) return number_from_text<std::uint64_t>(*this, string_, "a non-negative integer");
  ASSIGN_OR_RETURN(const std::int64_t value, as_int());
  if (value < 0) return wrong_type(*this, "a non-negative integer");
  return static_cast<std::uint64_t>(value);
}

Result<double> Document::as_double() const {
  if (kind_ == Kind::kDouble) return double_;
  if (kind_ == Kind::kInt) return static_cast<double>(int_);
  if (kind_ == Kind::kUnsigned) return static_cast<double>(unsigned_);
  if (kind_ == Kind::kString) {
    if (string_ == "NaN") return std::numeric_limits<double>::quiet_NaN();
    if (string_ == "Infinity") return std::numeric_limits<double>::infinity();
    if (string_ == "-Infinity") return -std::numeric_limits<double>::infinity();
  }
  return wrong_type(*this, "a number");
}

Result<std::string> Document::as_string() const {
  if (kind_ == Kind::kString) return string_;
  return wrong_type(*this, "a string");
}

const Document* Document::find(std::string_view key) const {
  for (const Member& member : object_) {
    if (member.first == key) return &member.second;
  }
  return nullptr;
}

const Document& Document::operator[](std::string_view key) const {
  const Document* found = find(key);
  return found != nullptr ? *found : null_document();
}

Document& Document::set(std::string_view key, Document value) {
  CHECK(kind_ == Kind::kNull || kind_ == Kind::kObject, "set on a document that is no object");
  kind_ = Kind::kObject;
  for (Member& member : object_) {
    if (member.first == key) {
      member.second = std::move(value);
      return member.second;
    }
  }
  return object_.emplace_back(std::string(key), std::move(value)).second;
}

Document& Document::push(Document value) {
  CHECK(kind_ == Kind::kNull || kind_ == Kind::kArray, "push on a document that is no list");
  kind_ = Kind::kArray;
  return array_.emplace_back(std::move(value));
}

Result<std::string> Document::string_or(std::string_view key, std::string fallback) const {
  const Document& value = (*this)[key];
  return value.is_null() ? Result<std::string>(std::move(fallback)) : value.as_string();
}

Result<std::int64_t> Document::int_or(std::string_view key, std::int64_t fallback) const {
  const Document& value = (*this)[key];
  return value.is_null() ? Result<std::int64_t>(fallback) : value.as_int();
}

Result<double> Document::double_or(std::string_view key, double fallback) const {
  const Document& value = (*this)[key];
  return value.is_null() ? Result<double>(fallback) : value.as_double();
}

Result<bool> Document::bool_or(std::string_view key, bool fallback) const {
  const Document& value = (*this)[key];
  return value.is_null() ? Result<bool>(fallback) : value.as_bool();
}

Result<std::string> Document::string_at(std::string_view key) const {
  const Document* value = find(key);
  return value == nullptr ? Result<std::string>(missing(*this, key)) : value->as_string();
}

Result<std::int64_t> Document::int_at(std::string_view key) const {
  const Document* value = find(key);
  return value == nullptr ? Result<std::int64_t>(missing(*this, key)) : value->as_int();
}

Result<double> Document::double_at(std::string_view key) const {
  const Document* value = find(key);
  return value == nullptr ? Result<double>(missing(*this, key)) : value->as_double();
}

namespace {

std::string unescaped(std::string_view token) {
  std::string key;
  for (std::size_t i = 0; i < token.size(); ++i) {
    const bool escape = token[i] == '~' && i + 1 < token.size() && (token[i + 1] == '0' || token[i + 1] == '1');
    key += escape ? (token[++i] == '1' ? '/' : '~') : token[i];
  }
  return key;
}

const Document* child_of(const Document& parent, const std::string& key) {
  if (!parent.is_array()) return parent.find(key);
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), index);
  if (error != std::errc() || end != key.data() + key.size() || index >= parent.items().size()) return nullptr;
  return &parent.items()[index];
}

}  // namespace

std::string place_of(const Document& root, std::string_view pointer) {
  if (!pointer.starts_with('/')) return std::string(pointer);
  std::string place = root.where();
  const Document* node = &root;
  for (std::string_view rest = pointer; !rest.empty();) {
    rest.remove_prefix(1);
    const std::size_t end = std::min(rest.find('/'), rest.size());
    node = child_of(*node, unescaped(rest.substr(0, end)));
    if (node == nullptr) break;
    if (!node->where().empty()) place = node->where();
    rest.remove_prefix(end);
  }
  return place.empty() ? std::string(pointer) : place;
}

bool operator==(const Document& a, const Document& b) {
  if (a.kind_ != b.kind_) return false;
  switch (a.kind_) {
    case Document::Kind::kNull:
      return true;
    case Document::Kind::kBool:
      return a.bool_ == b.bool_;
    case Document::Kind::kInt:
      return a.int_ == b.int_;
    case Document::Kind::kUnsigned:
      return a.unsigned_ == b.unsigned_;
    case Document::Kind::kDouble:
      return a.double_ == b.double_;
    case Document::Kind::kString:
      return a.string_ == b.string_;
    case Document::Kind::kArray:
      return a.array_ == b.array_;
    case Document::Kind::kObject:
      return a.object_ == b.object_;
  }
  return false;
}

}  // namespace trainyard
