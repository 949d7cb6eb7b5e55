#include "access/session_authorizer.h"

#include <algorithm>

#include "base/checksum.h"
#include "net/origin.h"

namespace trainyard::access {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

/// "a=b; NAME=VALUE" -> VALUE.
std::optional<std::string> cookie_value(std::string_view cookies, std::string_view name) {
  while (!cookies.empty()) {
    std::string_view cookie = cookies.substr(0, cookies.find(';'));
    cookies.remove_prefix(std::min(cookies.size(), cookie.size() + 1));
    cookie = trimmed(cookie);
    if (cookie.size() > name.size() && cookie.starts_with(name) && cookie[name.size()] == '=') {
      return std::string(cookie.substr(name.size() + 1));
    }
  }
  return std::nullopt;
}

Error refused(std::string id, std::string message) { return {Category::kUnauthenticated, std::move(id), std::move(message), {}, {}}; }

}  // namespace

SessionAuthorizer::SessionAuthorizer(TokenAuthorizer& tokens, SessionStore& sessions, std::string_view installation)
    : tokens_(tokens),
      sessions_(sessions),
      cookie_("trainyard_session_" + sha256_hex("session cookie of " + std::string(installation)).substr(0, 8)) {}

std::optional<std::string> SessionAuthorizer::session_of(const net::Request& request) const {
  // A client may send several Cookie fields, as HTTP/2 gateways do.
  for (const auto& [name, value] : request.headers.fields()) {
    if (name.size() != 6 || !std::equal(name.begin(), name.end(), "cookie", [](char a, char b) { return (a | 0x20) == b; })) continue;
    if (std::optional<std::string> session = cookie_value(value, cookie_)) return session;
  }
  return std::nullopt;
}

Result<net::Principal> SessionAuthorizer::authenticate(const net::Request& request) {
  const std::optional<std::string> session = session_of(request);
  if (request.headers.get("Authorization") || !session) return tokens_.authenticate(request);
  const bool reads = request.method == "GET" || request.method == "HEAD";
  if (!reads) return refused("auth.missing", "a browser session can read but not change anything: send the access token instead");
  if (!net::is_same_origin(request.headers)) {
    return refused("auth.missing", "a browser session counts for requests from pages of this server only: open the address of this server");
  }
  const std::optional<std::string> fingerprint = sessions_.find(*session);
  const std::optional<net::Principal> principal = fingerprint ? tokens_.principal_of(*fingerprint) : std::nullopt;
  if (!principal) return refused("auth.invalid", "the browser session is over: sign in again on the start page of this server");
  return *principal;
}

Result<std::string> SessionAuthorizer::sign_in(const std::string& token) {
  const std::optional<std::string> fingerprint = tokens_.fingerprint_of(token);
  if (!fingerprint) {
    return refused("auth.invalid",
                   "this token is not known here: copy the whole token from the file that `trainyard up` named when it started");
  }
  return cookie_field(sessions_.open(*fingerprint), sessions_.settings().session_lifetime);
}

Result<std::string> SessionAuthorizer::sign_in_by_link(const std::string& link) {
  ASSIGN_OR_RETURN(const std::string fingerprint, sessions_.redeem(link));
  return cookie_field(sessions_.open(fingerprint), sessions_.settings().session_lifetime);
}

std::string SessionAuthorizer::sign_out(const net::Request& request) {
  if (const std::optional<std::string> session = session_of(request)) sessions_.close(*session);
  return cookie_field("", Duration(0));
}

std::string SessionAuthorizer::cookie_field(const std::string& value, Duration lifetime) const {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(lifetime).count();
  // No `Secure` without TLS: a browser would drop such a cookie on any host but loopback.
  return cookie_ + "=" + value + "; Path=/; Max-Age=" + std::to_string(seconds) + "; HttpOnly; SameSite=Strict" +
         (secure_ ? "; Secure" : "");
}

}  // namespace trainyard::access
