#pragma once
#include <string>
#include <string_view>

namespace trainyard::access {

/// HMAC-SHA-256 (RFC 2104) as 64 lower-case hex digits.
std::string hmac_sha256_hex(std::string_view key, std::string_view message);

/// Whether two texts are equal; takes the same time wherever they differ. Their lengths are no secret.
bool equal_in_constant_time(std::string_view a, std::string_view b);

}  // namespace trainyard::access
