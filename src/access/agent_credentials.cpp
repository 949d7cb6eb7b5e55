// How UserRepository keeps the credentials of agents.
#include <fmt/format.h>

#include "access/internal/rows.h"
#include "base/failpoint.h"

namespace trainyard::access {
namespace {

using store::Connection;
using store::Row;

constexpr std::string_view kLiveOfNode = "node = ? AND revoked_us IS NULL AND expires_us > ?";

Error not_good(std::string what) { return {Category::kUnauthenticated, "auth.invalid", std::move(what), {}, {}}; }

Result<void> insert_credential(Connection& sql, const AgentCredential& credential) {
  TRY(sql.execute(fmt::format("INSERT INTO agent_credential({}) VALUES(?,?,?,?,?,?)", internal::kAgentColumns),
                  {credential.id, credential.node.text, credential.sha256, micros(credential.issued_at), micros(credential.expires_at),
                   internal::optional_time(credential.revoked_at)}));
  return {};
}

/// Ends the live credentials of the node other than `kept`, and returns their ids.
Result<std::vector<std::string>> revoke_others(Connection& sql, const NodeName& node, const std::string& kept, TimePoint now) {
  ASSIGN_OR_RETURN(std::vector<std::string> ended,
                   internal::ids(sql, fmt::format("SELECT id FROM agent_credential WHERE {} AND id <> ? ORDER BY id", kLiveOfNode),
                                 {node.text, micros(now), kept}));
  TRY(sql.execute(fmt::format("UPDATE agent_credential SET revoked_us = ? WHERE {} AND id <> ?", kLiveOfNode),
                  {micros(now), node.text, micros(now), kept}));
  return ended;
}

}  // namespace

Result<void> UserRepository::add_join_token(const JoinToken& token, const AuditRecord& audit) {
  Document labels = Document::object();
  for (const auto& [key, value] : token.labels) labels.append_member(key, value);
  return database_.write([&](Connection& sql) -> Result<void> {
    // What is over is of no use to anybody.
    TRY(sql.execute("DELETE FROM join_token WHERE expires_us <= ? OR uses_left <= 0", {micros(clock_.now())}));
    TRY(sql.execute(fmt::format("INSERT INTO join_token({}) VALUES(?,?,?,?,?,?,?,?,?)", internal::kJoinTokenColumns),
                    {token.id, token.sha256, token.node, token.pool, to_json(labels), token.created_by, micros(token.created_at),
                     micros(token.expires_at), token.uses_left}));
    return internal::insert_audit(sql, audit);
  });
}

Result<UserRepository::Joined> UserRepository::join(const std::string& join_token_id, const AgentCredential& credential,
                                                    const AuditRecord& audit) {
  Joined joined;
  const Result<void> done = database_.write([&](Connection& sql) -> Result<void> {
    const TimePoint now = clock_.now();
    ASSIGN_OR_RETURN(const std::vector<Row> rows, sql.query(fmt::format("SELECT {} FROM join_token WHERE id = ? AND uses_left > 0 AND "
                                                                        "expires_us > ?",
                                                                        internal::kJoinTokenColumns),
                                                            {join_token_id, micros(now)}));
    if (rows.empty()) return not_good("the join token was used or is over: ask an administrator for a new one");
    ASSIGN_OR_RETURN(joined.token, internal::join_token_of(rows.front()));
    const std::string& node = credential.node.text;
    if (!joined.token.node.empty() && joined.token.node != node) {
      return Error{Category::kPermissionDenied,
                   "agent.other_node",
                   fmt::format("the join token is for another node: it is for {}, this is {}", joined.token.node, node),
                   {},
                   {}};
    }
    ASSIGN_OR_RETURN(joined.replaced, revoke_others(sql, credential.node, "", now));
    if (!joined.replaced.empty() && joined.token.node != node) {
      return Error{Category::kAlreadyExists,
                   "agent.node_joined",
                   fmt::format("a node of this name has joined already: choose another name with --node, or let an administrator make a "
                               "join token for this very node: {}",
                               node),
                   "/node",
                   {}};
    }
    TRY(sql.execute("UPDATE join_token SET uses_left = uses_left - 1 WHERE id = ?", {join_token_id}));
    joined.token.uses_left -= 1;
    TRY(insert_credential(sql, credential));
    TRY(internal::insert_audit(sql, audit));
    return hit_failpoint("access.before_join_commit");
  });
  TRY(done);
  return joined;
}

Result<std::vector<std::string>> UserRepository::renew(const std::string& shown, const AgentCredential& next, const AuditRecord& audit) {
  std::vector<std::string> ended;
  const Result<void> done = database_.write([&](Connection& sql) -> Result<void> {
    const TimePoint now = clock_.now();
    ASSIGN_OR_RETURN(const std::vector<std::string> good,
                     internal::ids(sql, fmt::format("SELECT id FROM agent_credential WHERE {} AND id = ?", kLiveOfNode),
                                   {next.node.text, micros(now), shown}));
    if (good.empty()) return not_good("the credential of this agent is over: join again with a new join token");
    // The one that was shown stays good until it is over: the answer with the next one may be lost.
    ASSIGN_OR_RETURN(ended, revoke_others(sql, next.node, shown, now));
    TRY(insert_credential(sql, next));
    return internal::insert_audit(sql, audit);
  });
  TRY(done);
  return ended;
}

Result<std::vector<std::string>> UserRepository::revoke_agent(const NodeName& node, const AuditRecord& audit) {
  std::vector<std::string> ended;
  const Result<void> done = database_.write([&](Connection& sql) -> Result<void> {
    ASSIGN_OR_RETURN(ended, revoke_others(sql, node, "", clock_.now()));
    if (ended.empty()) return not_found("agent.unknown", "no agent of this name has joined: " + node.text);
    return internal::insert_audit(sql, audit);
  });
  TRY(done);
  return ended;
}

}  // namespace trainyard::access
