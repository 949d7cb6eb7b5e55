#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "access/access_service.h"
#include "base/describe.h"

// What the routes of users, tokens and agents' credentials take and answer.
namespace trainyard::api {

struct GrantView {
  static constexpr std::string_view kSchemaName = "Grant";
  std::string name_space;
  std::string role;
  void describe(FieldVisitor& fields);
};

struct UserView {
  static constexpr std::string_view kSchemaName = "User";
  std::string name;
  bool disabled = false;
  TimePoint created_at;
  std::vector<GrantView> grants;
  void describe(FieldVisitor& fields);
};

struct UserPage {
  static constexpr std::string_view kSchemaName = "UserPage";
  std::vector<UserView> users;
  std::optional<std::string> next_cursor;
  void describe(FieldVisitor& fields);
};

struct NewUserBody {
  static constexpr std::string_view kSchemaName = "NewUser";
  std::string name;
  std::vector<GrantView> grants;
  void describe(FieldVisitor& fields);
};

struct UserChange {
  static constexpr std::string_view kSchemaName = "UserChange";
  bool disabled = false;
  void describe(FieldVisitor& fields);
};

struct GrantList {
  static constexpr std::string_view kSchemaName = "GrantList";
  std::vector<GrantView> grants;
  void describe(FieldVisitor& fields);
};

struct TokenView {
  static constexpr std::string_view kSchemaName = "Token";
  std::string id;
  std::string user;
  std::string name;
  std::optional<std::string> name_space;
  std::optional<std::string> role;
  TimePoint created_at;
  std::optional<TimePoint> expires_at;
  std::optional<TimePoint> last_used_at;
  std::optional<TimePoint> revoked_at;
  void describe(FieldVisitor& fields);
};

struct TokenPage {
  static constexpr std::string_view kSchemaName = "TokenPage";
  std::vector<TokenView> tokens;
  std::optional<std::string> next_cursor;
  void describe(FieldVisitor& fields);
};

struct NewTokenBody {
  static constexpr std::string_view kSchemaName = "NewToken";
  std::optional<std::string> user;
  std::string name;
  std::optional<std::string> name_space;
  std::optional<std::string> role;
  Duration expires_in = std::chrono::hours(24 * 90);
  void describe(FieldVisitor& fields);
};

struct IssuedTokenView {
  static constexpr std::string_view kSchemaName = "IssuedToken";
  TokenView token;
  std::string secret;
  void describe(FieldVisitor& fields);
};

struct NewJoinTokenBody {
  static constexpr std::string_view kSchemaName = "NewJoinToken";
  std::string node;
  std::string pool;
  std::map<std::string, std::string> labels;
  Duration expires_in = std::chrono::minutes(10);
  std::int64_t uses = 1;
  void describe(FieldVisitor& fields);
};

struct IssuedJoinTokenView {
  static constexpr std::string_view kSchemaName = "IssuedJoinToken";
  std::string id;
  std::string node;
  std::string pool;
  std::map<std::string, std::string> labels;
  TimePoint expires_at;
  std::int64_t uses_left = 1;
  std::string secret;
  void describe(FieldVisitor& fields);
};

struct JoinBody {
  static constexpr std::string_view kSchemaName = "Join";
  std::string node;
  void describe(FieldVisitor& fields);
};

struct AgentCredentialView {
  static constexpr std::string_view kSchemaName = "AgentCredential";
  std::string id;
  std::string node;
  std::string pool;
  std::map<std::string, std::string> labels;
  TimePoint issued_at;
  TimePoint expires_at;
  std::string secret;
  void describe(FieldVisitor& fields);
};

struct WhoAmI {
  static constexpr std::string_view kSchemaName = "WhoAmI";
  std::string name;
  std::vector<GrantView> grants;
  std::optional<std::string> token_id;
  void describe(FieldVisitor& fields);
};

struct CanI {
  static constexpr std::string_view kSchemaName = "CanI";
  std::string action;
  std::string name_space;
  std::string needs;
  bool allowed = false;
  void describe(FieldVisitor& fields);
};

struct AuditView {
  static constexpr std::string_view kSchemaName = "AuditRecord";
  std::string number;
  TimePoint time;
  std::string who;
  std::string action;
  std::string object;
  std::string decision;
  std::string source;
  std::string request_id;
  void describe(FieldVisitor& fields);
};

struct AuditPage {
  static constexpr std::string_view kSchemaName = "AuditPage";
  std::vector<AuditView> records;
  std::optional<std::string> next_cursor;
  void describe(FieldVisitor& fields);
};

GrantView view_of(const net::Grant& grant);
UserView view_of(const access::User& user);
TokenView view_of(const access::StoredToken& token);
IssuedTokenView view_of(const access::IssuedToken& issued);
IssuedJoinTokenView view_of(const access::IssuedJoinToken& issued);
AgentCredentialView view_of(const access::IssuedCredential& issued);
WhoAmI view_of(const net::Principal& principal);
AuditView view_of(const access::AuditRecord& record);

}  // namespace trainyard::api
