#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "access/identity_table.h"

namespace trainyard::access {

/// Who asks for a change, for the audit and for what they may give.
struct Caller {
  net::Principal principal;
  std::string source;
  std::string request_id;
};
Caller caller_of(const net::Request& request);

struct NewToken {
  std::string user;
  std::string name;
  TokenScope scope;
  Duration lifetime = std::chrono::hours(24 * 90);
};
struct IssuedToken {
  StoredToken token;
  std::string text;  ///< Cannot be had again.
};

struct NewJoinToken {
  std::string node;
  std::string pool;
  std::map<std::string, std::string> labels;
  Duration lifetime = std::chrono::minutes(10);
  std::int64_t uses = 1;
};
struct IssuedJoinToken {
  JoinToken token;
  std::string text;  ///< Cannot be had again.
};

struct IssuedCredential {
  AgentCredential credential;
  std::string text;  ///< Cannot be had again.
  std::string pool;  ///< What the join token said; empty after a renewal.
  std::map<std::string, std::string> labels;
};

struct AccessSettings {
  Duration agent_lifetime = std::chrono::hours(24);  ///< Of a credential; an agent renews it at two thirds.
  Duration token_lifetime_max = std::chrono::hours(24 * 366);
  Duration join_lifetime_max = std::chrono::hours(24);
  std::int64_t join_uses_max = 1'000;
};

/// Users, their grants and tokens, and the credentials of agents: changes are durable and audited first, then effective at once, open
/// streams included. Nobody can give away more than they hold. Blocks; the methods that change something are called on one executor, one at
/// a time, so that memory follows the order of the database. Errors of every method: also those of the database.
class AccessService {
 public:
  struct Deps {
    UserRepository& repository;
    IdentityTable& identities;  ///< Of the authorizer.
    AuditSink& audit;           ///< For what was refused.
    const Clock& clock;
  };
  /// Called after each change that takes something away, on the thread of that change: streams of whom it concerns have to end.
  using OnRevoked = std::function<void(const Revocation&)>;

  AccessService(AccessSettings settings, Deps deps, OnRevoked on_revoked)
      : settings_(settings), deps_(deps), on_revoked_(std::move(on_revoked)) {}

  /// Loads who is who. Before the server starts.
  Result<void> start();
  /// Loads it again when another process has changed something since; true: it did. To be called about every second where another process
  /// makes the changes.
  Result<bool> follow();
  /// Makes the user kAdminUser, an admin of everything, where there is none: tokens that the administrator makes belong to it. To be called
  /// by the process that makes the changes, before it takes any.
  Result<void> ensure_admin();
  /// Ends the streams of what is over since the last sweep. To be called every few seconds.
  void sweep();

  Result<std::vector<User>> users(const std::string& after, std::size_t limit) { return deps_.repository.users(after, limit); }
  /// Errors: NOT_FOUND "access.unknown_user".
  Result<User> user(const std::string& name) { return deps_.repository.user(name); }
  /// Errors: those of check_user_name, check_scope, check_role, UserRepository::create_user; PERMISSION_DENIED "auth.forbidden" for grants
  /// beyond the caller's.
  Result<User> create_user(const Caller& caller, const std::string& name, const std::vector<net::Grant>& grants);
  /// Errors: NOT_FOUND "access.unknown_user"; FAILED_PRECONDITION "access.last_admin" for kAdminUser.
  Result<User> set_disabled(const Caller& caller, const std::string& name, bool disabled);
  /// The tokens and sessions of the user end with it; what it submitted goes on, and belongs to whoever gets the name next. kAdminUser
  /// stays, and may delete every other. Errors: NOT_FOUND "access.unknown_user", FAILED_PRECONDITION "access.last_admin".
  Result<User> remove_user(const Caller& caller, const std::string& name);
  /// For admins of the scope. Errors: as create_user, NOT_FOUND "access.unknown_user", and FAILED_PRECONDITION "access.last_admin" for what
  /// would leave kAdminUser less than everything.
  Result<User> set_grant(const Caller& caller, const std::string& name, const net::Grant& grant);
  Result<User> remove_grant(const Caller& caller, const std::string& name, const std::string& scope);

  /// The caller's own tokens; admins of everything see those of `user`, or all when it is empty.
  Result<std::vector<StoredToken>> tokens(const Caller& caller, const std::string& user, const std::string& after, std::size_t limit);
  /// Errors: NOT_FOUND "access.unknown_token", also for those of others.
  Result<StoredToken> token(const Caller& caller, const std::string& id);
  /// For oneself, or by an admin of everything. The token ends no later than the one that asked for it. Errors: NOT_FOUND
  /// "access.unknown_user", INVALID_ARGUMENT "access.lifetime", PERMISSION_DENIED "auth.forbidden" for more than the caller holds.
  Result<IssuedToken> issue_token(const Caller& caller, const NewToken& wanted);
  /// Errors: NOT_FOUND "access.unknown_token", also for those of others.
  Result<StoredToken> revoke_token(const Caller& caller, const std::string& id);
  /// Writes down when a token was used; what UseObserver is told, on the executor.
  void token_was_used(const std::string& id, TimePoint now);

  /// Errors: INVALID_ARGUMENT "access.lifetime", "access.uses", "access.node_name".
  Result<IssuedJoinToken> issue_join_token(const Caller& caller, const NewJoinToken& wanted);
  /// Makes the machine that shows a join token a node. Errors: as UserRepository::join, and INVALID_ARGUMENT "access.node_name".
  Result<IssuedCredential> join(const Caller& caller, const NodeName& node);
  /// The next credential for the agent that calls. Errors: FAILED_PRECONDITION "agent.no_credential" for callers that are no agents.
  Result<IssuedCredential> renew(const Caller& caller);
  /// Errors: NOT_FOUND "agent.unknown".
  Result<void> revoke_agent(const Caller& caller, const NodeName& node);

  Result<std::vector<AuditRecord>> audit(std::int64_t before, std::size_t limit) { return deps_.repository.audit(before, limit); }

 private:
  AuditRecord allowed(const Caller& caller, std::string action, std::string object) const;
  Error refused(const Caller& caller, std::string action, std::string object, Error error);
  Result<void> check_given(const Caller& caller, const std::string& action, const std::string& object, const net::Principal& given);
  void ended(const std::string& principal, const std::string& credential);
  Result<void> check_admin_stays(const Caller& caller, const std::string& action, const std::string& name, const std::string& object);
  IssuedCredential make_credential(const NodeName& node) const;

  const AccessSettings settings_;
  const Deps deps_;
  const OnRevoked on_revoked_;
  std::int64_t known_change_ = 0;  ///< Number of the newest audit record as of the last load: every change writes one.
};

}  // namespace trainyard::access
