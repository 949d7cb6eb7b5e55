#include "api/platform/access_route_docs.h"

#include "api/platform/access_views.h"
#include "api/platform/paging.h"

namespace trainyard::api {
namespace {

net::ParameterDoc user_parameter() { return net::path_text("name", "Name of the user."); }
net::ParameterDoc token_parameter() { return net::path_text("id", "Id of the token."); }
net::ParameterDoc if_none_match() { return net::header_text("If-None-Match", "The ETag of what the client has."); }
net::ParameterDoc if_match() { return net::header_text("If-Match", "The ETag that the change is meant for; absent: whatever there is."); }

}  // namespace

net::RouteDoc list_users_doc() {
  return {.operation = "listUsers",
          .tag = "access",
          .summary = "Lists the users.",
          .parameters = {limit_parameter(), cursor_parameter()},
          .answers = {net::json_answer<UserPage>(200, "The page.")},
          .namespaced = true};
}

net::RouteDoc create_user_doc() {
  return {.operation = "createUser",
          .tag = "access",
          .summary = "Makes a user.",
          .body = net::json_body<NewUserBody>("The user."),
          .answers = {net::json_answer<UserView>(201, "The user.", {"Location"})},
          .problems = {409}};
}

net::RouteDoc show_user_doc() {
  return {
      .operation = "getUser",
      .tag = "access",
      .summary = "One user.",
      .parameters = {user_parameter(), if_none_match()},
      .answers = {net::json_answer<UserView>(200, "The user.", {"ETag"}), net::empty_answer(304, "The client has it already.", {"ETag"})},
      .namespaced = true};
}

net::RouteDoc change_user_doc() {
  return {.operation = "changeUser",
          .tag = "access",
          .summary = "Disables or enables a user.",
          .parameters = {user_parameter(), if_match()},
          .body = net::json_body<UserChange>("What is to be different."),
          .answers = {net::json_answer<UserView>(200, "The user.")},
          .problems = {409, 412}};
}

net::RouteDoc delete_user_doc() {
  return {.operation = "deleteUser",
          .tag = "access",
          .summary = "Deletes a user; its tokens and sessions end at once, its jobs go on.",
          .parameters = {user_parameter(), if_match()},
          .answers = {net::json_answer<UserView>(200, "The user as it was.")},
          .problems = {409, 412}};
}

net::RouteDoc list_grants_doc() {
  return {.operation = "listGrants",
          .tag = "access",
          .summary = "What a user may do.",
          .parameters = {user_parameter()},
          .answers = {net::json_answer<GrantList>(200, "One role in a namespace.")},
          .namespaced = true};
}

net::RouteDoc set_grant_doc() {
  return {.operation = "setGrant",
          .tag = "access",
          .summary = "Gives a user a role in a namespace, in place of the one before; for admins of that namespace.",
          .parameters = {user_parameter()},
          .body = net::json_body<GrantView>("The role."),
          .answers = {net::json_answer<GrantList>(200, "What the user may do now.")},
          .problems = {409},
          .namespaced = true};
}

net::RouteDoc remove_grant_doc() {
  net::ParameterDoc name_space = net::query_text("namespace", "A namespace, or * for the role in all of them.");
  name_space.required = true;
  return {.operation = "removeGrant",
          .tag = "access",
          .summary = "Takes the role of a user in a namespace away; for admins of that namespace.",
          .parameters = {user_parameter(), std::move(name_space)},
          .answers = {net::json_answer<GrantList>(200, "What the user may do now.")},
          .problems = {409},
          .namespaced = true};
}

net::RouteDoc list_tokens_doc() {
  return {.operation = "listTokens",
          .tag = "access",
          .summary = "Lists the caller's tokens; for admins of everything those of all users.",
          .parameters = {net::query_text("user", "Only the tokens of this user."), limit_parameter(), cursor_parameter()},
          .answers = {net::json_answer<TokenPage>(200, "The page.")}};
}

net::RouteDoc issue_token_doc() {
  return {.operation = "issueToken",
          .tag = "access",
          .summary = "Makes a token that holds no more than the caller does.",
          .body = net::json_body<NewTokenBody>("What the token is to be."),
          .answers = {net::json_answer<IssuedTokenView>(201, "The token, whose text is shown this once.", {"Location"})},
          .problems = {404}};
}

net::RouteDoc show_token_doc() {
  return {.operation = "getToken",
          .tag = "access",
          .summary = "One token.",
          .parameters = {token_parameter(), if_none_match()},
          .answers = {net::json_answer<TokenView>(200, "The token.", {"ETag"}),
                      net::empty_answer(304, "The client has it already.", {"ETag"})}};
}

net::RouteDoc revoke_token_doc() {
  return {.operation = "revokeToken",
          .tag = "access",
          .summary = "Revokes a token at once, open streams included.",
          .parameters = {token_parameter(), if_match()},
          .answers = {net::json_answer<TokenView>(200, "The token.")},
          .problems = {412}};
}

net::RouteDoc issue_join_token_doc() {
  return {.operation = "issueJoinToken",
          .tag = "agents",
          .summary = "Makes a token that lets machines become nodes.",
          .body = net::json_body<NewJoinTokenBody>("What the token is to be."),
          .answers = {net::json_answer<IssuedJoinTokenView>(201, "The token, whose text is shown this once.")}};
}

net::RouteDoc join_doc() {
  return {.operation = "joinAgent",
          .tag = "agents",
          .summary = "Makes the machine that shows a join token a node.",
          .body = net::json_body<JoinBody>("The node."),
          .answers = {net::json_answer<AgentCredentialView>(201, "The credential of its agent, whose text is shown this once.")},
          .problems = {409}};
}

net::RouteDoc renew_doc() {
  return {.operation = "renewAgent",
          .tag = "agents",
          .summary = "The next credential of the agent that calls; the one it shows stays good until it is over.",
          .answers = {net::json_answer<AgentCredentialView>(201, "The credential, whose text is shown this once.")},
          .problems = {409},
          .rate = net::RateClass::kReserved};
}

net::RouteDoc revoke_agent_doc() {
  return {.operation = "revokeAgent",
          .tag = "agents",
          .summary = "Ends the credentials of a node; its agent has to join again.",
          .parameters = {net::path_text("node", "Name of the node.")},
          .answers = {net::empty_answer(204, "They are over.")}};
}

net::RouteDoc whoami_doc() {
  return {.operation = "whoAmI",
          .tag = "access",
          .summary = "Who the caller is and what it may do.",
          .answers = {net::json_answer<WhoAmI>(200, "The caller.")}};
}

net::RouteDoc can_i_doc() {
  net::ParameterDoc action = net::query_text("action", "A role, or an operation of this API.");
  action.required = true;
  return {.operation = "canI",
          .tag = "access",
          .summary = "Whether the caller may do something.",
          .parameters = {std::move(action), net::query_text("namespace", "Where; absent: in all namespaces.")},
          .answers = {net::json_answer<CanI>(200, "The answer.")}};
}

net::RouteDoc list_audit_doc() {
  return {.operation = "listAudit",
          .tag = "access",
          .summary = "Who changed or tried to change what.",
          .parameters = {limit_parameter(), cursor_parameter()},
          .answers = {net::json_answer<AuditPage>(200, "The page.")}};
}

}  // namespace trainyard::api
