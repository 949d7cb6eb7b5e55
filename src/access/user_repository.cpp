#include "access/user_repository.h"

#include <fmt/format.h>

#include "access/internal/rows.h"
#include "base/failpoint.h"

namespace trainyard::access {
namespace {

using store::Connection;
using store::Row;
using store::SqlValue;

Error unknown_user(const std::string& name) {
  return not_found("access.unknown_user", fmt::format("there is no user of this name; `trainyard user ls` lists them: {}", name));
}

Error unknown_token(const std::string& id) {
  return not_found("access.unknown_token", fmt::format("there is no token with this id; `trainyard token ls` lists them: {}", id));
}

Result<std::vector<net::Grant>> load_grants(Connection& sql, const std::string& name) {
  ASSIGN_OR_RETURN(const std::vector<Row> rows,
                   sql.query("SELECT scope, role FROM access_grant WHERE user_name = ? ORDER BY scope", {name}));
  std::vector<net::Grant> grants;
  for (const Row& row : rows) grants.push_back({row.text(0), row.text(1)});
  return grants;
}

Result<User> user_of(Connection& sql, const Row& row) {
  User user{.name = row.text(0), .disabled = row.integer(1) != 0, .created_at = time_from_micros(row.integer(2)), .grants = {}};
  ASSIGN_OR_RETURN(user.grants, load_grants(sql, user.name));
  return user;
}

Result<User> load_user(Connection& sql, const std::string& name) {
  ASSIGN_OR_RETURN(const std::vector<Row> rows, sql.query("SELECT name, disabled, created_us FROM access_user WHERE name = ?", {name}));
  if (rows.empty()) return unknown_user(name);
  return user_of(sql, rows.front());
}

Result<StoredToken> load_token(Connection& sql, const std::string& id) {
  ASSIGN_OR_RETURN(const std::vector<Row> rows,
                   sql.query(fmt::format("SELECT {} FROM access_token WHERE id = ?", internal::kTokenColumns), {id}));
  if (rows.empty()) return unknown_token(id);
  return internal::token_of(rows.front());
}

Result<std::int64_t> count(Connection& sql, std::string_view query, const std::vector<SqlValue>& parameters = {}) {
  ASSIGN_OR_RETURN(const std::vector<Row> rows, sql.query(query, parameters));
  return rows.front().integer(0);
}

/// Writes what depends on the grants of a user and reads the user back.
template <typename Change>
Result<User> change_user(store::Database& database, const std::string& name, const AuditRecord& audit, Change change) {
  User user;
  const Result<void> done = database.write([&](Connection& sql) -> Result<void> {
    TRY(load_user(sql, name));
    TRY(change(sql));
    TRY(internal::insert_audit(sql, audit));
    ASSIGN_OR_RETURN(user, load_user(sql, name));
    return {};
  });
  TRY(done);
  return user;
}

}  // namespace

Result<IdentitySnapshot> UserRepository::snapshot() {
  IdentitySnapshot all;
  const std::int64_t now = micros(clock_.now());
  const Result<void> done = database_.read([&](Connection& sql) -> Result<void> {
    ASSIGN_OR_RETURN(const std::vector<Row> users, sql.query("SELECT name, disabled, created_us FROM access_user ORDER BY name"));
    for (const Row& row : users) {
      ASSIGN_OR_RETURN(User user, user_of(sql, row));
      all.users.push_back(std::move(user));
    }
    ASSIGN_OR_RETURN(
        const std::vector<Row> tokens,
        sql.query(fmt::format("SELECT {} FROM access_token WHERE revoked_us IS NULL AND (expires_us IS NULL OR expires_us > ?) "
                              "ORDER BY id",
                              internal::kTokenColumns),
                  {now}));
    for (const Row& row : tokens) all.tokens.push_back(internal::token_of(row));
    ASSIGN_OR_RETURN(
        const std::vector<Row> joins,
        sql.query(fmt::format("SELECT {} FROM join_token WHERE uses_left > 0 AND expires_us > ? ORDER BY id", internal::kJoinTokenColumns),
                  {now}));
    for (const Row& row : joins) {
      ASSIGN_OR_RETURN(JoinToken token, internal::join_token_of(row));
      all.join_tokens.push_back(std::move(token));
    }
    ASSIGN_OR_RETURN(const std::vector<Row> agents,
                     sql.query(fmt::format("SELECT {} FROM agent_credential WHERE revoked_us IS NULL AND expires_us > ? ORDER BY id",
                                           internal::kAgentColumns),
                               {now}));
    for (const Row& row : agents) all.agents.push_back(internal::agent_of(row));
    return {};
  });
  TRY(done);
  return all;
}

Result<void> UserRepository::create_user(const User& user, const AuditRecord& audit) {
  Result<void> created = database_.write([&](Connection& sql) -> Result<void> {
    ASSIGN_OR_RETURN(const std::int64_t users, count(sql, "SELECT COUNT(*) FROM access_user"));
    if (users >= static_cast<std::int64_t>(kUsersMax)) {
      return Error{Category::kResourceExhausted,
                   "access.too_many_users",
                   fmt::format("this installation has as many users as it takes: {}", kUsersMax),
                   {},
                   {}};
    }
    TRY(sql.execute("INSERT INTO access_user(name, disabled, created_us) VALUES(?,?,?)",
                    {user.name, std::int64_t{user.disabled}, micros(user.created_at)}));
    for (const net::Grant& grant : user.grants) {
      TRY(sql.execute("INSERT INTO access_grant(user_name, scope, role) VALUES(?,?,?)", {user.name, grant.scope, grant.role}));
    }
    return internal::insert_audit(sql, audit);
  });
  if (created.ok() || created.error().id != "db.unique") return created;
  return Error{Category::kAlreadyExists, "access.user_exists", "there is a user of this name; choose another: " + user.name, "/name", {}};
}

Result<User> UserRepository::user(const std::string& name) {
  User found;
  const Result<void> done = database_.read([&](Connection& sql) -> Result<void> {
    ASSIGN_OR_RETURN(found, load_user(sql, name));
    return {};
  });
  TRY(done);
  return found;
}

Result<std::vector<User>> UserRepository::users(const std::string& after, std::size_t limit) {
  std::vector<User> found;
  const Result<void> done = database_.read([&](Connection& sql) -> Result<void> {
    ASSIGN_OR_RETURN(const std::vector<Row> rows,
                     sql.query("SELECT name, disabled, created_us FROM access_user WHERE name > ? ORDER BY name LIMIT ?",
                               {after, static_cast<std::int64_t>(limit)}));
    for (const Row& row : rows) {
      ASSIGN_OR_RETURN(User user, user_of(sql, row));
      found.push_back(std::move(user));
    }
    return {};
  });
  TRY(done);
  return found;
}

Result<User> UserRepository::set_disabled(const std::string& name, bool disabled, const AuditRecord& audit) {
  return change_user(database_, name, audit, [&](Connection& sql) {
    return sql.execute("UPDATE access_user SET disabled = ? WHERE name = ?", {std::int64_t{disabled}, name});
  });
}

Result<User> UserRepository::remove_user(const std::string& name, bool keep_an_admin, const AuditRecord& audit) {
  User gone;
  const Result<void> done = database_.write([&](Connection& sql) -> Result<void> {
    ASSIGN_OR_RETURN(gone, load_user(sql, name));
    if (keep_an_admin) {
      ASSIGN_OR_RETURN(const std::int64_t others,
                       count(sql,
                             "SELECT COUNT(*) FROM access_user u JOIN access_grant g ON g.user_name = u.name WHERE u.name <> ? AND "
                             "u.name <> ? AND u.disabled = 0 AND g.scope = '*' AND g.role = 'admin'",
                             {name, std::string(kAdminUser)}));
      if (others == 0) {
        return failed_precondition("access.last_admin",
                                   "this user is the last admin of everything: make another one first, or delete it with the token in the "
                                   "server's data directory: " +
                                       name);
      }
    }
    TRY(sql.execute("DELETE FROM access_token WHERE user_name = ?", {name}));
    TRY(sql.execute("DELETE FROM access_grant WHERE user_name = ?", {name}));
    TRY(sql.execute("DELETE FROM access_user WHERE name = ?", {name}));
    return internal::insert_audit(sql, audit);
  });
  TRY(done);
  return gone;
}

Result<User> UserRepository::set_grant(const std::string& name, const net::Grant& grant, const AuditRecord& audit) {
  return change_user(database_, name, audit, [&](Connection& sql) {
    return sql.execute(
        "INSERT INTO access_grant(user_name, scope, role) VALUES(?,?,?) ON CONFLICT(user_name, scope) DO UPDATE SET role = excluded.role",
        {name, grant.scope, grant.role});
  });
}

Result<User> UserRepository::remove_grant(const std::string& name, const std::string& scope, const AuditRecord& audit) {
  return change_user(database_, name, audit, [&](Connection& sql) {
    return sql.execute("DELETE FROM access_grant WHERE user_name = ? AND scope = ?", {name, scope});
  });
}

Result<void> UserRepository::add_token(const StoredToken& token, const AuditRecord& audit) {
  return database_.write([&](Connection& sql) -> Result<void> {
    TRY(load_user(sql, token.user));
    ASSIGN_OR_RETURN(
        const std::int64_t live,
        count(sql,
              "SELECT COUNT(*) FROM access_token WHERE user_name = ? AND revoked_us IS NULL AND (expires_us IS NULL OR expires_us > ?)",
              {token.user, micros(clock_.now())}));
    if (live >= static_cast<std::int64_t>(kTokensOfUserMax)) {
      return Error{Category::kResourceExhausted,
                   "access.too_many_tokens",
                   fmt::format("the user has as many tokens as one may have; revoke some of them first: {} has {}", token.user, live),
                   {},
                   {}};
    }
    const auto text_or_null = [](const std::optional<std::string>& text) { return text ? SqlValue(*text) : SqlValue(std::monostate()); };
    TRY(sql.execute(fmt::format("INSERT INTO access_token({}) VALUES(?,?,?,?,?,?,?,?,?,?)", internal::kTokenColumns),
                    {token.id, token.user, token.sha256, token.name, text_or_null(token.scope.name_space), text_or_null(token.scope.role),
                     micros(token.created_at), internal::optional_time(token.expires_at), internal::optional_time(token.last_used_at),
                     internal::optional_time(token.revoked_at)}));
    TRY(internal::insert_audit(sql, audit));
    return hit_failpoint("access.before_token_commit");
  });
}

Result<StoredToken> UserRepository::token(const std::string& id) {
  StoredToken found;
  const Result<void> done = database_.read([&](Connection& sql) -> Result<void> {
    ASSIGN_OR_RETURN(found, load_token(sql, id));
    return {};
  });
  TRY(done);
  return found;
}

Result<std::vector<StoredToken>> UserRepository::tokens(const std::string& user, const std::string& after, std::size_t limit) {
  std::vector<StoredToken> found;
  const Result<void> done = database_.read([&](Connection& sql) -> Result<void> {
    ASSIGN_OR_RETURN(const std::vector<Row> rows,
                     sql.query(fmt::format("SELECT {} FROM access_token WHERE id > ? AND (? = '' OR user_name = ?) ORDER BY id LIMIT ?",
                                           internal::kTokenColumns),
                               {after, user, user, static_cast<std::int64_t>(limit)}));
    for (const Row& row : rows) found.push_back(internal::token_of(row));
    return {};
  });
  TRY(done);
  return found;
}

Result<StoredToken> UserRepository::revoke_token(const std::string& id, const AuditRecord& audit) {
  StoredToken revoked;
  const Result<void> done = database_.write([&](Connection& sql) -> Result<void> {
    ASSIGN_OR_RETURN(revoked, load_token(sql, id));
    if (!revoked.revoked_at) {
      revoked.revoked_at = clock_.now();
      TRY(sql.execute("UPDATE access_token SET revoked_us = ? WHERE id = ?", {micros(*revoked.revoked_at), id}));
    }
    TRY(internal::insert_audit(sql, audit));
    return hit_failpoint("access.before_revoke_commit");
  });
  TRY(done);
  return revoked;
}

Result<void> UserRepository::touch_token(const std::string& id, TimePoint used_at) {
  return database_.write([&](Connection& sql) -> Result<void> {
    TRY(sql.execute("UPDATE access_token SET last_used_us = ? WHERE id = ?", {micros(used_at), id}));
    return {};
  });
}

Result<void> UserRepository::append_audit(const AuditRecord& record) {
  return database_.write([&](Connection& sql) { return internal::insert_audit(sql, record); });
}

Result<std::vector<AuditRecord>> UserRepository::audit(std::int64_t before, std::size_t limit) {
  std::vector<AuditRecord> found;
  const Result<void> done = database_.read([&](Connection& sql) -> Result<void> {
    ASSIGN_OR_RETURN(const std::vector<Row> rows,
                     sql.query("SELECT number, time_us, who, action, object, decision, source, request_id FROM audit_record WHERE ? = 0 OR "
                               "number < ? ORDER BY number DESC LIMIT ?",
                               {before, before, static_cast<std::int64_t>(limit)}));
    for (const Row& row : rows) {
      found.push_back(
          {row.integer(0), time_from_micros(row.integer(1)), row.text(2), row.text(3), row.text(4), row.text(5), row.text(6), row.text(7)});
    }
    return {};
  });
  TRY(done);
  return found;
}

}  // namespace trainyard::access
