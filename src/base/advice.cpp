#include "base/advice.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

namespace trainyard {
namespace {

constexpr std::size_t kShownMax = 60;

std::string lower_case_without_blanks(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == ' ' || c == '\t') continue;
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

/// A number of digits at the beginning, as it is written, and what follows.
std::pair<std::string_view, std::string_view> split_number(std::string_view text) {
  const std::size_t end = std::min(text.find_first_not_of("0123456789."), text.size());
  return {text.substr(0, end), text.substr(end)};
}

bool is_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return !text.empty() && error == std::errc() && end == text.data() + text.size() && std::isfinite(value);
}

struct Meaning {
  std::string_view written;
  std::string_view meant;
};

template <std::size_t N>
std::string_view meaning_of(const Meaning (&table)[N], std::string_view written) {
  const auto found = std::find_if(std::begin(table), std::end(table), [written](const Meaning& entry) { return entry.written == written; });
  return found == std::end(table) ? std::string_view() : found->meant;
}

std::string quoted(std::string_view text) { return fmt::format("\"{}\"", text); }

}  // namespace

std::string shown_value(const Document& node) {
  switch (node.kind()) {
    case Document::Kind::kNull:
      return "nothing";
    case Document::Kind::kBool:
      return "the boolean " + to_json(node);
    case Document::Kind::kInt:
    case Document::Kind::kUnsigned:
      return "the integer " + to_json(node);
    case Document::Kind::kDouble:
      return "the number " + to_json(node);
    case Document::Kind::kString: {
      const std::string& text = node.text();
      return text.size() <= kShownMax ? "the text " + quoted(text) : fmt::format("the text \"{}..\"", text.substr(0, kShownMax));
    }
    case Document::Kind::kArray:
      return "a list";
    case Document::Kind::kObject:
      return "an object";
  }
  return "nothing";
}

std::string meant_integer(const Document& node) {
  if (node.kind() == Document::Kind::kDouble) {
    const double value = node.as_double().value_or(0);
    return std::abs(value) < 9e15 ? fmt::format("a whole number, like {}", std::llround(value)) : "a smaller number";
  }
  if (node.kind() == Document::Kind::kUnsigned) return "a smaller number";
  if (!node.is_string()) return "one whole number, like 4";
  if (is_number(node.text())) return node.text() + " without quotes";
  return "a whole number, like 4";
}

std::string meant_boolean(const Document& node) {
  static constexpr Meaning kWords[] = {
      {"yes", "true"}, {"on", "true"},   {"y", "true"},  {"1", "true"},  {"true", "true without quotes"},
      {"no", "false"}, {"off", "false"}, {"n", "false"}, {"0", "false"}, {"false", "false without quotes"}};
  const std::string text = node.is_string() ? lower_case_without_blanks(node.text()) : to_json(node);
  const std::string_view meant = meaning_of(kWords, text);
  return meant.empty() ? "true or false" : std::string(meant);
}

std::string meant_text(const Document& node) {
  if (node.is_number() || node.kind() == Document::Kind::kBool) return quoted(to_json(node)) + " in quotes";
  return "one text, in quotes where it has special characters";
}

std::string meant_list(const Document& node) {
  if (!node.is_string()) return "a list, like [\"a\", \"b\"]";
  std::string list;
  for (std::string_view rest = node.text(); !rest.empty();) {
    const std::size_t blank = std::min(rest.find(' '), rest.size());
    if (blank > 0) list += (list.empty() ? "" : ", ") + quoted(rest.substr(0, blank));
    rest.remove_prefix(std::min(blank + 1, rest.size()));
  }
  return fmt::format("[{}]", list);
}

std::string meant_map(const Document& node) {
  const Document& first = node.is_array() && !node.items().empty() ? node.items().front() : node;
  const std::size_t equals = first.is_string() ? first.text().find('=') : std::string::npos;
  if (equals == std::string::npos) return "NAME: VALUE pairs, like {\"NAME\": \"VALUE\"}";
  return fmt::format("{{\"{}\": \"{}\"}}", first.text().substr(0, equals), first.text().substr(equals + 1));
}

std::string meant_byte_size(std::string_view text) {
  static constexpr Meaning kUnits[] = {{"k", "kB KiB"}, {"m", "MB MiB"}, {"g", "GB GiB"}, {"t", "TB TiB"}, {"kb", "kB"},
                                       {"mb", "MB"},    {"gb", "GB"},    {"tb", "TB"},    {"ki", "KiB"},   {"mi", "MiB"},
                                       {"gi", "GiB"},   {"ti", "TiB"},   {"kib", "KiB"},  {"mib", "MiB"},  {"gib", "GiB"},
                                       {"tib", "TiB"},  {"b", "B"},      {"bytes", "B"},  {"byte", "B"}};
  const std::string plain = lower_case_without_blanks(text);
  const auto [number, unit] = split_number(plain);
  const std::string_view meant = meaning_of(kUnits, unit);
  if (!is_number(number) || meant.empty()) return "";
  const std::size_t blank = meant.find(' ');
  if (blank == std::string_view::npos) return fmt::format("\"{}{}\"", number, meant);
  return fmt::format("\"{0}{1}\" or \"{0}{2}\"", number, meant.substr(0, blank), meant.substr(blank + 1));
}

std::string meant_duration(std::string_view text) {
  static constexpr Meaning kUnits[] = {{"", "s"},
                                       {"s", "s"},
                                       {"sec", "s"},
                                       {"secs", "s"},
                                       {"second", "s"},
                                       {"seconds", "s"},
                                       {"m", "m"},
                                       {"min", "m"},
                                       {"mins", "m"},
                                       {"minute", "m"},
                                       {"minutes", "m"},
                                       {"h", "h"},
                                       {"hr", "h"},
                                       {"hrs", "h"},
                                       {"hour", "h"},
                                       {"hours", "h"},
                                       {"d", "d"},
                                       {"day", "d"},
                                       {"days", "d"},
                                       {"ms", "ms"},
                                       {"msec", "ms"},
                                       {"millisecond", "ms"},
                                       {"milliseconds", "ms"}};
  const std::string plain = lower_case_without_blanks(text);
  const auto [number, unit] = split_number(plain);
  const std::string_view meant = meaning_of(kUnits, unit);
  return is_number(number) && !meant.empty() ? fmt::format("\"{}{}\"", number, meant) : "";
}

std::string meant_cpu(std::string_view text) {
  const std::string plain = lower_case_without_blanks(text);
  const auto [number, unit] = split_number(plain);
  const bool words = unit == "cores" || unit == "core" || unit == "cpus" || unit == "cpu" || unit.empty();
  return is_number(number) && words ? std::string(number) : "";
}

std::string write_instead(const std::string& meant) { return meant.empty() ? "" : "; write " + meant; }

}  // namespace trainyard
