#pragma once
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <shared_mutex>
#include <string>
#include <string_view>

#include "access/hmac.h"
#include "access/identity_table.h"
#include "access/secret_file.h"
#include "domain/ids.h"
#include "net/router.h"

namespace trainyard::access {

/// Who holds a stored token and what it may do.
struct TokenGrant {
  std::string principal;
  std::string role;
};

/// The name under which an attempt acts.
std::string attempt_principal(const AttemptKey& attempt);  ///< "job:17/2"
/// The attempt that a principal stands for; none when it is no job.
std::optional<AttemptKey> attempt_of(const net::Principal& principal);

/// The token that a request carries, if any: `Authorization: Bearer`, or the password of `Basic` for clients that know nothing else. An
/// Authorization field that cannot be read is an empty token. The query is never looked at: it ends up in logs and histories.
std::optional<std::string> token_of(const net::Request& request);

/// Tells callers apart by their token. Thread-safe; revoking works at once.
///   ty_pat_ID_SECRET     random; of a user, in the identity table, or added here; kept as SHA-256
///   ty_job_ID_N_MAC      derived, not stored: HMAC-SHA-256 of "job:ID/N" with the key of the installation, so that it stays good over a
///                        server restart; role runner; good while the attempt check says that the attempt is current
///   ty_agent_ID_SECRET   random; bound to a node, in the identity table
///   ty_join_ID_SECRET    random; lets a machine become a node, in the identity table
class TokenAuthorizer final : public net::Authorizer {
 public:
  /// Is this attempt the current one of its job? Called on network threads; must be thread-safe and must not block.
  using AttemptCheck = std::function<bool(const AttemptKey&)>;

  /// The namespace that an attempt works in: its token then counts there alone, without it everywhere. As AttemptCheck.
  using AttemptNamespace = std::function<std::optional<std::string>(const AttemptKey&)>;
  /// Told when a user's token is used, at most once a minute for each. Called on network threads; must not block.
  using UseObserver = std::function<void(const std::string& token_id, TimePoint now)>;

  /// `key`: secret bytes of the installation.
  explicit TokenAuthorizer(std::string key) : key_(std::move(key)), clock_(system_clock_) {}
  /// The same with a clock, which decides what is over.
  TokenAuthorizer(std::string key, const Clock& clock) : key_(std::move(key)), clock_(clock) {}

  /// Without a check no attempt's token is good.
  void set_attempt_check(AttemptCheck check);
  void set_attempt_namespace(AttemptNamespace name_space);
  void observe_use(UseObserver observer);
  /// The tokens of users, agents and joining machines.
  IdentityTable& identities() { return identities_; }
  /// Takes a token whose text is known, e.g. the admin token from its file.
  void add_token(const std::string& token, TokenGrant grant);
  /// The tokens of a principal by their SHA-256, in place of those it had.
  void set_tokens(const std::set<std::string>& sha256s, const TokenGrant& grant);
  /// A fresh random token; its text cannot be had again.
  std::string issue(TokenGrant grant);
  /// Forgets the random tokens of a principal and refuses the derived one until the process ends.
  void revoke(const std::string& principal);

  /// What a browser session remembers of a stored token: its SHA-256. None for unknown tokens and for those of attempts and machines.
  std::optional<std::string> fingerprint_of(const std::string& token) const;
  /// Whose stored token has this fingerprint; none once it was revoked.
  std::optional<net::Principal> principal_of(const std::string& fingerprint) const;

  std::string attempt_token(const AttemptKey& attempt) const;

  /// Errors: UNAUTHENTICATED "auth.missing" without a token, "auth.invalid" for one that is unknown, wrong or over.
  Result<net::Principal> authenticate(const net::Request& request) override;
  bool is_current(const net::Principal& principal) const override;

 private:
  std::optional<net::Principal> attempt(std::string_view claims, std::string_view mac) const;
  std::optional<net::Principal> stored(const std::string& sha256) const;
  bool is_derived(const std::string& principal, std::string_view mac) const;

  const std::string key_;
  const SystemClock system_clock_;
  const Clock& clock_;
  IdentityTable identities_;
  mutable std::shared_mutex mutex_;
  std::map<std::string, TokenGrant> grants_;  // guarded by mutex_; by SHA-256 of the token
  std::set<std::string> revoked_;             // guarded by mutex_
  AttemptCheck attempt_check_;                // guarded by mutex_
  AttemptNamespace attempt_namespace_;        // guarded by mutex_
  UseObserver used_;                          // guarded by mutex_
};

}  // namespace trainyard::access
