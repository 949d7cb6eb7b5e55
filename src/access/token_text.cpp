#include "access/token_text.h"

#include <fmt/format.h>

#include "base/checksum.h"
#include "base/rng.h"

namespace trainyard::access {

TokenText make_token_text(std::string_view kind) {
  TokenText token;
  token.id = secure_random_hex(6);
  token.text = fmt::format("ty_{}_{}_{}", kind, token.id, secure_random_hex(32));
  token.sha256 = sha256_hex(token.text);
  return token;
}

}  // namespace trainyard::access
