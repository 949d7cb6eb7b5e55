#pragma once
#include <optional>
#include <string>

#include "access/session_store.h"
#include "access/token_authorizer.h"

namespace trainyard::access {

/// Tells callers apart by their token or, for people with a browser, by the session in their cookie. A request with an Authorization field
/// is a program's and its cookie is not looked at. A session only reads: it counts for GET and HEAD that come from a page of this server or
/// from the address bar, so that no page of another site can act in its name. Thread-safe.
class SessionAuthorizer final : public net::Authorizer {
 public:
  /// `installation`: text that differs between installations; servers on one host share the cookies of a browser, and with a name of its
  /// own none signs the others out.
  SessionAuthorizer(TokenAuthorizer& tokens, SessionStore& sessions, std::string_view installation);

  /// The server speaks TLS: browsers are told to send the cookie that way only. Before the server starts.
  void set_secure(bool secure) { secure_ = secure; }

  /// Errors: UNAUTHENTICATED "auth.missing", "auth.invalid"; the message says what a browser's user can do.
  Result<net::Principal> authenticate(const net::Request& request) override;
  bool is_current(const net::Principal& principal) const override { return tokens_.is_current(principal); }

  /// Opens a session for the holder of a stored token; those of attempts and agents open none. The result is the value of a Set-Cookie
  /// field. Errors: UNAUTHENTICATED "auth.invalid".
  Result<std::string> sign_in(const std::string& token);
  /// The same for the holder of a link. Errors: UNAUTHENTICATED "auth.link".
  Result<std::string> sign_in_by_link(const std::string& link);
  /// Ends the session of the request, if it has one. The result is the value of a Set-Cookie field that removes the cookie. The caller has
  /// checked that the request comes from a page of this server.
  std::string sign_out(const net::Request& request);

  /// The session cookie of a request, good or not.
  std::optional<std::string> session_of(const net::Request& request) const;

 private:
  std::string cookie_field(const std::string& value, Duration lifetime) const;

  TokenAuthorizer& tokens_;
  SessionStore& sessions_;
  const std::string cookie_;
  bool secure_ = false;
};

}  // namespace trainyard::access
