#include "jobs/internal/json_text.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace trainyard::jobs::internal {
namespace {

/// Stands for itself in a JSON string.
bool is_plain(char c) { return c >= 0x20 && c < 0x7F && c != '"' && c != '\\'; }

/// The same of all characters, eight at a time: each term has the high bit of a byte set that is not plain.
bool all_plain(std::string_view text) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  constexpr std::uint64_t kHighBits = 0x80 * kOnes;
  const auto zero_bytes = [](std::uint64_t word) { return (word - kOnes) & ~word & kHighBits; };
  while (text.size() >= sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data(), sizeof(word));
    const std::uint64_t below_space = (word - 0x20 * kOnes) & ~word & kHighBits;
    const std::uint64_t special = zero_bytes(word ^ 0x22 * kOnes) | zero_bytes(word ^ 0x5C * kOnes) | zero_bytes(word ^ 0x7F * kOnes);
    if (((word & kHighBits) | below_space | special) != 0) return false;
    text.remove_prefix(sizeof(word));
  }
  return std::all_of(text.begin(), text.end(), is_plain);
}

constexpr std::size_t kDigitsMax = 24;

}  // namespace

char* JsonText::room(std::size_t more) {
  if (size_ - length_ < more) {
    const std::size_t size = std::max(2 * size_, length_ + more);
    std::unique_ptr<char[]> longer = std::make_unique_for_overwrite<char[]>(size);
    std::memcpy(longer.get(), data_, length_);
    longer_ = std::move(longer);
    data_ = longer_.get();
    size_ = size;
  }
  return data_ + length_;
}

void JsonText::put(std::string_view text) {
  std::memcpy(room(text.size()), text.data(), text.size());
  length_ += text.size();
}

void JsonText::put_string(std::string_view text) {
  if (!all_plain(text)) return put(to_json(Document(text)));
  char* to = room(text.size() + 2);
  *to = '"';
  std::memcpy(to + 1, text.data(), text.size());
  to[text.size() + 1] = '"';
  length_ += text.size() + 2;
}

void JsonText::separate() {
  if (!first_) put(",");
  first_ = false;
}

void JsonText::key(std::string_view name) {
  constexpr std::size_t kMarks = 4;
  char* to = room(name.size() + kMarks);
  char* const begin = to;
  if (!first_) *to++ = ',';
  first_ = false;
  *to++ = '"';
  std::memcpy(to, name.data(), name.size());
  to += name.size();
  *to++ = '"';
  *to++ = ':';
  length_ += static_cast<std::size_t>(to - begin);
}

void JsonText::open(char bracket) {
  separate();
  put({&bracket, 1});
  first_ = true;
}

void JsonText::open(std::string_view name, char bracket) {
  key(name);
  put({&bracket, 1});
  first_ = true;
}

void JsonText::close(char bracket) {
  put({&bracket, 1});
  first_ = false;
}

void JsonText::member(std::string_view name, std::int64_t value) {
  key(name);
  char* to = room(kDigitsMax);
  length_ += static_cast<std::size_t>(std::to_chars(to, to + kDigitsMax, value).ptr - to);
}

void JsonText::member(std::string_view name, std::uint64_t value) {
  key(name);
  char* to = room(kDigitsMax);
  length_ += static_cast<std::size_t>(std::to_chars(to, to + kDigitsMax, value).ptr - to);
}

void JsonText::member(std::string_view name, bool value) {
  key(name);
  put(value ? "true" : "false");
}

void JsonText::member(std::string_view name, double value) {
  key(name);
  put(to_json(Document(value)));
}

void JsonText::member(std::string_view name, std::string_view value) {
  key(name);
  put_string(value);
}

void JsonText::member(std::string_view name, const Document& value) {
  key(name);
  put(to_json(value));
}

void JsonText::member_of_others(std::string_view any_key, std::string_view value) {
  separate();
  put_string(any_key);
  put(":");
  put_string(value);
}

void JsonText::begin_object_of_others(std::string_view any_key) {
  separate();
  put_string(any_key);
  put(":{");
  first_ = true;
}

void JsonText::item(std::string_view value) {
  separate();
  put_string(value);
}

void JsonText::item(std::int64_t value) {
  separate();
  char* to = room(kDigitsMax);
  length_ += static_cast<std::size_t>(std::to_chars(to, to + kDigitsMax, value).ptr - to);
}

}  // namespace trainyard::jobs::internal
