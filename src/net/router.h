#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http.h"

namespace trainyard::net {

/// Finds out who sends a request. Thread-safe, does not block.
class Authorizer {
 public:
  virtual ~Authorizer() = default;
  /// Errors: UNAUTHENTICATED "auth.missing" or "auth.invalid".
  virtual Result<Principal> authenticate(const Request& request) = 0;
};

/// The least role a route asks for. kOpen is served without a token too and stands on an exact list only; its handler sees the principal
/// of a good token and an empty one else.
enum class Permission { kOpen, kViewer, kRunner, kOperator, kAdmin };

/// One route: "POST", "/api/v1/jobs/{id}/cancel". A last segment "{rest*}" takes the remaining path.
struct Route {
  std::string method;
  std::string pattern;
  Permission permission = Permission::kAdmin;
  Handler handler;
  std::size_t body_max = std::size_t{1} << 20;
};

/// Writes a refusal in the words of one wire protocol, e.g. {"error": text}.
using RefusalForm = std::function<Response(int status, const Error& error, std::string_view request_id)>;

/// Matches requests to routes; denies by default: 404 unknown path, 405 with Allow, 401, 403, 413. A refusal is problem details unless its
/// path has another form. Immutable after the server started; thread-safe then.
class Router {
 public:
  explicit Router(Authorizer& authorizer) : authorizer_(authorizer) {}
  /// CHECKs that the same method and pattern is not there yet.
  void add(Route route);
  /// Refusals of `prefix` and of every path below it are written by `form`; the longest prefix wins.
  void set_refusal_form(std::string prefix, RefusalForm form);
  /// Every route that could change anything, that is one for the role runner or operator, answers `why` instead. Before the server starts.
  void refuse_changes(Error why) { changes_refused_ = std::move(why); }
  /// The body limit for a head that just arrived: lets the server refuse before reading.
  std::size_t body_limit(std::string_view method, std::string_view path) const;
  /// The refusal a head alone already earns (404, 405, 401, 403): lets the server answer before it reads a large body.
  std::optional<Response> refusal_of(const Request& head) const;
  /// The 413 answer for a head whose body is larger than `body_limit`.
  Response body_too_large(const Request& head) const;
  void handle(Request request, ResponderPtr responder) const;
  const std::vector<Route>& routes() const { return routes_; }

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
  Result<Principal> admit(const Match& match, const Request& request) const;
  Response refuse(const Request& request, int status, const Error& error) const;
  Response refuse(const Request& request, const Match& match) const;

  Authorizer& authorizer_;
  std::vector<Route> routes_;
  std::vector<Pattern> patterns_;  ///< One for each route.
  std::vector<std::pair<std::string, RefusalForm>> refusal_forms_;
  std::optional<Error> changes_refused_;
};

/// Whether `role` is at least what `permission` asks for. An unknown role holds nothing.
bool role_allows(std::string_view role, Permission permission);

}  // namespace trainyard::net
