#pragma once
#include <string>
#include <vector>

#include "access/audit.h"
#include "access/identity.h"
#include "store/database.h"

namespace trainyard::access {

/// Tables access_user, access_grant, access_token, join_token, agent_credential and audit_record: component "access".
const std::vector<store::Migration>& access_migrations();

/// All that says who is who at this moment.
struct IdentitySnapshot {
  std::vector<User> users;
  std::vector<StoredToken> tokens;      ///< Neither revoked nor over.
  std::vector<JoinToken> join_tokens;   ///< With uses left and not over.
  std::vector<AgentCredential> agents;  ///< Neither revoked nor over.
};

/// The durable truth about who may do what, in the SQL that SQLite and PostgreSQL share. Secrets are kept as SHA-256 only. Every change
/// writes its audit record in its own transaction: neither is there without the other. May be called from any thread; blocks. Errors of
/// every method: also those of the database.
class UserRepository {
 public:
  static constexpr std::size_t kUsersMax = 10'000;
  static constexpr std::size_t kTokensOfUserMax = 100;  ///< That are neither revoked nor over.

  UserRepository(store::Database& database, const Clock& clock) : database_(database), clock_(clock) {}

  Result<IdentitySnapshot> snapshot();

  /// Errors: ALREADY_EXISTS "access.user_exists", RESOURCE_EXHAUSTED "access.too_many_users".
  Result<void> create_user(const User& user, const AuditRecord& audit);
  /// Errors: NOT_FOUND "access.unknown_user".
  Result<User> user(const std::string& name);
  /// By name, from behind `after`.
  Result<std::vector<User>> users(const std::string& after, std::size_t limit);
  /// Errors: NOT_FOUND "access.unknown_user".
  Result<User> set_disabled(const std::string& name, bool disabled, const AuditRecord& audit);
  /// Takes the user away with grants and tokens, and returns what it was. Errors: NOT_FOUND "access.unknown_user"; with `keep_an_admin`
  /// FAILED_PRECONDITION "access.last_admin" when no other enabled user is an admin of everything; kAdminUser counts for none.
  Result<User> remove_user(const std::string& name, bool keep_an_admin, const AuditRecord& audit);
  /// Sets the role in one scope, or takes it away. Errors: NOT_FOUND "access.unknown_user".
  Result<User> set_grant(const std::string& name, const net::Grant& grant, const AuditRecord& audit);
  Result<User> remove_grant(const std::string& name, const std::string& scope, const AuditRecord& audit);

  /// Errors: NOT_FOUND "access.unknown_user", RESOURCE_EXHAUSTED "access.too_many_tokens".
  Result<void> add_token(const StoredToken& token, const AuditRecord& audit);
  /// Errors: NOT_FOUND "access.unknown_token".
  Result<StoredToken> token(const std::string& id);
  /// By id, from behind `after`; of one user unless that is empty. With those that are revoked or over.
  Result<std::vector<StoredToken>> tokens(const std::string& user, const std::string& after, std::size_t limit);
  /// A token that is revoked stays so. Errors: NOT_FOUND "access.unknown_token".
  Result<StoredToken> revoke_token(const std::string& id, const AuditRecord& audit);
  /// When the token was used last; an unknown token is no error.
  Result<void> touch_token(const std::string& id, TimePoint used_at);

  Result<void> add_join_token(const JoinToken& token, const AuditRecord& audit);
  struct Joined {
    JoinToken token;                    ///< As it is after this use.
    std::vector<std::string> replaced;  ///< Ids of the credentials that ended.
  };
  /// Uses the join token once and stores the credential, or does neither. Errors: UNAUTHENTICATED "auth.invalid" for a token that is
  /// used up, over or unknown; PERMISSION_DENIED "agent.other_node" when it is for another node; ALREADY_EXISTS "agent.node_joined" when
  /// the node has a credential and the token is not for it.
  Result<Joined> join(const std::string& join_token_id, const AgentCredential& credential, const AuditRecord& audit);
  /// Stores the next credential of a node beside the `shown` one and ends all others. Returns the ids of those. Errors: UNAUTHENTICATED
  /// "auth.invalid" when the shown one is not good any more.
  Result<std::vector<std::string>> renew(const std::string& shown, const AgentCredential& next, const AuditRecord& audit);
  /// Ends all credentials of a node and returns their ids. Errors: NOT_FOUND "agent.unknown" when it has none.
  Result<std::vector<std::string>> revoke_agent(const NodeName& node, const AuditRecord& audit);

  Result<void> append_audit(const AuditRecord& record);
  /// Newest first, from before `before`; 0: from the newest.
  Result<std::vector<AuditRecord>> audit(std::int64_t before, std::size_t limit);

 private:
  store::Database& database_;
  const Clock& clock_;
};

}  // namespace trainyard::access
