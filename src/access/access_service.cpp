#include "access/access_service.h"

#include <fmt/format.h>

#include <algorithm>

#include "access/token_text.h"
#include "base/failpoint.h"

namespace trainyard::access {
namespace {

using net::Permission;

Error forbidden(std::string message) { return {Category::kPermissionDenied, "auth.forbidden", std::move(message), {}, {}}; }

Error unknown_token(const std::string& id) {
  return not_found("access.unknown_token", fmt::format("there is no token with this id; `trainyard token ls` lists them: {}", id));
}

Result<void> check_lifetime(Duration lifetime, Duration max) {
  if (lifetime >= std::chrono::seconds(1) && lifetime <= max) return {};
  return invalid_argument(
      "access.lifetime",
      fmt::format("a lifetime must lie between 1s and {}: {}", format_duration(max), format_duration(std::max(lifetime, Duration(0)))),
      "/expires_in");
}

/// The grants of a new user as a principal; each scope once.
Result<net::Principal> principal_with(const std::vector<net::Grant>& grants) {
  net::Principal given;
  for (const net::Grant& grant : grants) {
    TRY(check_scope(grant.scope));
    TRY(check_role(grant.role));
    const bool again = std::any_of(given.grants.begin(), given.grants.end(), [&](const net::Grant& g) { return g.scope == grant.scope; });
    if (again) return invalid_argument("access.grant_twice", "a user has one role in a namespace; give it once: " + grant.scope, "/grants");
    given.grants.push_back(grant);
  }
  return given;
}

}  // namespace

Caller caller_of(const net::Request& request) { return {request.principal, request.peer, request.request_id}; }

AuditRecord AccessService::allowed(const Caller& caller, std::string action, std::string object) const {
  return {.time = deps_.clock.now(),
          .who = caller.principal.name,
          .action = std::move(action),
          .object = std::move(object),
          .decision = "allowed",
          .source = caller.source,
          .request_id = caller.request_id};
}

Error AccessService::refused(const Caller& caller, std::string action, std::string object, Error error) {
  AuditRecord record = allowed(caller, std::move(action), std::move(object));
  record.decision = error.id;
  deps_.audit.record(std::move(record));
  return error;
}

Result<void> AccessService::check_given(const Caller& caller, const std::string& action, const std::string& object,
                                        const net::Principal& given) {
  if (covers(caller.principal, given)) return {};
  return refused(caller, action, object, forbidden("Nobody can give away more than they hold themselves; ask an administrator"));
}

void AccessService::ended(const std::string& principal, const std::string& credential) {
  if (on_revoked_) on_revoked_({principal, credential});
}

Result<void> AccessService::start() {
  known_change_ = -1;
  TRY(follow());
  return {};
}

Result<bool> AccessService::follow() {
  // Read first: a change that comes in between is loaded twice rather than never.
  ASSIGN_OR_RETURN(const std::vector<AuditRecord> newest, deps_.repository.audit(0, 1));
  const std::int64_t change = newest.empty() ? 0 : newest.front().number;
  if (change == known_change_) return false;
  ASSIGN_OR_RETURN(IdentitySnapshot snapshot, deps_.repository.snapshot());
  deps_.identities.load(std::move(snapshot));
  known_change_ = change;
  return true;
}

Result<void> AccessService::ensure_admin() {
  const Result<User> known = deps_.repository.user(std::string(kAdminUser));
  if (known.ok()) return {};
  if (known.error().category != Category::kNotFound) return known.error();
  const User admin{.name = std::string(kAdminUser),
                   .disabled = false,
                   .created_at = deps_.clock.now(),
                   .grants = {{std::string(net::kAllNamespaces), "admin"}}};
  const Caller system{.principal = {.name = "system", .role = {}, .grants = {}, .credential = {}}, .source = {}, .request_id = {}};
  const Result<void> made = deps_.repository.create_user(admin, allowed(system, "user.create", "user/" + admin.name));
  // An installation that is full of users starts as well: the token in the data directory is good without.
  if (!made.ok()) return made.error().category == Category::kResourceExhausted ? Result<void>() : made;
  deps_.identities.put(admin);
  return {};
}

void AccessService::sweep() {
  for (const Revocation& over : deps_.identities.sweep(deps_.clock.now())) ended(over.principal, over.credential);
}

Result<User> AccessService::create_user(const Caller& caller, const std::string& name, const std::vector<net::Grant>& grants) {
  TRY(check_user_name(name));
  ASSIGN_OR_RETURN(const net::Principal given, principal_with(grants));
  TRY(check_given(caller, "user.create", "user/" + name, given));
  User user{.name = name, .disabled = false, .created_at = deps_.clock.now(), .grants = given.grants};
  std::sort(user.grants.begin(), user.grants.end());
  TRY(deps_.repository.create_user(user, allowed(caller, "user.create", "user/" + name)));
  deps_.identities.put(user);
  return user;
}

Result<void> AccessService::check_admin_stays(const Caller& caller, const std::string& action, const std::string& name,
                                              const std::string& object) {
  if (name != kAdminUser) return {};
  return refused(caller, action, object,
                 failed_precondition("access.last_admin",
                                     "the administrator whose token is in the server's data directory stays, is enabled and holds every "
                                     "role; to end a token that it made: trainyard token revoke ID"));
}

Result<User> AccessService::set_disabled(const Caller& caller, const std::string& name, bool disabled) {
  if (disabled) TRY(check_admin_stays(caller, "user.disable", name, "user/" + name));
  ASSIGN_OR_RETURN(
      User user, deps_.repository.set_disabled(name, disabled, allowed(caller, disabled ? "user.disable" : "user.enable", "user/" + name)));
  deps_.identities.put(user);
  if (disabled) ended(name, {});
  return user;
}

Result<User> AccessService::remove_user(const Caller& caller, const std::string& name) {
  const std::string object = "user/" + name;
  TRY(check_admin_stays(caller, "user.delete", name, object));
  // Callers with a stored token may be deleting the only one of them who could let others in.
  const bool is_stored = !caller.principal.credential.empty();
  Result<User> gone = deps_.repository.user(name);
  const auto rules = [](const net::Grant& grant) { return grant.scope == net::kAllNamespaces && grant.role == "admin"; };
  const bool is_admin = gone.ok() && std::any_of(gone->grants.begin(), gone->grants.end(), rules);
  if (gone.ok()) gone = deps_.repository.remove_user(name, is_stored && is_admin, allowed(caller, "user.delete", object));
  if (!gone.ok()) return refused(caller, "user.delete", object, gone.error());
  deps_.identities.remove_user(name);
  ended(name, {});
  return gone;
}

Result<User> AccessService::set_grant(const Caller& caller, const std::string& name, const net::Grant& grant) {
  const std::string object = fmt::format("user/{}/grants/{}", name, grant.scope);
  TRY(check_scope(grant.scope));
  TRY(check_role(grant.role));
  if (!net::may(caller.principal, Permission::kAdmin, grant.scope)) {
    return refused(caller, "grant.set", object, forbidden("Only an admin of a namespace gives roles in it: " + grant.scope));
  }
  if (grant.scope == net::kAllNamespaces && grant.role != "admin") TRY(check_admin_stays(caller, "grant.set", name, object));
  ASSIGN_OR_RETURN(User user, deps_.repository.set_grant(name, grant, allowed(caller, "grant.set " + grant.role, object)));
  FAILPOINT("access.after_grant_commit");
  deps_.identities.put(user);
  ended(name, {});  // The role may be less than it was; whoever holds enough connects anew.
  return user;
}

Result<User> AccessService::remove_grant(const Caller& caller, const std::string& name, const std::string& scope) {
  const std::string object = fmt::format("user/{}/grants/{}", name, scope);
  TRY(check_scope(scope));
  if (!net::may(caller.principal, Permission::kAdmin, scope)) {
    return refused(caller, "grant.remove", object, forbidden("Only an admin of a namespace takes roles in it away: " + scope));
  }
  if (scope == net::kAllNamespaces) TRY(check_admin_stays(caller, "grant.remove", name, object));
  ASSIGN_OR_RETURN(User user, deps_.repository.remove_grant(name, scope, allowed(caller, "grant.remove", object)));
  deps_.identities.put(user);
  ended(name, {});
  return user;
}

Result<std::vector<StoredToken>> AccessService::tokens(const Caller& caller, const std::string& user, const std::string& after,
                                                       std::size_t limit) {
  const bool all = net::may_everywhere(caller.principal, Permission::kAdmin);
  if (!all && !user.empty() && user != caller.principal.name) return std::vector<StoredToken>();
  return deps_.repository.tokens(all ? user : caller.principal.name, after, limit);
}

Result<StoredToken> AccessService::token(const Caller& caller, const std::string& id) {
  ASSIGN_OR_RETURN(StoredToken token, deps_.repository.token(id));
  if (token.user == caller.principal.name || net::may_everywhere(caller.principal, Permission::kAdmin)) return token;
  return unknown_token(id);
}

Result<IssuedToken> AccessService::issue_token(const Caller& caller, const NewToken& wanted) {
  const std::string object = "user/" + wanted.user;
  const bool admin = net::may_everywhere(caller.principal, Permission::kAdmin);
  if (!admin && wanted.user != caller.principal.name) {
    return refused(caller, "token.issue", object, forbidden("Only an admin of everything makes tokens for others: " + wanted.user));
  }
  TRY(check_lifetime(wanted.lifetime, settings_.token_lifetime_max));
  if (wanted.scope.name_space) TRY(check_namespace(*wanted.scope.name_space));
  if (wanted.scope.role) TRY(check_role(*wanted.scope.role));
  ASSIGN_OR_RETURN(const User user, deps_.repository.user(wanted.user));

  const TokenText text = make_token_text("pat");
  const TimePoint now = deps_.clock.now();
  IssuedToken issued{{.id = text.id,
                      .user = wanted.user,
                      .sha256 = text.sha256,
                      .name = wanted.name,
                      .scope = wanted.scope,
                      .created_at = now,
                      .expires_at = now + wanted.lifetime,
                      .last_used_at = {},
                      .revoked_at = {}},
                     text.text};
  TRY(check_given(caller, "token.issue", object, principal_of(user, issued.token)));
  const std::optional<TimePoint> own_end = deps_.identities.expiry_of(caller.principal.credential);
  if (!admin && own_end) issued.token.expires_at = std::min(*issued.token.expires_at, *own_end);
  TRY(deps_.repository.add_token(issued.token, allowed(caller, "token.issue " + text.id, object)));
  FAILPOINT("access.after_token_commit");
  deps_.identities.put(issued.token);
  return issued;
}

Result<StoredToken> AccessService::revoke_token(const Caller& caller, const std::string& id) {
  if (const Result<StoredToken> known = token(caller, id); !known.ok()) {
    return refused(caller, "token.revoke", "token/" + id, known.error());
  }
  ASSIGN_OR_RETURN(StoredToken revoked, deps_.repository.revoke_token(id, allowed(caller, "token.revoke", "token/" + id)));
  FAILPOINT("access.after_revoke_commit");
  deps_.identities.remove(id);
  ended(revoked.user, id);
  return revoked;
}

void AccessService::token_was_used(const std::string& id, TimePoint now) {
  // When it was used is told to people only: a write that fails is made up for by the next one.
  if (const Result<void> written = deps_.repository.touch_token(id, now); !written.ok()) return;
}

Result<IssuedJoinToken> AccessService::issue_join_token(const Caller& caller, const NewJoinToken& wanted) {
  TRY(check_lifetime(wanted.lifetime, settings_.join_lifetime_max));
  if (wanted.uses < 1 || wanted.uses > settings_.join_uses_max) {
    return invalid_argument("access.uses",
                            fmt::format("a join token is good for 1 to {} machines: {}", settings_.join_uses_max, wanted.uses), "/uses");
  }
  if (!wanted.node.empty()) TRY(check_node_name(wanted.node));
  const TokenText text = make_token_text("join");
  const TimePoint now = deps_.clock.now();
  IssuedJoinToken issued{{.id = text.id,
                          .sha256 = text.sha256,
                          .node = wanted.node,
                          .pool = wanted.pool,
                          .labels = wanted.labels,
                          .created_by = caller.principal.name,
                          .created_at = now,
                          .expires_at = now + wanted.lifetime,
                          .uses_left = wanted.uses},
                         text.text};
  TRY(deps_.repository.add_join_token(issued.token, allowed(caller, "join_token.issue", "join_token/" + text.id)));
  deps_.identities.put(issued.token);
  return issued;
}

IssuedCredential AccessService::make_credential(const NodeName& node) const {
  const TokenText text = make_token_text("agent");
  const TimePoint now = deps_.clock.now();
  return {{.id = text.id,
           .node = node,
           .sha256 = text.sha256,
           .issued_at = now,
           .expires_at = now + settings_.agent_lifetime,
           .revoked_at = {}},
          text.text,
          {},
          {}};
}

Result<IssuedCredential> AccessService::join(const Caller& caller, const NodeName& node) {
  const std::string object = "agent/" + node.text;
  TRY(check_node_name(node.text));
  IssuedCredential issued = make_credential(node);
  Result<UserRepository::Joined> joined =
      deps_.repository.join(caller.principal.credential, issued.credential, allowed(caller, "agent.join", object));
  if (!joined.ok()) return refused(caller, "agent.join", object, joined.error());
  FAILPOINT("access.after_join_commit");
  if (joined->token.uses_left <= 0) deps_.identities.remove(joined->token.id);
  deps_.identities.put(issued.credential);
  for (const std::string& id : joined->replaced) {
    deps_.identities.remove(id);
    ended(agent_principal(node), id);
  }
  issued.pool = joined->token.pool;
  issued.labels = joined->token.labels;
  return issued;
}

Result<IssuedCredential> AccessService::renew(const Caller& caller) {
  const std::optional<NodeName> node = node_of(caller.principal);
  if (!node || caller.principal.credential.empty()) {
    return failed_precondition("agent.no_credential",
                               "Only an agent that has joined renews its credential; this caller is: " + caller.principal.name);
  }
  IssuedCredential issued = make_credential(*node);
  const std::string object = "agent/" + node->text;
  Result<std::vector<std::string>> replaced =
      deps_.repository.renew(caller.principal.credential, issued.credential, allowed(caller, "agent.renew", object));
  if (!replaced.ok()) return refused(caller, "agent.renew", object, replaced.error());
  FAILPOINT("access.after_renew_commit");
  deps_.identities.put(issued.credential);
  for (const std::string& id : *replaced) {
    deps_.identities.remove(id);
    ended(agent_principal(*node), id);
  }
  return issued;
}

Result<void> AccessService::revoke_agent(const Caller& caller, const NodeName& node) {
  ASSIGN_OR_RETURN(const std::vector<std::string> gone,
                   deps_.repository.revoke_agent(node, allowed(caller, "agent.revoke", "agent/" + node.text)));
  for (const std::string& id : gone) {
    deps_.identities.remove(id);
    ended(agent_principal(node), id);
  }
  return {};
}

}  // namespace trainyard::access
