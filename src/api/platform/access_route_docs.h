#pragma once
#include "net/route_doc.h"

// What the access routes say about themselves.
namespace trainyard::api {

net::RouteDoc list_users_doc();
net::RouteDoc create_user_doc();
net::RouteDoc show_user_doc();
net::RouteDoc change_user_doc();
net::RouteDoc delete_user_doc();
net::RouteDoc list_grants_doc();
net::RouteDoc set_grant_doc();
net::RouteDoc remove_grant_doc();
net::RouteDoc list_tokens_doc();
net::RouteDoc issue_token_doc();
net::RouteDoc show_token_doc();
net::RouteDoc revoke_token_doc();
net::RouteDoc issue_join_token_doc();
net::RouteDoc join_doc();
net::RouteDoc renew_doc();
net::RouteDoc revoke_agent_doc();
net::RouteDoc whoami_doc();
net::RouteDoc can_i_doc();
net::RouteDoc list_audit_doc();

}  // namespace trainyard::api
