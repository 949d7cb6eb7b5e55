#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/http.h"
#include "net/permission.h"
#include "net/rate_limit.h"
#include "net/route_doc.h"

namespace trainyard::net {

/// Finds out who sends a request. Thread-safe, does not block.
class Authorizer {
 public:
  virtual ~Authorizer() = default;
  /// Errors: UNAUTHENTICATED "auth.missing" or "auth.invalid".
  virtual Result<Principal> authenticate(const Request& request) = 0;
  /// Whether the credential that `principal` showed is still good: asked again when an answer took its time.
  virtual bool is_current(const Principal&) const { return true; }
};

/// One route: "POST", "/api/v1/jobs/{id}/cancel". A last segment "{rest*}" takes the remaining path.
struct Route {
  std::string method;
  std::string pattern;
  Permission permission = Permission::kUnnamed;
  Handler handler;
  std::size_t body_max = std::size_t{1} << 20;
  RouteDoc doc = {};
  std::string group = {};  ///< Filled by the Router: see begin_group.
};

/// The header field that a request carries which another process of the installation handed on: the address of its client, as seen there.
inline constexpr std::string_view kForwardedField = "X-Trainyard-Forwarded";

/// Requests that another process answers. `applies` is asked for every matched request, on network threads, and must not block; those it
/// takes go to `handler` as they came, without a principal: who answers checks the caller.
struct Detour {
  std::function<bool(const Route& route, const Request& request)> applies;
  Handler handler;
};

/// Writes a refusal in the words of one wire protocol, e.g. {"error": text}.
using RefusalForm = std::function<Response(int status, const Error& error, std::string_view request_id)>;

/// Told of every request that was refused to somebody (an empty principal: to nobody known). Called on network threads; must not block.
using DenialObserver = std::function<void(const Request& request, const Principal& principal, const Error& error)>;

namespace internal {
class AnswerGate;
}  // namespace internal

/// Matches requests to routes; denies by default: 404 unknown path, 405 with Allow, 401, 403, 413, and 429 or 503 when a limiter says so. A
/// refusal is problem details unless its path has another form. A route that belongs to no namespace is for those who hold its permission
/// in any namespace, when it is viewer or runner, and in all of them, when it is more; a namespaced one for those who hold it in any, since
/// its handler checks the objects. The query of a described route is held against its description. Routes are added before the server
/// starts; thread-safe then.
class Router {
 public:
  explicit Router(Authorizer& authorizer);
  ~Router();
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;

  /// CHECKs that the same method and pattern is not there yet.
  void add(Route route);
  /// Routes that are added from now on belong to this group, whose meaning is the caller's: a detour may ask for it.
  void begin_group(std::string group) { group_ = std::move(group); }
  /// Before the server starts.
  void set_detour(Detour detour) { detour_ = std::move(detour); }
  /// Refusals of `prefix` and of every path below it are written by `form`; the longest prefix wins.
  void set_refusal_form(std::string prefix, RefusalForm form);
  /// Every route that could change anything, that is one for the role runner, operator or agent, answers `why` instead. Before the server
  /// starts.
  void refuse_changes(Error why) { changes_refused_ = std::move(why); }
  /// Holds requests to limits; `limiter` outlives the router. Before the server starts.
  void set_limiter(RequestLimiter& limiter) { limiter_ = &limiter; }
  /// Before the server starts.
  void observe_denials(DenialObserver observer) { denied_ = std::move(observer); }

  /// Whether every route below /api/ that is not foreign describes itself: an operation of its own, its answers and its path parameters.
  /// A server that must not have others asks before it starts. Errors: INTERNAL
  /// "http.route_undescribed", "http.route_without_permission".
  Result<void> check() const;

  /// The body limit for a head that just arrived: lets the server refuse before reading.
  std::size_t body_limit(std::string_view method, std::string_view path) const;
  /// The refusal a head alone already earns (404, 405, 401, 403, 503): lets the server answer before it reads a large body.
  std::optional<Response> refusal_of(const Request& head) const;
  /// Whether the route of this head is served even when nothing else is.
  bool is_reserved(std::string_view method, std::string_view path) const;
  /// The 413 answer for a head whose body is larger than `body_limit`.
  Response body_too_large(const Request& head) const;
  void handle(Request request, ResponderPtr responder) const;
  const std::vector<Route>& routes() const { return routes_; }

  /// Ends the open streams of everybody of whom `ends` is true: after a credential was revoked or a grant taken away. Their producers
  /// see them closed. Thread-safe.
  void end_streams(const std::function<bool(const Principal&)>& ends) const;
  std::size_t open_streams() const;

 private:
  struct Segment {
    enum class Kind { kLiteral, kParameter, kRest };  ///< In order of preference.
    Kind kind = Kind::kLiteral;
    std::string text;  ///< The literal, or the name of the parameter.
  };
  using Pattern = std::vector<Segment>;
  struct Match;

  static Pattern compile(std::string_view pattern);
  Match find(std::string_view method, std::string_view path) const;
  bool takes_detour(const Match& match, const Request& request) const;
  Result<Principal> admit(const Match& match, const Request& request) const;
  std::optional<Response> over_budget(const Route& route, const Request& request, const Principal& principal) const;
  Response no_room(const Request& request) const;
  Response refuse(const Request& request, int status, const Error& error) const;
  Response refuse(const Request& request, const Match& match) const;

  Authorizer& authorizer_;
  std::vector<Route> routes_;
  std::vector<Pattern> patterns_;  ///< One for each route.
  std::vector<std::pair<std::string, RefusalForm>> refusal_forms_;
  std::string group_;  ///< Of the routes that are added next.
  std::optional<Detour> detour_;
  std::optional<Error> changes_refused_;
  RequestLimiter* limiter_ = nullptr;
  DenialObserver denied_;
  std::shared_ptr<internal::AnswerGate> gate_;  // shared: answers may come after the router is gone
};

}  // namespace trainyard::net
