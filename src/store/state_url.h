#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace trainyard::store {

enum class StateKind { kSqlite, kPostgres, kRedis };

/// Where state is kept, in one setting:
///   sqlite:///absolute/path
///   postgresql://[user[:password]@][host][:port]/database[?option=value&..]   (also postgres://)
///   redis://[[user]:password@]host[:port][/number][?option=value&..]
/// Percent-encoding is undone in every part; an IPv6 address stands in brackets.
struct StateUrl {
  StateKind kind = StateKind::kSqlite;
  std::string path;  ///< Of the SQLite file.
  std::string user;
  std::string password;
  std::string host;  ///< Empty: the database client's own default.
  std::uint16_t port = 0;
  std::string database;  ///< Of Redis the number, "0" when none is given.
  std::map<std::string, std::string> options;

  std::string option(const std::string& name, std::string fallback) const;
  /// The URL without secrets, for messages.
  std::string redacted() const;
  /// `text` with every occurrence of a secret of this URL replaced by "***": what other libraries say may hold one.
  std::string without_secrets(std::string text) const;
};

/// Errors: INVALID_ARGUMENT "state.url", which says what is accepted and never repeats a secret.
Result<StateUrl> parse_state_url(std::string_view text);

}  // namespace trainyard::store
