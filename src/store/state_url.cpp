#include "store/state_url.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <vector>

namespace trainyard::store {
namespace {

constexpr std::string_view kAccepted =
    "a state URL is sqlite:///absolute/path, postgresql://user@host:port/database or redis://:password@host:port/number";

/// Options whose values are secrets.
constexpr std::array<std::string_view, 2> kSecretOptions{"password", "sslpassword"};

Error malformed(std::string_view why) { return invalid_argument("state.url", fmt::format("{}: {}", why, kAccepted)); }

bool is_secret(std::string_view option) { return std::find(kSecretOptions.begin(), kSecretOptions.end(), option) != kSecretOptions.end(); }

int hex_digit(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

Result<std::string> decoded(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char byte = text[i];
    if (byte == '%') {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0) return malformed("a % is followed by two hex digits (a % itself is %25)");
      byte = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (byte == '\0') return malformed("a state URL holds no NUL byte");
    plain += byte;
  }
  return plain;
}

/// Cuts `text` at the first `mark` and returns what stands behind it; none without a mark.
std::optional<std::string_view> cut_at(std::string_view& text, char mark) {
  const std::size_t at = text.find(mark);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view rest = text.substr(at + 1);
  text = text.substr(0, at);
  return rest;
}

Result<void> parse_options(std::string_view text, StateUrl& url) {
  while (!text.empty()) {
    std::string_view pair = text;
    text = cut_at(pair, '&').value_or(std::string_view());
    const std::optional<std::string_view> value = cut_at(pair, '=');
    if (!value || pair.empty()) return malformed("options are written ?name=value&name=value");
    ASSIGN_OR_RETURN(std::string name, decoded(pair));
    ASSIGN_OR_RETURN(std::string plain, decoded(*value));
    if (!url.options.emplace(std::move(name), std::move(plain)).second) return malformed("an option is given twice");
  }
  return {};
}

Result<void> parse_port(std::string_view text, StateUrl& url) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), url.port);
  if (error != std::errc() || end != text.data() + text.size() || url.port == 0) return malformed("a port is a number from 1 to 65535");
  return {};
}

/// "user:password@host:port"
Result<void> parse_authority(std::string_view text, StateUrl& url) {
  // A password may hold an @ that was not encoded: the last one counts.
  if (const std::size_t at = text.rfind('@'); at != std::string_view::npos) {
    std::string_view user = text.substr(0, at);
    text = text.substr(at + 1);
    const std::string_view password = cut_at(user, ':').value_or(std::string_view());
    ASSIGN_OR_RETURN(url.user, decoded(user));
    ASSIGN_OR_RETURN(url.password, decoded(password));
  }
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return malformed("an IPv6 address ends with a bracket");
    url.host = std::string(text.substr(1, close - 1));
    text = text.substr(close + 1);
    if (text.empty()) return {};
    if (!text.starts_with(':')) return malformed("behind an IPv6 address stands nothing, or a colon and the port");
    return parse_port(text.substr(1), url);
  }
  const std::optional<std::string_view> port = cut_at(text, ':');
  ASSIGN_OR_RETURN(url.host, decoded(text));
  return port ? parse_port(*port, url) : Result<void>();
}

Result<void> parse_sqlite(std::string_view rest, StateUrl& url) {
  if (cut_at(rest, '?')) return malformed("a SQLite file takes no options");
  if (!rest.starts_with('/') || rest.size() < 2 || rest.ends_with('/')) {
    return malformed("the path of a SQLite file is absolute, with three slashes in front");
  }
  ASSIGN_OR_RETURN(url.path, decoded(rest));
  return {};
}

Result<void> parse_server(std::string_view rest, StateUrl& url) {
  if (const auto options = cut_at(rest, '?')) TRY(parse_options(*options, url));
  // What stands behind the last @ holds no secret, and a slash before it is part of the password.
  const std::size_t at = rest.rfind('@');
  const std::size_t slash = rest.find('/', at == std::string_view::npos ? 0 : at);
  TRY(parse_authority(rest.substr(0, slash), url));
  ASSIGN_OR_RETURN(url.database, decoded(slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1)));
  return {};
}

Result<void> check_redis(StateUrl& url) {
  if (url.host.empty()) return malformed("a Redis URL names its host");
  if (url.database.empty()) url.database = "0";
  const bool number = url.database.size() <= 5 &&
                      std::all_of(url.database.begin(), url.database.end(), [](char digit) { return digit >= '0' && digit <= '9'; });
  if (!number) return malformed("the database of Redis is a number");
  if (url.port == 0) url.port = 6379;
  return {};
}

}  // namespace

std::string StateUrl::option(const std::string& name, std::string fallback) const {
  const auto found = options.find(name);
  return found == options.end() ? std::move(fallback) : found->second;
}

std::string StateUrl::redacted() const {
  if (kind == StateKind::kSqlite) return "sqlite://" + path;
  std::string text = kind == StateKind::kPostgres ? "postgresql://" : "redis://";
  text += user;
  if (!password.empty()) text += ":***";
  if (!user.empty() || !password.empty()) text += '@';
  text += host.find(':') == std::string::npos ? host : '[' + host + ']';
  if (port != 0) text += fmt::format(":{}", port);
  text += '/' + database;
  char mark = '?';
  for (const auto& [name, value] : options) {
    text += fmt::format("{}{}={}", mark, name, is_secret(name) ? "***" : value);
    mark = '&';
  }
  return text;
}

std::string StateUrl::without_secrets(std::string text) const {
  std::vector<std::string_view> secrets{password};
  for (const auto& [name, value] : options) {
    if (is_secret(name)) secrets.emplace_back(value);
  }
  for (const std::string_view secret : secrets) {
    if (secret.empty()) continue;
    constexpr std::string_view kStars = "***";
    for (std::size_t at = text.find(secret); at != std::string::npos; at = text.find(secret, at + kStars.size())) {
      text.replace(at, secret.size(), kStars);
    }
  }
  return text;
}

Result<StateUrl> parse_state_url(std::string_view text) {
  const std::size_t colon = text.find("://");
  if (colon == std::string_view::npos) return malformed("this is no URL");
  const std::string_view scheme = text.substr(0, colon);
  const std::string_view rest = text.substr(colon + 3);
  StateUrl url;
  if (scheme == "sqlite") {
    TRY(parse_sqlite(rest, url));
  } else if (scheme == "postgresql" || scheme == "postgres") {
    url.kind = StateKind::kPostgres;
    TRY(parse_server(rest, url));
    if (url.database.empty()) return malformed("a PostgreSQL URL names its database");
  } else if (scheme == "redis") {
    url.kind = StateKind::kRedis;
    TRY(parse_server(rest, url));
    TRY(check_redis(url));
  } else if (scheme == "rediss") {
    return malformed("Redis over TLS is not supported, use a tunnel or a private network");
  } else {
    return malformed("the scheme of the URL is unknown");
  }
  return url;
}

}  // namespace trainyard::store
