#pragma once
#include <array>
#include <bit>
#include <cmath>
#include <string>

#include "base/document.h"
#include "base/rng.h"

namespace trainyard::testing {

/// Draws documents of every kind, with the numbers and texts that codecs get wrong. Equal generators draw equal documents.
class RandomDocument {
 public:
  explicit RandomDocument(Rng& rng) : rng_(rng) {}

  /// A tree of at most `depth` nested containers. Doubles are finite.
  Document draw(std::size_t depth) {
    const std::uint64_t kind = rng_.below(depth == 0 ? 5 : 8);
    if (kind == 0) return {};
    if (kind == 1) return rng_.below(2) == 0;
    if (kind == 2) return integer();
    if (kind == 3) return real();
    if (kind == 4) return text();
    return rng_.below(2) == 0 ? list(depth - 1) : object(depth - 1);
  }

  Document object(std::size_t depth) {
    Document out = Document::object();
    for (std::uint64_t i = rng_.below(5); i > 0; --i) out.set(text(), draw(depth));
    return out;
  }

  /// Valid UTF-8, often something that looks like another type or needs quotes.
  std::string text() {
    static constexpr std::array<std::string_view, 40> kAwkward{
        "",    "null", "~",    "true",  "no",  "1",    "-1",  "+5",  "0x1F", "0o17",
        "1e5", ".5",   ".inf", "-.nan", "- a", "a: b", "a:",  "#x",  "a #b", "[",
        "{}",  "*a",   "&a",   "!tag",  "|",   ">",    "%x",  "@x",  "`x",   "'",
        "\"",  "\\",   "a\nb", "\t",    " a",  "a ",   "---", "...", "<<",   "\xC3\xA9\xF0\x9F\x98\x80"};
    if (rng_.below(3) == 0) return std::string(kAwkward[rng_.below(kAwkward.size())]);
    std::string out;
    for (std::uint64_t i = rng_.below(12); i > 0; --i) append_code_point(out);
    return out;
  }

 private:
  Document list(std::size_t depth) {
    Document out = Document::array();
    for (std::uint64_t i = rng_.below(5); i > 0; --i) out.push(draw(depth));
    return out;
  }

  Document integer() {
    switch (rng_.below(4)) {
      case 0:
        return static_cast<std::int64_t>(rng_.below(100));
      case 1:
        return -static_cast<std::int64_t>(rng_.below(100));
      case 2:
        return rng_.next();
      default:
        return static_cast<std::int64_t>(rng_.next());
    }
  }

  Document real() {
    for (;;) {
      const double value = rng_.below(2) == 0 ? std::bit_cast<double>(rng_.next()) : static_cast<double>(rng_.below(1000)) / 8;
      if (std::isfinite(value)) return value;
    }
  }

  void append_code_point(std::string& out) {
    static constexpr std::array<std::uint32_t, 5> kCeilings{0x80, 0x80, 0x80, 0x800, 0x10FFFF};
    const auto code = static_cast<std::uint32_t>(rng_.below(kCeilings[rng_.below(kCeilings.size())]));
    const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(static_cast<unsigned char>(byte)); };
    if (code < 0x80) return put(code);
    if (code < 0x800) {
      put(0xC0 | code >> 6);
    } else if ((code >= 0xD800 && code < 0xE000) || (code >= 0xFDD0 && code < 0xFDF0) || (code & 0xFFFE) == 0xFFFE) {
      return put('s');  // Surrogates and noncharacters: YAML cannot hold them.
    } else if (code < 0x10000) {
      put(0xE0 | code >> 12);
      put(0x80 | (code >> 6 & 0x3F));
    } else {
      put(0xF0 | code >> 18);
      put(0x80 | (code >> 12 & 0x3F));
      put(0x80 | (code >> 6 & 0x3F));
    }
    put(0x80 | (code & 0x3F));
  }

  Rng& rng_;
};

}  // namespace trainyard::testing
