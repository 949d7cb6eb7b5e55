#pragma once
#include <string>
#include <string_view>

namespace trainyard::access {

/// A fresh token "ty_KIND_ID_SECRET": a public id of 48 and a secret of 256 random bits, in hex. The prefix lets scanners of secrets find
/// one that leaked.
struct TokenText {
  std::string id;
  std::string text;    ///< To be shown once.
  std::string sha256;  ///< Of the text: what is kept.
};

/// `kind`: "pat", "join" or "agent".
TokenText make_token_text(std::string_view kind);

}  // namespace trainyard::access
