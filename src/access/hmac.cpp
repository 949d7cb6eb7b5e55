#include "access/hmac.h"

#include <algorithm>

#include "base/checksum.h"

namespace trainyard::access {
namespace {

constexpr std::size_t kBlock = 64;

std::string bytes_of_hex(std::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) bytes.push_back(static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1])));
  return bytes;
}

std::string padded_with(const std::string& block, unsigned char pad) {
  std::string result = block;
  std::transform(result.begin(), result.end(), result.begin(), [pad](char c) { return static_cast<char>(c ^ static_cast<char>(pad)); });
  return result;
}

}  // namespace

std::string hmac_sha256_hex(std::string_view key, std::string_view message) {
  std::string block = key.size() > kBlock ? bytes_of_hex(sha256_hex(key)) : std::string(key);
  block.resize(kBlock, '\0');
  const std::string inner = sha256_hex(padded_with(block, 0x36).append(message));
  return sha256_hex(padded_with(block, 0x5c).append(bytes_of_hex(inner)));
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  return difference == 0;
}

}  // namespace trainyard::access
