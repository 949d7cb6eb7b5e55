#include "sim/fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace trainyard::sim {
namespace {

constexpr std::string_view kNotSeconds = "it must be a decimal number of seconds, such as 12 or 0.5";
constexpr std::string_view kTooLong = "it is beyond any trace: at most 10000000000 seconds";
constexpr std::int64_t kMicros = 1'000'000;

bool digit(char c) { return c >= '0' && c <= '9'; }

/// mantissa x 10^exponent. Digits beyond what 64 bits hold move the exponent; rounding to microseconds does not need them.
struct Decimal {
  bool negative = false;
  std::uint64_t mantissa = 0;
  std::int64_t exponent = 0;
};

bool parse_exponent(std::string_view text, std::int64_t& exponent) {
  if (text.starts_with('+')) text.remove_prefix(1);
  std::int64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || end != text.data() + text.size()) return false;
  if (problem == std::errc::result_out_of_range || value > 100'000 || value < -100'000) {
    value = text.starts_with('-') ? -100'000 : 100'000;
  }
  exponent += value;
  return true;
}

bool parse_decimal(std::string_view text, Decimal& decimal) {
  std::size_t at = 0;
  if (at < text.size() && text[at] == '-') decimal.negative = true, ++at;
  bool digits = false;
  bool fraction = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '.' && !fraction) {
      fraction = true;
      continue;
    }
    if (!digit(c)) break;
    digits = true;
    if (decimal.mantissa < std::numeric_limits<std::uint64_t>::max() / 10 - 1) {
      decimal.mantissa = decimal.mantissa * 10 + static_cast<std::uint64_t>(c - '0');
      if (fraction) --decimal.exponent;
    } else if (!fraction) {
      ++decimal.exponent;
    }
  }
  if (!digits) return false;
  if (at == text.size()) return true;
  return (text[at] == 'e' || text[at] == 'E') && parse_exponent(text.substr(at + 1), decimal.exponent);
}

/// False: more than kSecondsMax.
bool to_micros(const Decimal& decimal, std::int64_t& micros) {
  constexpr std::uint64_t kMost = static_cast<std::uint64_t>(kSecondsMax) * kMicros;
  std::uint64_t value = decimal.mantissa;
  std::int64_t exponent = decimal.exponent + 6;
  for (; exponent > 0 && value > 0; --exponent) {
    if (value > kMost / 10) return false;
    value *= 10;
  }
  for (; exponent < -1 && value > 0; ++exponent) value /= 10;
  if (exponent == -1) value = (value + 5) / 10;
  if (value > kMost) return false;
  micros = static_cast<std::int64_t>(value);
  if (decimal.negative) micros = -micros;
  return true;
}

/// The fast form of nearly all traces: up to 9 digits, then perhaps a point and up to 6 more. False: not of that form.
bool parse_plain(std::string_view text, std::int64_t& micros) {
  std::int64_t whole = 0;
  std::size_t at = 0;
  for (; at < text.size() && at < 10 && digit(text[at]); ++at) whole = whole * 10 + (text[at] - '0');
  if (at == 0 || at > 9) return false;
  std::int64_t fraction = 0;
  std::int64_t unit = kMicros;
  if (at < text.size()) {
    if (text[at] != '.' || text.size() - at > 7 || text.size() - at < 2) return false;
    for (++at; at < text.size(); ++at) {
      if (!digit(text[at])) return false;
      unit /= 10;
      fraction += (text[at] - '0') * unit;
    }
  }
  micros = whole * kMicros + fraction;
  return true;
}

/// Bytes of the UTF-8 sequence at the front (RFC 3629); 0: malformed.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&text](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80U) return 0;
  }
  const unsigned second = byte(1);
  if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F)) return 0;
  if ((lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F)) return 0;
  return length;
}

}  // namespace

std::string_view parse_signed_seconds(std::string_view text, std::int64_t& micros) {
  if (parse_plain(text, micros)) return {};
  Decimal decimal;
  if (!parse_decimal(text, decimal)) return kNotSeconds;
  if (!to_micros(decimal, micros)) return kTooLong;
  return {};
}

std::string_view parse_seconds(std::string_view text, std::int64_t& micros) {
  const std::string_view wrong = parse_signed_seconds(text, micros);
  if (wrong.empty() && micros < 0) return "a time cannot be negative: times count from the start of the trace";
  return wrong;
}

std::string_view parse_whole(std::string_view text, std::int64_t least, std::int64_t most, std::int64_t& value) {
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || end != text.data() + text.size() || problem == std::errc::invalid_argument) {
    return "it must be a whole number, digits only";
  }
  if (problem == std::errc::result_out_of_range) value = text.front() == '-' ? least - 1 : most + 1;
  if (value < least) return least > 0 ? "it is too small: at least 1" : "it is too small";
  if (value > most) return "it is absurdly large, more than any cluster has";
  return {};
}

std::string_view parse_weight(std::string_view text, double& value) {
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || end != text.data() + text.size() || problem == std::errc::invalid_argument) return "it must be a number";
  if (problem != std::errc() || !std::isfinite(value) || value < 0 || value > 1e9) return "it must lie between 0 and 1000000000";
  return {};
}

std::string_view check_name(std::string_view text) {
  if (text.size() > 1000) return "a name has at most 1000 bytes";
  while (!text.empty()) {
    const auto first = static_cast<unsigned char>(text.front());
    if (first < 0x20 || first == 0x7F) return "a name holds no control characters";
    const std::size_t length = utf8_length(text);
    if (length == 0) return "it is not valid UTF-8";
    text.remove_prefix(length);
  }
  return {};
}

void append_seconds(std::string& out, std::int64_t micros) {
  const std::uint64_t value = micros < 0 ? ~static_cast<std::uint64_t>(micros) + 1 : static_cast<std::uint64_t>(micros);
  if (micros < 0) out += '-';
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, value / kMicros).ptr;
  out.append(digits, end);
  auto fraction = static_cast<std::uint32_t>(value % kMicros);
  if (fraction == 0) return;
  char places[7] = {'.'};
  for (std::size_t i = 6; i > 0; --i, fraction /= 10) places[i] = static_cast<char>('0' + fraction % 10);
  std::size_t length = 7;
  while (places[length - 1] == '0') --length;
  out.append(places, length);
}

std::string seconds_text(std::int64_t micros) {
  std::string out;
  append_seconds(out, micros);
  return out;
}

std::string shown(std::string_view text) {
  constexpr std::size_t kMost = 60;
  std::string out;
  std::size_t taken = 0;
  while (taken < text.size() && taken < kMost) {
    const std::size_t length = utf8_length(text.substr(taken));
    const auto byte = static_cast<unsigned char>(text[taken]);
    if (length == 0 || byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\x{:02x}", byte);
      ++taken;
    } else {
      out += text.substr(taken, length);
      taken += length;
    }
  }
  if (taken < text.size()) out += fmt::format("... ({} bytes)", text.size());
  return out;
}

std::string_view split_csv(std::string_view record, std::vector<std::string_view>& fields, std::string& unescaped) {
  fields.clear();
  unescaped.clear();
  if (record.find('"') == std::string_view::npos) {
    for (;;) {
      const std::size_t comma = record.find(',');
      fields.push_back(record.substr(0, comma));
      if (comma == std::string_view::npos) return {};
      record.remove_prefix(comma + 1);
    }
  }
  unescaped.reserve(record.size());
  for (;;) {
    std::size_t end = 0;
    if (record.starts_with('"')) {
      const std::size_t start = unescaped.size();
      for (end = 1;; ++end) {
        if (end >= record.size()) return "a quoted field has no closing quote";
        if (record[end] == '"' && (end + 1 >= record.size() || record[end + 1] != '"')) break;
        if (record[end] == '"') ++end;
        unescaped += record[end];
      }
      if (++end < record.size() && record[end] != ',') return "text follows a closing quote; write a quote inside a field twice";
      fields.push_back(std::string_view(unescaped).substr(start));
    } else {
      end = std::min(record.find(','), record.size());
      fields.push_back(record.substr(0, end));
      if (fields.back().find('"') != std::string_view::npos) return "a quote stands inside an unquoted field; quote the whole field";
    }
    if (end >= record.size()) return {};
    record.remove_prefix(end + 1);
  }
}

void append_csv(std::string& out, std::string_view field) {
  if (field.find_first_of("\",\r\n") == std::string_view::npos && !field.starts_with('#')) {
    out += field;
    return;
  }
  out += '"';
  for (const char c : field) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

Error field_error(const Place& place, std::string id, std::string_view name, std::string_view text, std::string_view wrong) {
  return record_error(place, std::move(id),
                      fmt::format("a field has a value that cannot be used; {}: {} is \"{}\"", wrong, name, shown(text)));
}

Error record_error(const Place& place, std::string id, std::string message) {
  return invalid_argument(std::move(id), std::move(message), fmt::format("{}:{}", place.file, place.line));
}

}  // namespace trainyard::sim
