#pragma once
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "domain/ids.h"
#include "net/router.h"

namespace trainyard::access {

/// Who holds a stored token and what it may do.
struct TokenGrant {
  std::string principal;
  std::string role;
};

/// Tells callers apart by their token: `Authorization: Bearer`, the password of `Basic`, or the cookie `trainyard_session` on requests that
/// change nothing. Stored tokens are kept as SHA-256. Tokens of attempts are derived, not stored: HMAC-SHA-256 of "job:ID/ATTEMPT" with the
/// key of the installation, so that they stay good over a server restart; they count only while the attempt is current. Thread-safe.
class TokenAuthorizer final : public net::Authorizer {
 public:
  /// Is this attempt the current one of its job? Called on network threads; must not block.
  using AttemptCheck = std::function<bool(const AttemptKey&)>;

  /// `key`: secret bytes of the installation.
  explicit TokenAuthorizer(std::string key) : key_(std::move(key)) {}

  void set_attempt_check(AttemptCheck check);
  void add_token(const std::string& token, TokenGrant grant);

  std::string attempt_token(const AttemptKey& attempt) const;

  /// Errors: UNAUTHENTICATED "auth.missing" without a token, "auth.invalid" for one that is unknown, wrong or over.
  Result<net::Principal> authenticate(const net::Request& request) override;

 private:
  Result<net::Principal> authenticate_attempt(const std::string& token);

  const std::string key_;
  std::mutex mutex_;
  std::map<std::string, TokenGrant> grants_;  // guarded by mutex_; by SHA-256 of the token
  AttemptCheck attempt_check_;                // guarded by mutex_
};

/// The token that a request carries, if any.
std::optional<std::string> token_of(const net::Request& request);

/// "ty_pat_<id>_<secret>" with 256 random bits.
std::string make_personal_token();

/// Reads the token in `path`, or makes one and writes it there with mode 0600. Errors: those of files; PERMISSION_DENIED
/// "auth.token_file_mode" when others may read it.
Result<std::string> load_or_create_token(const std::string& path, const std::function<std::string()>& make);

/// Equal, in time that does not depend on where they differ.
bool equal_in_constant_time(std::string_view a, std::string_view b);

}  // namespace trainyard::access
