#include "net/router.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/check.h"
#include "net/internal/answer_gate.h"

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

/// A rate class by method where the route names none.
RateClass rate_of(const Route& route) { return route.doc.rate.value_or(route.method == "GET" ? RateClass::kRead : RateClass::kWrite); }

bool admits(const Route& route, const Principal& principal) {
  switch (route.permission) {
    case Permission::kOpen:
      return true;
    case Permission::kUnnamed:
      return false;
    case Permission::kViewer:
    case Permission::kRunner:
      return may_anywhere(principal, route.permission);
    case Permission::kOperator:
    case Permission::kAdmin:
    case Permission::kAgent:
    case Permission::kJoin:
      return route.doc.namespaced ? may_anywhere(principal, route.permission) : may_everywhere(principal, route.permission);
  }
  return false;
}

/// "'viewer' in ml, 'runner' in research".
std::string roles_of(const Principal& principal) {
  if (!principal.role.empty()) return fmt::format("'{}'", principal.role);
  std::string roles;
  for (const Grant& grant : principal.grants) {
    roles += fmt::format("{}'{}' in {}", roles.empty() ? "" : ", ", grant.role, grant.scope == "*" ? "all namespaces" : grant.scope);
  }
  return roles.empty() ? "none" : roles;
}

Error forbidden(const Route& route, const Principal& principal) {
  const bool everywhere = route.permission > Permission::kRunner && !route.doc.namespaced;
  return {Category::kPermissionDenied,
          "auth.forbidden",
          fmt::format("This token may not do that; it needs the role '{}'{} and has {}", name_of(route.permission),
                      everywhere ? " in all namespaces" : "", roles_of(principal)),
          {},
          {}};
}

std::set<std::string> parameters_in(std::string_view pattern) {
  std::set<std::string> names;
  for (const std::string_view text : split_path(pattern)) {
    if (text.size() < 2 || text.front() != '{') continue;
    names.emplace(text.substr(1, text.find_first_of("*}") - 1));
  }
  return names;
}

/// What a route of the platform must tell about itself.
Result<void> check_description(const Route& route) {
  const std::string name = route.method + " " + route.pattern;
  const auto lacks = [&name](std::string_view what) {
    return internal_error("http.route_undescribed", fmt::format("a route of the platform must describe itself and does not: it lacks {}; "
                                                                "complete the RouteDoc it is added with: {}",
                                                                what, name));
  };
  if (route.doc.operation.empty()) return lacks("an operation");
  if (route.doc.summary.empty() || route.doc.tag.empty()) return lacks("a summary or a tag");
  if (route.doc.answers.empty()) return lacks("its answers");
  std::set<std::string> described;
  for (const ParameterDoc& parameter : route.doc.parameters) {
    if (parameter.doc.empty()) return lacks("a sentence about the parameter " + parameter.name);
    if (parameter.in == ParameterDoc::In::kPath) described.insert(parameter.name);
  }
  if (described != parameters_in(route.pattern)) return lacks("exactly the parameters of its path");
  return {};
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

Router::Router(Authorizer& authorizer) : authorizer_(authorizer), gate_(std::make_shared<internal::AnswerGate>(authorizer)) {}

Router::~Router() { gate_->close(); }

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
  route.group = group_;
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

bool Router::takes_detour(const Match& match, const Request& request) const { return detour_ && detour_->applies(*match.route, request); }

Result<Principal> Router::admit(const Match& match, const Request& request) const {
  Result<Principal> found = authorizer_.authenticate(request);
  if (match.route->permission == Permission::kOpen) return std::move(found).value_or(Principal{});
  if (!found.ok()) {
    if (denied_) denied_(request, {}, found.error());
    return found;
  }
  if (!admits(*match.route, *found)) {
    Error error = forbidden(*match.route, *found);
    if (denied_) denied_(request, *found, error);
    return error;
  }
  const Permission permission = match.route->permission;
  const bool changes = permission == Permission::kRunner || permission == Permission::kOperator || permission == Permission::kAgent ||
                       permission == Permission::kJoin;
  if (changes && changes_refused_) return *changes_refused_;
  return found;
}

Response Router::no_room(const Request& request) const {
  Response response =
      refuse(request, 503,
             unavailable("http.overloaded", "The server works on as many requests as it can at the same time; try again in a moment."));
  response.headers.set("Retry-After", "1");
  return response;
}

std::optional<Response> Router::over_budget(const Route& route, const Request& request, const Principal& principal) const {
  if (limiter_ == nullptr || principal.name.empty()) return std::nullopt;
  const std::optional<Duration> wait = limiter_->take(principal.name, rate_of(route));
  if (!wait) return std::nullopt;
  const auto seconds = std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::seconds>(*wait).count());
  Response response = refuse(
      request, 429,
      {Category::kResourceExhausted,
       "http.rate_limited",
       fmt::format("Too many requests in the name of {}; wait, or put several into one. Seconds to wait: {}", principal.name, seconds),
       {},
       {}});
  response.headers.set("Retry-After", std::to_string(seconds));
  return response;
}

std::optional<Response> Router::refusal_of(const Request& head) const {
  const Match match = find(head.method, head.path);
  if (match.route == nullptr) return refuse(head, match);
  if (limiter_ != nullptr && rate_of(*match.route) != RateClass::kReserved && !limiter_->has_room()) return no_room(head);
  if (takes_detour(match, head)) return std::nullopt;
  const Result<Principal> principal = admit(match, head);
  if (!principal.ok()) return refuse(head, http_status_of(principal.error().category), principal.error());
  return std::nullopt;
}

bool Router::is_reserved(std::string_view method, std::string_view path) const {
  const Match match = find(method, path);
  return match.route != nullptr && rate_of(*match.route) == RateClass::kReserved;
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
  const Route& route = *match.route;
  std::optional<RequestLimiter::Place> place;
  if (limiter_ != nullptr && rate_of(route) != RateClass::kReserved) {
    place = limiter_->enter();
    if (!place) return responder->respond(no_room(request));
  }
  if (takes_detour(match, request)) {
    if (request.body.size() > route.body_max) return responder->respond(body_too_large(request));
    ResponderPtr answering = std::make_shared<internal::GatedResponder>(std::move(responder), gate_, request, std::move(place));
    return detour_->handler(std::move(request), std::move(answering));
  }
  Result<Principal> principal = admit(match, request);
  if (!principal.ok()) {
    return responder->respond(refuse(request, http_status_of(principal.error().category), principal.error()));
  }
  if (std::optional<Response> wait = over_budget(route, request, *principal)) return responder->respond(*std::move(wait));
  if (request.body.size() > route.body_max) return responder->respond(body_too_large(request));
  if (route.doc.describes()) {
    if (const Result<void> query = check_query(request, route.doc); !query.ok()) {
      return responder->respond(refuse(request, 400, query.error()));
    }
    if (const Result<void> body = check_media_type(request, route.doc); !body.ok()) {
      return responder->respond(refuse(request, 415, body.error()));
    }
  }
  request.principal = std::move(principal).value();
  request.path_parameters = std::move(match.parameters);
  const bool gated = place || !request.principal.name.empty();
  ResponderPtr answering =
      gated ? std::make_shared<internal::GatedResponder>(std::move(responder), gate_, request, std::move(place)) : std::move(responder);
  route.handler(std::move(request), std::move(answering));
}

void Router::end_streams(const std::function<bool(const Principal&)>& ends) const { gate_->end_streams(ends); }
std::size_t Router::open_streams() const { return gate_->open_streams(); }

Result<void> Router::check() const {
  std::map<std::string, std::string> operations;
  for (const Route& route : routes_) {
    if (route.permission == Permission::kUnnamed) {
      return internal_error(
          "http.route_without_permission",
          fmt::format("every route names the permission it takes, this one does not: {} {}", route.method, route.pattern));
    }
    if (route.doc.foreign) continue;
    if (route.pattern.starts_with("/api/")) TRY(check_description(route));
    if (route.doc.operation.empty()) continue;
    const auto [other, fresh] = operations.emplace(route.doc.operation, route.method + " " + route.pattern);
    if (!fresh) {
      return internal_error("http.route_undescribed", fmt::format("two routes have the same operation {}: {} and {} {}",
                                                                  route.doc.operation, other->second, route.method, route.pattern));
    }
  }
  return {};
}

}  // namespace trainyard::net
