#include "api/oip/internal/json_scalars.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "base/document.h"

namespace trainyard::api::oip::internal {
namespace {

constexpr std::string_view kDigits = "0123456789";
constexpr std::size_t kExcerptMax = 40;

/// Removes digits from the front; false if there was none.
bool take_digits(std::string_view& text) {
  const std::size_t count = std::min(text.find_first_not_of(kDigits), text.size());
  text.remove_prefix(count);
  return count > 0;
}

bool take_char(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

/// How many bytes the UTF-8 sequence that starts with `lead` has; 0 for a byte that cannot start one.
std::size_t sequence_length(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return 2;
  if (lead >= 0xe0 && lead <= 0xef) return 3;
  if (lead >= 0xf0 && lead <= 0xf4) return 4;
  return 0;
}

/// Excludes overlong forms, surrogates and what lies beyond U+10FFFF (Unicode 15, table 3-7).
bool second_byte_fits(unsigned char lead, unsigned char second) {
  if (lead == 0xe0) return second >= 0xa0;
  if (lead == 0xed) return second <= 0x9f;
  if (lead == 0xf0) return second >= 0x90;
  if (lead == 0xf4) return second <= 0x8f;
  return true;
}

}  // namespace

bool is_json_number(std::string_view token) {
  take_char(token, "-");
  const bool zero_first = !token.empty() && token.front() == '0';
  if (zero_first) {
    token.remove_prefix(1);
  } else if (!take_digits(token)) {
    return false;
  }
  if (take_char(token, ".") && !take_digits(token)) return false;
  if (take_char(token, "eE")) {
    take_char(token, "+-");
    if (!take_digits(token)) return false;
  }
  return token.empty();
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const auto lead = static_cast<unsigned char>(text.front());
    const std::size_t length = sequence_length(lead);
    if (length == 0 || length > text.size()) return false;
    for (std::size_t i = 1; i < length; ++i) {
      const auto byte = static_cast<unsigned char>(text[i]);
      if (byte < 0x80 || byte > 0xbf || (i == 1 && !second_byte_fits(lead, byte))) return false;
    }
    text.remove_prefix(length);
  }
  return true;
}

template <typename T>
std::optional<T> parse_float(std::string_view token) {
  if (token == "NaN" || token == "\"NaN\"") return std::numeric_limits<T>::quiet_NaN();
  if (token == "Infinity" || token == "\"Infinity\"") return std::numeric_limits<T>::infinity();
  if (token == "-Infinity" || token == "\"-Infinity\"") return -std::numeric_limits<T>::infinity();
  if (!is_json_number(token)) return std::nullopt;
  T value = 0;
  const auto [end, code] = std::from_chars(token.data(), token.data() + token.size(), value);
  if (code == std::errc()) return value;
  // from_chars does not say whether the number was too large or too small; too small is a zero or a subnormal number.
  const std::string text(token);
  value =
      std::is_same_v<T, float> ? static_cast<T>(std::strtof(text.c_str(), nullptr)) : static_cast<T>(std::strtod(text.c_str(), nullptr));
  if (!std::isfinite(value)) return std::nullopt;
  return value;
}

template std::optional<float> parse_float<float>(std::string_view);
template std::optional<double> parse_float<double>(std::string_view);

void ScalarReader::skip_whitespace() {
  std::size_t count = 0;
  while (count < rest_.size() && (rest_[count] == ' ' || rest_[count] == '\n' || rest_[count] == '\t' || rest_[count] == '\r')) ++count;
  rest_.remove_prefix(count);
}

bool ScalarReader::take(char wanted) {
  skip_whitespace();
  if (rest_.empty() || rest_.front() != wanted) return false;
  rest_.remove_prefix(1);
  return true;
}

std::string_view ScalarReader::peek_token() {
  skip_whitespace();
  std::size_t end = 0;
  if (!rest_.empty() && rest_.front() == '"') {
    end = 1;
    while (end < rest_.size() && rest_[end] != '"') end += rest_[end] == '\\' ? 2 : 1;
    return rest_.substr(0, end + 1);
  }
  while (end < rest_.size() && rest_[end] != ',' && rest_[end] != ']' && rest_[end] != '}' && rest_[end] > ' ') ++end;
  return rest_.substr(0, end);
}

std::optional<std::string> ScalarReader::take_string() {
  const std::string_view token = peek_token();
  if (token.size() < 2 || token.front() != '"' || token.back() != '"') return std::nullopt;
  const std::string_view inside = token.substr(1, token.size() - 2);
  const bool plain = std::all_of(inside.begin(), inside.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != '\\'; });
  std::optional<std::string> text;
  if (plain && is_utf8(inside)) {
    text = std::string(inside);
  } else if (const Result<Document> parsed = parse_json(token); parsed.ok()) {
    text = parsed->as_string().value_or("");
  }
  if (text) skip(token.size());
  return text;
}

bool ScalarReader::at_end() {
  skip_whitespace();
  return rest_.empty();
}

std::string ScalarReader::excerpt() {
  const std::string_view token = peek_token();
  std::string text(token.substr(0, kExcerptMax));
  if (token.size() > kExcerptMax) text += "...";
  return is_utf8(text) ? text : "(not UTF-8)";
}

}  // namespace trainyard::api::oip::internal
