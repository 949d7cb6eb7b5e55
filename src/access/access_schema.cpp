#include "access/internal/rows.h"
#include "base/document.h"

namespace trainyard::access {
namespace {

constexpr std::string_view kFirstTables = R"sql(CREATE TABLE access_user(
  name TEXT PRIMARY KEY, disabled BIGINT NOT NULL, created_us BIGINT NOT NULL);
CREATE TABLE access_grant(
  user_name TEXT NOT NULL REFERENCES access_user(name), scope TEXT NOT NULL, role TEXT NOT NULL, PRIMARY KEY(user_name, scope));
CREATE TABLE access_token(
  id TEXT PRIMARY KEY, user_name TEXT NOT NULL REFERENCES access_user(name), sha256 TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
  scope_namespace TEXT, scope_role TEXT, created_us BIGINT NOT NULL, expires_us BIGINT, last_used_us BIGINT, revoked_us BIGINT);
CREATE INDEX access_token_by_user ON access_token(user_name, id);
CREATE TABLE join_token(
  id TEXT PRIMARY KEY, sha256 TEXT NOT NULL UNIQUE, node TEXT NOT NULL, pool TEXT NOT NULL, labels_json TEXT NOT NULL,
  created_by TEXT NOT NULL, created_us BIGINT NOT NULL, expires_us BIGINT NOT NULL, uses_left BIGINT NOT NULL);
CREATE TABLE agent_credential(
  id TEXT PRIMARY KEY, node TEXT NOT NULL, sha256 TEXT NOT NULL UNIQUE, issued_us BIGINT NOT NULL, expires_us BIGINT NOT NULL,
  revoked_us BIGINT);
CREATE INDEX agent_credential_by_node ON agent_credential(node);
CREATE TABLE audit_record(
  number BIGINT PRIMARY KEY, time_us BIGINT NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL, object TEXT NOT NULL,
  decision TEXT NOT NULL, source TEXT NOT NULL, request_id TEXT NOT NULL))sql";

std::optional<TimePoint> time_of(const store::Row& row, std::size_t column) {
  const std::optional<std::int64_t> count = row.optional_integer(column);
  return count ? std::optional(time_from_micros(*count)) : std::nullopt;
}

}  // namespace

const std::vector<store::Migration>& access_migrations() {
  static const std::vector<store::Migration> migrations{{1, kFirstTables}};
  return migrations;
}

namespace internal {

StoredToken token_of(const store::Row& row) {
  return {.id = row.text(0),
          .user = row.text(1),
          .sha256 = row.text(2),
          .name = row.text(3),
          .scope = {.name_space = row.optional_text(4), .role = row.optional_text(5)},
          .created_at = time_from_micros(row.integer(6)),
          .expires_at = time_of(row, 7),
          .last_used_at = time_of(row, 8),
          .revoked_at = time_of(row, 9)};
}

Result<JoinToken> join_token_of(const store::Row& row) {
  JoinToken token{.id = row.text(0),
                  .sha256 = row.text(1),
                  .node = row.text(2),
                  .pool = row.text(3),
                  .labels = {},
                  .created_by = row.text(5),
                  .created_at = time_from_micros(row.integer(6)),
                  .expires_at = time_from_micros(row.integer(7)),
                  .uses_left = row.integer(8)};
  const Result<Document> labels = parse_json(row.text(4));
  if (!labels.ok()) return data_loss("access.corrupt", "the labels of a join token are damaged; remove the token: " + token.id);
  for (const auto& [key, value] : labels->members()) token.labels[key] = value.text();
  return token;
}

AgentCredential agent_of(const store::Row& row) {
  return {.id = row.text(0),
          .node = {row.text(1)},
          .sha256 = row.text(2),
          .issued_at = time_from_micros(row.integer(3)),
          .expires_at = time_from_micros(row.integer(4)),
          .revoked_at = time_of(row, 5)};
}

store::SqlValue optional_time(const std::optional<TimePoint>& time) {
  return time ? store::SqlValue(micros(*time)) : store::SqlValue(std::monostate());
}

Result<void> insert_audit(store::Connection& sql, const AuditRecord& record) {
  ASSIGN_OR_RETURN(const std::vector<store::Row> last, sql.query("SELECT COALESCE(MAX(number), 0) FROM audit_record"));
  TRY(sql.execute("INSERT INTO audit_record(number, time_us, who, action, object, decision, source, request_id) VALUES(?,?,?,?,?,?,?,?)",
                  {last.front().integer(0) + 1, micros(record.time), record.who, record.action, record.object, record.decision,
                   record.source, record.request_id}));
  return {};
}

Result<std::vector<std::string>> ids(store::Connection& sql, std::string_view query, const std::vector<store::SqlValue>& parameters) {
  ASSIGN_OR_RETURN(const std::vector<store::Row> rows, sql.query(query, parameters));
  std::vector<std::string> found;
  for (const store::Row& row : rows) found.push_back(row.text(0));
  return found;
}

}  // namespace internal
}  // namespace trainyard::access
