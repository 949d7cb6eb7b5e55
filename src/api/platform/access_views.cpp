#include "api/platform/access_views.h"

namespace trainyard::api {

void GrantView::describe(FieldVisitor& fields) {
  fields.field("namespace", name_space, "A namespace, or * for all of them.");
  fields.required();
  fields.choice("role", role, {"viewer", "runner", "operator", "admin"}, "The role in it.");
  fields.required();
}

void UserView::describe(FieldVisitor& fields) {
  fields.field("name", name, "Name of the user.");
  fields.field("disabled", disabled, "Whether all tokens of the user are refused.");
  fields.field("created_at", created_at, "When the user was made.");
  fields.field("grants", grants, "One role in a namespace, by namespace.");
}

void UserPage::describe(FieldVisitor& fields) {
  fields.field("users", users, "By name.");
  fields.field("next_cursor", next_cursor, "Where the next page begins; absent: there is none.");
}

void NewUserBody::describe(FieldVisitor& fields) {
  fields.field("name", name, "1 to 63 lower-case letters, digits, '.', '_' and '-'.");
  fields.required();
  fields.field("grants", grants, "What the user may do from the start.");
}

void UserChange::describe(FieldVisitor& fields) {
  fields.field("disabled", disabled, "Whether all tokens of the user are refused.");
  fields.required();
}

void GrantList::describe(FieldVisitor& fields) { fields.field("grants", grants, "By namespace."); }

void TokenView::describe(FieldVisitor& fields) {
  fields.field("id", id, "Id of the token: the part of its text that is no secret.");
  fields.field("user", user, "Whose it is.");
  fields.field("name", name, "For people.");
  fields.field("namespace", name_space, "The only namespace it counts in.");
  fields.field("role", role, "The most it holds anywhere.");
  fields.field("created_at", created_at, "When it was made.");
  fields.field("expires_at", expires_at, "When it ends.");
  fields.field("last_used_at", last_used_at, "When it was used last, to the minute.");
  fields.field("revoked_at", revoked_at, "When it was revoked.");
}

void TokenPage::describe(FieldVisitor& fields) {
  fields.field("tokens", tokens, "By id, with those that are over.");
  fields.field("next_cursor", next_cursor, "Where the next page begins; absent: there is none.");
}

void NewTokenBody::describe(FieldVisitor& fields) {
  fields.field("user", user, "Whose it is to be; absent: the caller's own.");
  fields.field("name", name, "For people.");
  fields.field("namespace", name_space, "The only namespace it is to count in.");
  fields.choice("role", role, {"viewer", "runner", "operator", "admin"}, "The most it is to hold anywhere.");
  fields.field("expires_in", expires_in, "How long it is good, at most 366d.");
}

void IssuedTokenView::describe(FieldVisitor& fields) {
  fields.field("token", token, "What is known of it.");
  fields.field("secret", secret, "Its text; shown this once.");
}

void NewJoinTokenBody::describe(FieldVisitor& fields) {
  fields.field("node", node, "The only node it is for, which it may also replace; empty: any new one.");
  fields.field("pool", pool, "Where the nodes go; empty: the default pool.");
  fields.field("labels", labels, "Labels of the nodes.");
  fields.field("expires_in", expires_in, "How long it is good, at most 1d.");
  fields.field("uses", uses, {.min = 1, .max = 1'000}, "How many machines may join with it.");
}

void IssuedJoinTokenView::describe(FieldVisitor& fields) {
  fields.field("id", id, "Id of the token.");
  fields.field("node", node, "The only node it is for; empty: any new one.");
  fields.field("pool", pool, "Where the nodes go.");
  fields.field("labels", labels, "Labels of the nodes.");
  fields.field("expires_at", expires_at, "When it ends.");
  fields.field("uses_left", uses_left, "How many machines may join with it.");
  fields.field("secret", secret, "Its text; shown this once.");
}

void JoinBody::describe(FieldVisitor& fields) {
  fields.field("node", node, "How the machine is to be called.");
  fields.required();
}

void AgentCredentialView::describe(FieldVisitor& fields) {
  fields.field("id", id, "Id of the credential.");
  fields.field("node", node, "The node that it is bound to.");
  fields.field("pool", pool, "Where the node goes; empty: the default pool, or a renewal.");
  fields.field("labels", labels, "Labels of the node.");
  fields.field("issued_at", issued_at, "When it was made.");
  fields.field("expires_at", expires_at, "When it ends; it is to be renewed at two thirds of its time.");
  fields.field("secret", secret, "Its text; shown this once.");
}

void WhoAmI::describe(FieldVisitor& fields) {
  fields.field("name", name, "Under which the caller acts.");
  fields.field("grants", grants, "What the caller may do, by namespace.");
  fields.field("token_id", token_id, "Id of the token that was shown.");
}

void CanI::describe(FieldVisitor& fields) {
  fields.field("action", action, "What was asked about.");
  fields.field("namespace", name_space, "Where.");
  fields.field("needs", needs, "The role that it needs.");
  fields.field("allowed", allowed, "Whether the caller may.");
}

void AuditView::describe(FieldVisitor& fields) {
  fields.field("number", number, "Grows by one with each record.");
  fields.field("time", time, "When.");
  fields.field("who", who, "The caller; empty: nobody known.");
  fields.field("action", action, "What was asked for.");
  fields.field("object", object, "Of what.");
  fields.field("decision", decision, "allowed, or the id of the error.");
  fields.field("source", source, "Address of the client.");
  fields.field("request_id", request_id, "Names the request in the logs of the server.");
}

void AuditPage::describe(FieldVisitor& fields) {
  fields.field("records", records, "Newest first.");
  fields.field("next_cursor", next_cursor, "Where the next page begins; absent: there is none.");
}

GrantView view_of(const net::Grant& grant) { return {grant.scope, grant.role}; }

UserView view_of(const access::User& user) {
  UserView view{user.name, user.disabled, user.created_at, {}};
  for (const net::Grant& grant : user.grants) view.grants.push_back(view_of(grant));
  return view;
}

TokenView view_of(const access::StoredToken& token) {
  return {token.id,         token.user,       token.name,         token.scope.name_space, token.scope.role,
          token.created_at, token.expires_at, token.last_used_at, token.revoked_at};
}

IssuedTokenView view_of(const access::IssuedToken& issued) { return {view_of(issued.token), issued.text}; }

IssuedJoinTokenView view_of(const access::IssuedJoinToken& issued) {
  const access::JoinToken& token = issued.token;
  return {token.id, token.node, token.pool, token.labels, token.expires_at, token.uses_left, issued.text};
}

AgentCredentialView view_of(const access::IssuedCredential& issued) {
  const access::AgentCredential& credential = issued.credential;
  return {credential.id, credential.node.text, issued.pool, issued.labels, credential.issued_at, credential.expires_at, issued.text};
}

WhoAmI view_of(const net::Principal& principal) {
  WhoAmI view{principal.name, {}, {}};
  if (net::is_role(principal.role)) view.grants.push_back({std::string(net::kAllNamespaces), principal.role});
  for (const net::Grant& grant : principal.grants) view.grants.push_back(view_of(grant));
  if (!principal.credential.empty()) view.token_id = principal.credential;
  return view;
}

AuditView view_of(const access::AuditRecord& record) {
  return {std::to_string(record.number),
          record.time,
          record.who,
          record.action,
          record.object,
          record.decision,
          record.source,
          record.request_id};
}

}  // namespace trainyard::api
