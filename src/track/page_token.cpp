#include "track/page_token.h"

#include <array>

#include "base/document.h"

namespace trainyard::track {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string to_base64(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) group = group << 8U | (i + j < text.size() ? static_cast<unsigned char>(text[i + j]) : 0U);
    const std::size_t used = std::min<std::size_t>(3, text.size() - i);
    for (std::size_t j = 0; j < 4; ++j) out.push_back(j <= used ? kAlphabet[group >> (18 - 6 * j) & 0x3fU] : '=');
  }
  return out;
}

std::optional<std::string> from_base64(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string out;
  std::uint32_t bits = 0;
  unsigned int held = 0;
  for (const char c : text) {
    const std::size_t digit = kAlphabet.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = (bits << 6U | static_cast<std::uint32_t>(digit)) & 0xffffffU;
    held += 6;
    if (held >= 8) {
      held -= 8;
      out.push_back(static_cast<char>(bits >> held & 0xffU));
    }
  }
  return out;
}

}  // namespace

std::string page_token(std::size_t offset) { return to_base64(to_json(Document::object({{"offset", static_cast<std::int64_t>(offset)}}))); }

Result<std::size_t> page_offset(std::string_view token) {
  if (token.empty()) return std::size_t{0};
  const std::optional<std::string> text = from_base64(token);
  if (!text) return invalid_argument("track.page_token", "Invalid page token, could not base64-decode");
  const Result<Document> document = parse_json(*text);
  const std::int64_t offset = document.ok() ? document->int_or("offset", -1).value_or(-1) : -1;
  if (offset < 0) return invalid_argument("track.page_token", "Invalid page token, it does not hold an offset");
  return static_cast<std::size_t>(offset);
}

}  // namespace trainyard::track
