#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/document.h"
#include "base/result.h"

namespace trainyard::net {

/// Header fields in the order they came; names compare without case.
class Headers {
 public:
  void add(std::string name, std::string value) { fields_.emplace_back(std::move(name), std::move(value)); }
  /// Replaces every field of that name.
  void set(std::string_view name, std::string value);
  /// The first field of that name.
  std::optional<std::string_view> get(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& fields() const { return fields_; }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

/// What somebody may do in one namespace.
struct Grant {
  std::string scope;  ///< A namespace, or "*" for all of them.
  std::string role;   ///< "viewer", "runner", "operator", "admin".
  auto operator<=>(const Grant&) const = default;
};

/// Who a request comes from, as the Authorizer found it. What it may do: net/permission.h.
struct Principal {
  std::string name;           ///< "admin", "ann", "job:17/2", "agent:node-1".
  std::string role;           ///< In every namespace: "viewer", "runner", "operator", "admin", or "agent"; empty for none.
  std::vector<Grant> grants;  ///< In single namespaces.
  std::string credential;     ///< The id of the stored token that was shown; empty when it was another kind.
};

/// A request as a value: handlers never see a socket.
struct Request {
  std::string method;
  std::string path;  ///< Percent-decoded once, without query.
  std::multimap<std::string, std::string> query;
  Headers headers;
  std::string body;
  std::map<std::string, std::string> path_parameters;  ///< Filled by the Router.
  Principal principal;                                 ///< Filled by the Router.
  std::string request_id;
  std::string traceparent;  ///< W3C trace context as the client sent it, when it was well-formed.
  std::string peer;         ///< The numeric address of the client; empty when it is not known.

  std::optional<std::string> query_value(std::string_view key) const;
};

struct Response {
  int status = 200;
  Headers headers;
  std::string body;
};

Response json_response(int status, const Document& body);
Response text_response(int status, std::string body, std::string_view content_type = "text/plain; charset=utf-8");
/// RFC 9457 problem details for an error; the category decides the status.
Response problem_response(const Error& error, std::string_view request_id = {});
/// The same with a status that no category stands for, e.g. 405 or 413.
Response problem_response(int status, const Error& error, std::string_view request_id = {});
/// "Not Found"; empty for an unknown status.
std::string_view reason_phrase(int status);
int http_status_of(Category category);

/// The open body of a streaming answer (Server-Sent Events). Thread-safe. Bounded: when the client does not read, `write`
/// refuses.
class ResponseStream {
 public:
  virtual ~ResponseStream() = default;
  /// Queues bytes. False when the client is gone or more than 1 MiB waits: the producer should close.
  virtual bool write(std::string bytes) = 0;
  /// True when little waits to be sent. Else `on_room` is called once that is so or the client is gone, from any thread; it replaces the
  /// one that was given before. For producers that have it all already and can wait.
  virtual bool has_room(std::function<void()> on_room) = 0;
  /// The body is complete.
  virtual void close() = 0;
  /// The body is not complete and will not be: the connection ends, so that the client can see it.
  virtual void cut() = 0;
  virtual bool open() const = 0;
  /// Called once when the client goes away; at once if it is gone already.
  virtual void on_closed(std::function<void()> callback) = 0;
};

/// Answers one request exactly once, from any thread; dropped without a call it answers 500.
class Responder {
 public:
  virtual ~Responder() = default;
  virtual void respond(Response response) = 0;
  /// Sends the head with chunked encoding and hands the body over.
  virtual std::shared_ptr<ResponseStream> stream(Response head) = 0;  // shared: producer and connection both end it
};

using ResponderPtr = std::shared_ptr<Responder>;  // shared: a handler may finish on another thread
/// Called on a network thread; must not block.
using Handler = std::function<void(Request request, ResponderPtr responder)>;

/// One "event: / id: / data:" block; `data` is split at newlines.
std::string sse_event(std::string_view id, std::string_view event, std::string_view data);

/// "a/%20b" -> "a/ b". Errors: INVALID_ARGUMENT "http.encoding".
Result<std::string> percent_decode(std::string_view text);
std::string percent_encode(std::string_view text);

}  // namespace trainyard::net
