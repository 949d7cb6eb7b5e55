#pragma once
#include <string>
#include <vector>

#include "access/user_repository.h"

namespace trainyard::access::internal {

inline constexpr std::string_view kTokenColumns =
    "id, user_name, sha256, name, scope_namespace, scope_role, created_us, expires_us, last_used_us, revoked_us";
inline constexpr std::string_view kJoinTokenColumns = "id, sha256, node, pool, labels_json, created_by, created_us, expires_us, uses_left";
inline constexpr std::string_view kAgentColumns = "id, node, sha256, issued_us, expires_us, revoked_us";

StoredToken token_of(const store::Row& row);
/// Errors: DATA_LOSS "access.corrupt".
Result<JoinToken> join_token_of(const store::Row& row);
AgentCredential agent_of(const store::Row& row);

store::SqlValue optional_time(const std::optional<TimePoint>& time);
/// Appends a record under the next number.
Result<void> insert_audit(store::Connection& sql, const AuditRecord& record);
Result<std::vector<std::string>> ids(store::Connection& sql, std::string_view query, const std::vector<store::SqlValue>& parameters);

}  // namespace trainyard::access::internal
