#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace trainyard::api::oip::internal {

/// True for the number grammar of RFC 8259: no leading zeros, plus signs or bare points.
bool is_json_number(std::string_view token);
bool is_utf8(std::string_view text);

/// The value of a JSON number, or of NaN, Infinity and -Infinity, bare or quoted. None when the token is neither or is too large for T.
template <typename T>
std::optional<T> parse_float(std::string_view token);

/// Steps through a JSON text token by token. White space between tokens is skipped.
class ScalarReader {
 public:
  explicit ScalarReader(std::string_view text) : rest_(text) {}

  /// Takes `wanted` if it comes next.
  bool take(char wanted);
  /// The next scalar: a string with its quotes, or everything up to the next separator. Not taken.
  std::string_view peek_token();
  void skip(std::size_t size) { rest_.remove_prefix(size); }
  /// Takes a string and resolves its escapes; none if no well-formed string comes next.
  std::optional<std::string> take_string();
  bool at_end();
  std::size_t remaining() const { return rest_.size(); }
  /// The start of what comes next, for messages.
  std::string excerpt();

 private:
  void skip_whitespace();
  std::string_view rest_;
};

}  // namespace trainyard::api::oip::internal
