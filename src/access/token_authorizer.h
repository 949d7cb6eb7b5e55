#pragma once
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <shared_mutex>
#include <string>
#include <string_view>

#include "access/hmac.h"
#include "access/secret_file.h"
#include "domain/ids.h"
#include "net/router.h"

namespace trainyard::access {

/// Who holds a stored token and what it may do.
struct TokenGrant {
  std::string principal;
  std::string role;
};

/// The names under which attempts and agents act.
std::string attempt_principal(const AttemptKey& attempt);  ///< "job:17/2"
std::string agent_principal(const NodeName& node);         ///< "agent:node-1"
/// The attempt that a principal stands for; none when it is no job.
std::optional<AttemptKey> attempt_of(const net::Principal& principal);

/// The token that a request carries, if any: `Authorization: Bearer`, or the password of `Basic` for clients that know nothing else. An
/// Authorization field that cannot be read is an empty token. The query is never looked at: it ends up in logs and histories.
std::optional<std::string> token_of(const net::Request& request);

/// Tells callers apart by their token. Thread-safe; revoking works at once.
///   ty_pat_ID_SECRET     random; kept as SHA-256
///   ty_job_ID_N_MAC      derived, not stored: HMAC-SHA-256 of "job:ID/N" with the key of the installation, so that it stays good over a
///                        server restart; role runner; good while the attempt check says that the attempt is current
///   ty_agent_NAME_MAC    derived from "agent:NAME" in the same way; role runner
class TokenAuthorizer final : public net::Authorizer {
 public:
  /// Is this attempt the current one of its job? Called on network threads; must be thread-safe and must not block.
  using AttemptCheck = std::function<bool(const AttemptKey&)>;

  /// `key`: secret bytes of the installation.
  explicit TokenAuthorizer(std::string key) : key_(std::move(key)) {}

  /// Without a check no attempt's token is good.
  void set_attempt_check(AttemptCheck check);
  /// Takes a token whose text is known, e.g. the admin token from its file.
  void add_token(const std::string& token, TokenGrant grant);
  /// A fresh random token; its text cannot be had again.
  std::string issue(TokenGrant grant);
  /// Forgets the random tokens of a principal and refuses the derived one until the process ends.
  void revoke(const std::string& principal);

  /// What a browser session remembers of a stored token: its SHA-256. None for unknown tokens and for those of attempts and agents.
  std::optional<std::string> fingerprint_of(const std::string& token) const;
  /// Whose stored token has this fingerprint; none once it was revoked.
  std::optional<net::Principal> principal_of(const std::string& fingerprint) const;

  std::string attempt_token(const AttemptKey& attempt) const;
  std::string agent_token(const NodeName& node) const;

  /// Errors: UNAUTHENTICATED "auth.missing" without a token, "auth.invalid" for one that is unknown, wrong or over.
  Result<net::Principal> authenticate(const net::Request& request) override;

 private:
  std::optional<net::Principal> attempt(std::string_view claims, std::string_view mac) const;
  std::optional<net::Principal> agent(std::string_view name, std::string_view mac) const;
  bool is_derived(const std::string& principal, std::string_view mac) const;

  const std::string key_;
  mutable std::shared_mutex mutex_;
  std::map<std::string, TokenGrant> grants_;  // guarded by mutex_; by SHA-256 of the token
  std::set<std::string> revoked_;             // guarded by mutex_
  AttemptCheck attempt_check_;                // guarded by mutex_
};

}  // namespace trainyard::access
