#pragma once
#include <string>

#include "access/session_authorizer.h"
#include "net/http.h"

namespace trainyard::apps {

/// The page that asks for the token. `trouble`: why it is shown again, in plain text; empty: nothing went wrong.
net::Response sign_in_page(int status, std::string_view trouble = {});
/// A page that says what went wrong.
net::Response error_page(int status, const Error& error);
net::Response error_page(const Error& error);

// The answers of the open routes. None blocks.

/// `/` for a caller who is nobody: the page that asks for the token, or problem details for a program that sent a bad one. A link on a page
/// of another site gets a page of ours first that opens `/` itself: only then does a browser send the session cookie along.
net::Response start_page_for_strangers(access::SessionAuthorizer& callers, const net::Request& request);
/// GET /login. HEAD and a browser that only fetches ahead use no link up.
net::Response sign_in_by_link(access::SessionAuthorizer& callers, const net::Request& request);
net::Response sign_in_by_token(access::SessionAuthorizer& callers, const net::Request& request);
net::Response sign_out(access::SessionAuthorizer& callers, const net::Request& request);

}  // namespace trainyard::apps
