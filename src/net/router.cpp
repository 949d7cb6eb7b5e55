#include "net/router.h"

#include <algorithm>
#include <set>

#include "base/check.h"

namespace trainyard::net {
namespace {

std::vector<std::string_view> split_path(std::string_view path) {
  std::vector<std::string_view> segments;
  if (!path.empty() && path.front() == '/') path.remove_prefix(1);
  while (true) {
    const std::size_t slash = path.find('/');
    segments.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return segments;
    path.remove_prefix(slash + 1);
  }
}

/// 0 for nobody, then viewer < runner < operator < admin.
int rank_of(std::string_view role) {
  static constexpr std::string_view kRoles[] = {"viewer", "runner", "operator", "admin"};
  const auto* const found = std::find(std::begin(kRoles), std::end(kRoles), role);
  return found == std::end(kRoles) ? 0 : static_cast<int>(found - std::begin(kRoles)) + 1;
}

int rank_of(Permission permission) {
  switch (permission) {
    case Permission::kOpen:
      return 0;
    case Permission::kViewer:
      return 1;
    case Permission::kRunner:
      return 2;
    case Permission::kOperator:
      return 3;
    case Permission::kAdmin:
      return 4;
  }
  return 4;
}

std::string_view role_name_of(Permission permission) {
  static constexpr std::string_view kNames[] = {"nobody", "viewer", "runner", "operator", "admin"};
  return kNames[rank_of(permission)];
}

bool method_matches(std::string_view route_method, std::string_view method) {
  return route_method == method || (method == "HEAD" && route_method == "GET");
}

}  // namespace

struct Router::Match {
  const Route* route = nullptr;
  std::map<std::string, std::string> parameters;
  std::set<std::string> other_methods;  ///< Methods of the routes that match the path alone.

  bool matches(const Pattern& pattern, const std::vector<std::string_view>& path) const {
    const bool open_ended = !pattern.empty() && pattern.back().kind == Segment::Kind::kRest;
    if (open_ended ? path.size() < pattern.size() : path.size() != pattern.size()) return false;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
      if (pattern[i].kind == Segment::Kind::kLiteral && pattern[i].text != path[i]) return false;
      if (pattern[i].kind == Segment::Kind::kParameter && path[i].empty()) return false;
    }
    return true;
  }

  static bool more_specific(const Pattern& a, const Pattern& b) {
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(),
                                        [](const Segment& x, const Segment& y) { return x.kind < y.kind; });
  }

  void bind(const Pattern& pattern, const std::vector<std::string_view>& path, std::string_view whole) {
    for (std::size_t i = 0; i < pattern.size(); ++i) {
      if (pattern[i].kind == Segment::Kind::kParameter) parameters[pattern[i].text] = std::string(path[i]);
      if (pattern[i].kind == Segment::Kind::kRest) {
        parameters[pattern[i].text] = std::string(whole.substr(static_cast<std::size_t>(path[i].data() - whole.data())));
      }
    }
  }
};

bool role_allows(std::string_view role, Permission permission) { return rank_of(role) >= rank_of(permission); }

Router::Pattern Router::compile(std::string_view pattern) {
  CHECK(!pattern.empty() && pattern.front() == '/', "a route pattern starts with '/'");
  Pattern result;
  for (const std::string_view text : split_path(pattern)) {
    CHECK(result.empty() || result.back().kind != Segment::Kind::kRest, "{rest*} must be the last segment of a route pattern");
    if (text.size() < 2 || text.front() != '{' || text.back() != '}') {
      result.push_back({Segment::Kind::kLiteral, std::string(text)});
    } else if (text[text.size() - 2] == '*') {
      result.push_back({Segment::Kind::kRest, std::string(text.substr(1, text.size() - 3))});
    } else {
      result.push_back({Segment::Kind::kParameter, std::string(text.substr(1, text.size() - 2))});
    }
  }
  return result;
}

void Router::add(Route route) {
  for (const Route& other : routes_) {
    CHECK(other.method != route.method || other.pattern != route.pattern, "a route was added twice: " + route.method + " " + route.pattern);
  }
  patterns_.push_back(compile(route.pattern));
  routes_.push_back(std::move(route));
}

void Router::set_refusal_form(std::string prefix, RefusalForm form) {
  refusal_forms_.emplace_back(std::move(prefix), std::move(form));
  std::stable_sort(refusal_forms_.begin(), refusal_forms_.end(),
                   [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
}

Response Router::refuse(const Request& request, int status, const Error& error) const {
  for (const auto& [prefix, form] : refusal_forms_) {
    const std::string_view path = request.path;
    const bool below = path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
    if (below) return form(status, error, request.request_id);
  }
  return problem_response(status, error, request.request_id);
}

Response Router::refuse(const Request& request, const Match& match) const {
  if (match.other_methods.empty()) {
    return refuse(request, 404,
                  not_found("http.no_route", "No such path on this server; see `trainyard --help` and the README for what there is."));
  }
  std::string allow;
  for (const std::string& method : match.other_methods) allow += (allow.empty() ? "" : ", ") + method;
  if (match.other_methods.contains("GET")) allow += ", HEAD";
  Response response =
      refuse(request, 405, {Category::kUnimplemented, "http.method", "This path does not take that method; it takes: " + allow, {}, {}});
  response.headers.set("Allow", allow);
  return response;
}

Router::Match Router::find(std::string_view method, std::string_view path) const {
  Match match;
  const std::vector<std::string_view> segments = split_path(path);
  std::size_t best = routes_.size();
  for (std::size_t i = 0; i < routes_.size(); ++i) {
    if (!match.matches(patterns_[i], segments)) continue;
    if (!method_matches(routes_[i].method, method)) {
      match.other_methods.insert(routes_[i].method);
    } else if (best == routes_.size() || Match::more_specific(patterns_[i], patterns_[best])) {
      best = i;
    }
  }
  if (best != routes_.size()) {
    match.route = &routes_[best];
    match.bind(patterns_[best], segments, path);
  }
  return match;
}

std::size_t Router::body_limit(std::string_view method, std::string_view path) const {
  const Match match = find(method, path);
  return match.route == nullptr ? Route{}.body_max : match.route->body_max;
}

Result<Principal> Router::admit(const Match& match, const Request& request) const {
  Result<Principal> found = authorizer_.authenticate(request);
  if (match.route->permission == Permission::kOpen) return std::move(found).value_or(Principal{});
  if (!found.ok()) return found;
  Principal principal = std::move(found).value();
  if (!role_allows(principal.role, match.route->permission)) {
    return Error{Category::kPermissionDenied,
                 "auth.forbidden",
                 "This token may not do that; it needs the role '" + std::string(role_name_of(match.route->permission)) + "' and has '" +
                     principal.role + "'",
                 {},
                 {}};
  }
  const bool changes = match.route->permission == Permission::kRunner || match.route->permission == Permission::kOperator;
  if (changes && changes_refused_) return *changes_refused_;
  return principal;
}

std::optional<Response> Router::refusal_of(const Request& head) const {
  const Match match = find(head.method, head.path);
  if (match.route == nullptr) return refuse(head, match);
  const Result<Principal> principal = admit(match, head);
  if (!principal.ok()) return refuse(head, http_status_of(principal.error().category), principal.error());
  return std::nullopt;
}

Response Router::body_too_large(const Request& head) const {
  const std::string limit = std::to_string(body_limit(head.method, head.path));
  return refuse(head, 413,
                {Category::kInvalidArgument,
                 "http.body_too_large",
                 "The request body is larger than this path takes; send it in parts or store it as an object. Limit in bytes: " + limit,
                 {},
                 {}});
}

void Router::handle(Request request, ResponderPtr responder) const {
  Match match = find(request.method, request.path);
  if (match.route == nullptr) return responder->respond(refuse(request, match));
  Result<Principal> principal = admit(match, request);
  if (!principal.ok()) {
    return responder->respond(refuse(request, http_status_of(principal.error().category), principal.error()));
  }
  if (request.body.size() > match.route->body_max) {
    return responder->respond(body_too_large(request));
  }
  request.principal = std::move(principal).value();
  request.path_parameters = std::move(match.parameters);
  match.route->handler(std::move(request), std::move(responder));
}

}  // namespace trainyard::net
