#include <fmt/format.h>

#include <cmath>

#include "base/document.h"

namespace trainyard {
namespace {

/// Length of the well-formed UTF-8 sequence at the start of `text`, 0 when there is none (RFC 3629: no overlong forms, no surrogates).
std::size_t utf8_sequence_length(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](std::size_t i) { return i < text.size() && (byte(i) & 0xC0) == 0x80; };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return continues(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if (!continues(1) || !continues(2)) return 0;
    if (first == 0xE0 && byte(1) < 0xA0) return 0;
    if (first == 0xED && byte(1) > 0x9F) return 0;
    return 3;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if (!continues(1) || !continues(2) || !continues(3)) return 0;
    if (first == 0xF0 && byte(1) < 0x90) return 0;
    if (first == 0xF4 && byte(1) > 0x8F) return 0;
    return 4;
  }
  return 0;
}

void write_escaped(char c, std::string& out) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
  }
}

void write_string(std::string_view text, std::string& out) {
  out += '"';
  while (!text.empty()) {
    const auto c = static_cast<unsigned char>(text[0]);
    if (c < 0x20 || c == '"' || c == '\\' || c == 0x7F) {
      write_escaped(text[0], out);
      text.remove_prefix(1);
      continue;
    }
    const std::size_t length = utf8_sequence_length(text);
    out += length == 0 ? std::string_view("\xEF\xBF\xBD") : text.substr(0, length);
    text.remove_prefix(length == 0 ? 1 : length);
  }
  out += '"';
}

void write_double(double value, std::string& out) {
  if (std::isnan(value)) {
    out += "\"NaN\"";
  } else if (std::isinf(value)) {
    out += value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
  } else {
    const std::string text = fmt::format("{}", value);
    out += text;
    if (text.find_first_of(".e") == std::string::npos) out += ".0";
  }
}

class Writer {
 public:
  Writer(bool pretty, std::string& out) : pretty_(pretty), out_(out) {}

  void write(const Document& document) {
    switch (document.kind()) {
      case Document::Kind::kNull:
        out_ += "null";
        return;
      case Document::Kind::kBool:
        out_ += document.as_bool().value() ? "true" : "false";
        return;
      case Document::Kind::kInt:
        out_ += fmt::format("{}", document.as_int().value());
        return;
      case Document::Kind::kUnsigned:
        out_ += fmt::format("{}", document.as_unsigned().value());
        return;
      case Document::Kind::kDouble:
        write_double(document.as_double().value(), out_);
        return;
      case Document::Kind::kString:
        write_string(document.text(), out_);
        return;
      case Document::Kind::kArray:
        write_array(document.items());
        return;
      case Document::Kind::kObject:
        write_object(document.members());
        return;
    }
  }

 private:
  void new_line() {
    if (pretty_) out_.append(1, '\n').append(2 * depth_, ' ');
  }

  void write_array(const Document::Array& items) {
    out_ += '[';
    ++depth_;
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out_ += ',';
      new_line();
      write(items[i]);
    }
    --depth_;
    if (!items.empty()) new_line();
    out_ += ']';
  }

  void write_object(const Document::Object& members) {
    out_ += '{';
    ++depth_;
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (i > 0) out_ += ',';
      new_line();
      write_string(members[i].first, out_);
      out_ += pretty_ ? ": " : ":";
      write(members[i].second);
    }
    --depth_;
    if (!members.empty()) new_line();
    out_ += '}';
  }

  bool pretty_;
  std::string& out_;
  std::size_t depth_ = 0;
};

}  // namespace

std::string to_json(const Document& document) {
  std::string out;
  Writer(false, out).write(document);
  return out;
}

std::string to_pretty_json(const Document& document) {
  std::string out;
  Writer(true, out).write(document);
  return out;
}

}  // namespace trainyard
