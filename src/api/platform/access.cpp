#include "api/platform/access.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/platform/access_route_docs.h"
#include "api/platform/access_views.h"
#include "api/platform/paging.h"
#include "net/conditional.h"

namespace trainyard::api {
namespace {

using access::AccessService;
using access::caller_of;
using net::Permission;
using net::Request;
using net::Response;

constexpr std::int64_t kPageDefault = 100;
constexpr std::size_t kBodyMax = 65'536;

using Answer = Result<Response> (*)(AccessService& service, const Request& request);

template <Described T>
Result<T> body_of(const Request& request) {
  ASSIGN_OR_RETURN(const Document body, parse_json(request.body));
  return decode<T>(body, {.numbers_as_text = false});
}

/// An answer that holds a secret.
template <Described T>
Response secret_response(const T& view) {
  Response response = net::json_response(201, encode(view));
  response.headers.set("Cache-Control", "no-store");
  return response;
}

std::size_t limit_of(const Request& request) { return static_cast<std::size_t>(net::query_number(request, "limit", kPageDefault)); }

/// Where the page begins; empty: at the beginning.
Result<std::string> position_of(const Request& request, std::string_view question) {
  const std::optional<std::string> cursor = request.query_value("cursor");
  return cursor ? read_cursor(*cursor, question) : Result<std::string>(std::string());
}

// --- users

Result<Response> list_users(AccessService& service, const Request& request) {
  ASSIGN_OR_RETURN(const std::string after, position_of(request, "users"));
  const std::size_t limit = limit_of(request);
  ASSIGN_OR_RETURN(const std::vector<access::User> users, service.users(after, limit));
  UserPage page;
  for (const access::User& user : users) page.users.push_back(view_of(user));
  if (users.size() == limit) page.next_cursor = make_cursor("users", users.back().name);
  return net::json_response(200, encode(page));
}

Result<Response> create_user(AccessService& service, const Request& request) {
  ASSIGN_OR_RETURN(const NewUserBody body, body_of<NewUserBody>(request));
  std::vector<net::Grant> grants;
  for (const GrantView& grant : body.grants) grants.push_back({grant.name_space, grant.role});
  ASSIGN_OR_RETURN(const access::User user, service.create_user(caller_of(request), body.name, grants));
  Response response = net::json_response(201, encode(view_of(user)));
  response.headers.set("Location", "/api/v1/users/" + user.name);
  return response;
}

Result<Response> show_user(AccessService& service, const Request& request) {
  ASSIGN_OR_RETURN(const access::User user, service.user(request.path_parameters.at("name")));
  return net::with_etag(request, net::json_response(200, encode(view_of(user))));
}

Result<Response> change_user(AccessService& service, const Request& request) {
  const std::string& name = request.path_parameters.at("name");
  ASSIGN_OR_RETURN(const UserChange change, body_of<UserChange>(request));
  ASSIGN_OR_RETURN(const access::User before, service.user(name));
  if (std::optional<Response> stale = net::refuse_stale(request, net::etag_of_bytes(to_json(encode(view_of(before)))))) return *stale;
  ASSIGN_OR_RETURN(const access::User user, service.set_disabled(caller_of(request), name, change.disabled));
  return net::json_response(200, encode(view_of(user)));
}

Result<Response> delete_user(AccessService& service, const Request& request) {
  const std::string& name = request.path_parameters.at("name");
  if (request.headers.get("If-Match")) {
    ASSIGN_OR_RETURN(const access::User before, service.user(name));
    if (std::optional<Response> stale = net::refuse_stale(request, net::etag_of_bytes(to_json(encode(view_of(before)))))) return *stale;
  }
  ASSIGN_OR_RETURN(const access::User user, service.remove_user(caller_of(request), name));
  return net::json_response(200, encode(view_of(user)));
}

Response grants_response(const access::User& user) { return net::json_response(200, encode(GrantList{view_of(user).grants})); }

Result<Response> list_grants(AccessService& service, const Request& request) {
  ASSIGN_OR_RETURN(const access::User user, service.user(request.path_parameters.at("name")));
  return grants_response(user);
}

Result<Response> set_grant(AccessService& service, const Request& request) {
  ASSIGN_OR_RETURN(const GrantView grant, body_of<GrantView>(request));
  ASSIGN_OR_RETURN(const access::User user,
                   service.set_grant(caller_of(request), request.path_parameters.at("name"), {grant.name_space, grant.role}));
  return grants_response(user);
}

Result<Response> remove_grant(AccessService& service, const Request& request) {
  ASSIGN_OR_RETURN(const access::User user, service.remove_grant(caller_of(request), request.path_parameters.at("name"),
                                                                 request.query_value("namespace").value_or("")));
  return grants_response(user);
}

// --- tokens

Result<Response> list_tokens(AccessService& service, const Request& request) {
  const std::string user = request.query_value("user").value_or("");
  const std::string question = "tokens " + user;
  ASSIGN_OR_RETURN(const std::string after, position_of(request, question));
  const std::size_t limit = limit_of(request);
  ASSIGN_OR_RETURN(const std::vector<access::StoredToken> tokens, service.tokens(caller_of(request), user, after, limit));
  TokenPage page;
  for (const access::StoredToken& token : tokens) page.tokens.push_back(view_of(token));
  if (tokens.size() == limit) page.next_cursor = make_cursor(question, tokens.back().id);
  return net::json_response(200, encode(page));
}

Result<Response> issue_token(AccessService& service, const Request& request) {
  ASSIGN_OR_RETURN(const NewTokenBody body, body_of<NewTokenBody>(request));
  ASSIGN_OR_RETURN(const access::IssuedToken issued,
                   service.issue_token(caller_of(request), {.user = body.user.value_or(request.principal.name),
                                                            .name = body.name,
                                                            .scope = {body.name_space, body.role},
                                                            .lifetime = body.expires_in}));
  Response response = secret_response(view_of(issued));
  response.headers.set("Location", "/api/v1/tokens/" + issued.token.id);
  return response;
}

Result<Response> show_token(AccessService& service, const Request& request) {
  ASSIGN_OR_RETURN(const access::StoredToken token, service.token(caller_of(request), request.path_parameters.at("id")));
  return net::with_etag(request, net::json_response(200, encode(view_of(token))));
}

Result<Response> revoke_token(AccessService& service, const Request& request) {
  const std::string& id = request.path_parameters.at("id");
  ASSIGN_OR_RETURN(const access::StoredToken before, service.token(caller_of(request), id));
  if (std::optional<Response> stale = net::refuse_stale(request, net::etag_of_bytes(to_json(encode(view_of(before)))))) return *stale;
  ASSIGN_OR_RETURN(const access::StoredToken token, service.revoke_token(caller_of(request), id));
  return net::json_response(200, encode(view_of(token)));
}

// --- agents

Result<Response> issue_join_token(AccessService& service, const Request& request) {
  ASSIGN_OR_RETURN(const NewJoinTokenBody body, body_of<NewJoinTokenBody>(request));
  ASSIGN_OR_RETURN(const access::IssuedJoinToken issued,
                   service.issue_join_token(
                       caller_of(request),
                       {.node = body.node, .pool = body.pool, .labels = body.labels, .lifetime = body.expires_in, .uses = body.uses}));
  return secret_response(view_of(issued));
}

Result<Response> join(AccessService& service, const Request& request) {
  ASSIGN_OR_RETURN(const JoinBody body, body_of<JoinBody>(request));
  ASSIGN_OR_RETURN(const access::IssuedCredential issued, service.join(caller_of(request), {body.node}));
  return secret_response(view_of(issued));
}

Result<Response> renew(AccessService& service, const Request& request) {
  ASSIGN_OR_RETURN(const access::IssuedCredential issued, service.renew(caller_of(request)));
  return secret_response(view_of(issued));
}

Result<Response> revoke_agent(AccessService& service, const Request& request) {
  TRY(service.revoke_agent(caller_of(request), {request.path_parameters.at("node")}));
  return Response{204, {}, {}};
}

// --- who may do what

Result<Response> list_audit(AccessService& service, const Request& request) {
  ASSIGN_OR_RETURN(const std::string position, position_of(request, "audit"));
  const std::int64_t before = Document(position.empty() ? "0" : position).as_int().value_or(0);
  const std::size_t limit = limit_of(request);
  ASSIGN_OR_RETURN(const std::vector<access::AuditRecord> records, service.audit(before, limit));
  AuditPage page;
  for (const access::AuditRecord& record : records) page.records.push_back(view_of(record));
  if (records.size() == limit) page.next_cursor = make_cursor("audit", page.records.back().number);
  return net::json_response(200, encode(page));
}

/// The permission that an action needs: that of a role of this name, or of an operation of the API.
Result<Permission> permission_of(const net::Router& router, const std::string& action) {
  for (const Permission permission : {Permission::kViewer, Permission::kRunner, Permission::kOperator, Permission::kAdmin}) {
    if (net::name_of(permission) == action) return permission;
  }
  std::vector<std::string> known;
  for (const net::Route& route : router.routes()) {
    if (!route.doc.describes()) continue;
    if (route.doc.operation == action) return route.permission;
    known.push_back(route.doc.operation);
  }
  const std::optional<std::string> near = nearest(action, known);
  return invalid_argument("access.action",
                          fmt::format("an action is a role or an operation of the API as /openapi.json lists them{}: \"{}\"",
                                      near ? fmt::format("; did you mean \"{}\"?", *near) : "", action),
                          "/action");
}

Result<Response> can_i(const net::Router& router, const Request& request) {
  CanI answer{.action = request.query_value("action").value_or(""),
              .name_space = request.query_value("namespace").value_or(std::string(net::kAllNamespaces)),
              .needs = {},
              .allowed = false};
  ASSIGN_OR_RETURN(const Permission permission, permission_of(router, answer.action));
  TRY(access::check_scope(answer.name_space));
  answer.needs = std::string(net::name_of(permission));
  answer.allowed = net::may(request.principal, permission, answer.name_space);
  return net::json_response(200, encode(answer));
}

net::Handler on_executor(Executor& executor, AccessService& service, Answer answer) {
  return [&executor, &service, answer](Request request, net::ResponderPtr responder) {
    executor.post([&service, answer, request = std::move(request), responder = std::move(responder)] {
      const Result<Response> response = answer(service, request);
      responder->respond(response.ok() ? *response : net::problem_response(response.error(), request.request_id));
    });
  };
}

void add_questions(net::Router& router) {
  router.add({"GET", "/api/v1/whoami", Permission::kViewer,
              [](const Request& request, const net::ResponderPtr& responder) {
                responder->respond(net::json_response(200, encode(view_of(request.principal))));
              },
              kBodyMax, whoami_doc()});
  router.add({"GET", "/api/v1/can-i", Permission::kViewer,
              [&router](const Request& request, const net::ResponderPtr& responder) {
                const Result<Response> response = can_i(router, request);
                responder->respond(response.ok() ? *response : net::problem_response(response.error(), request.request_id));
              },
              kBodyMax, can_i_doc()});
}

}  // namespace

void add_access_routes(net::Router& router, AccessContext context) {
  const auto add = [&](const char* method, const char* pattern, Permission permission, Answer answer, net::RouteDoc doc) {
    Executor& executor = method == std::string_view("GET") ? context.reads : context.writes;
    router.add({method, pattern, permission, on_executor(executor, context.service, answer), kBodyMax, std::move(doc)});
  };
  add("GET", "/api/v1/users", Permission::kAdmin, list_users, list_users_doc());
  add("POST", "/api/v1/users", Permission::kAdmin, create_user, create_user_doc());
  add("GET", "/api/v1/users/{name}", Permission::kAdmin, show_user, show_user_doc());
  add("PATCH", "/api/v1/users/{name}", Permission::kAdmin, change_user, change_user_doc());
  add("DELETE", "/api/v1/users/{name}", Permission::kAdmin, delete_user, delete_user_doc());
  add("GET", "/api/v1/users/{name}/grants", Permission::kAdmin, list_grants, list_grants_doc());
  add("PUT", "/api/v1/users/{name}/grants", Permission::kAdmin, set_grant, set_grant_doc());
  add("DELETE", "/api/v1/users/{name}/grants", Permission::kAdmin, remove_grant, remove_grant_doc());
  add("GET", "/api/v1/tokens", Permission::kViewer, list_tokens, list_tokens_doc());
  add("POST", "/api/v1/tokens", Permission::kViewer, issue_token, issue_token_doc());
  add("GET", "/api/v1/tokens/{id}", Permission::kViewer, show_token, show_token_doc());
  add("DELETE", "/api/v1/tokens/{id}", Permission::kViewer, revoke_token, revoke_token_doc());
  add("POST", "/api/v1/agents/join-tokens", Permission::kAdmin, issue_join_token, issue_join_token_doc());
  add("POST", "/api/v1/agents/join", Permission::kJoin, join, join_doc());
  add("POST", "/api/v1/agents/renew", Permission::kAgent, renew, renew_doc());
  add("DELETE", "/api/v1/agents/{node}/credential", Permission::kAdmin, revoke_agent, revoke_agent_doc());
  add("GET", "/api/v1/audit", Permission::kAdmin, list_audit, list_audit_doc());
  add_questions(router);
}

}  // namespace trainyard::api
