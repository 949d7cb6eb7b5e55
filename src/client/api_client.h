#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/document.h"
#include "client/server_address.h"
#include "net/http_client.h"

namespace trainyard::client {

/// How patiently a stream of events is followed.
struct FollowSettings {
  std::string last_event_id = {};              ///< Resume behind this event; empty: where the server begins.
  std::chrono::milliseconds silence{45'000};   ///< Three missed heartbeats: the connection is taken for dead.
  std::chrono::milliseconds retry_first{250};  ///< Pause before the first reconnect, doubled up to `retry_max`; the stream may raise it.
  std::chrono::milliseconds retry_max{5'000};
  std::chrono::milliseconds give_up_after{30'000};  ///< How long the server may be away, over all reconnects.
  std::chrono::milliseconds timeout{0};             ///< For everything; 0: no limit.
  std::stop_token stop = {};                        ///< Seen between pieces and between connections, so late by at most `silence`.
};

/// The platform API in JSON. Problem details come back as the Error they were: category from the problem or the status, id from `code`,
/// `where` from the first pointer. One call at a time per object. Errors: also those of HttpClient, and DATA_LOSS "client.not_json".
class ApiClient {
 public:
  /// An empty token sends none.
  ApiClient(std::unique_ptr<net::HttpClient> http, std::string token) : owned_(std::move(http)), http_(*owned_), token_(std::move(token)) {}
  /// The same over a client that outlives this object.
  ApiClient(net::HttpClient& http, std::string token) : http_(http), token_(std::move(token)) {}

  Result<Document> get(const std::string& target, std::chrono::milliseconds timeout = std::chrono::seconds(60));
  /// With an idempotency key a repetition does no harm, so a broken connection is tried once more.
  Result<Document> post(const std::string& target, const Document& body, const std::string& idempotency_key = {});
  /// Posts a text as it is: YAML, so that the server answers with its lines and columns.
  Result<Document> post_text(const std::string& target, std::string text, const std::string& content_type,
                             const std::string& idempotency_key = {});
  Result<Document> put(const std::string& target, const Document& body);
  Result<Document> patch(const std::string& target, const Document& body);
  Result<Document> remove(const std::string& target);
  /// The body as it is.
  Result<std::string> get_text(const std::string& target);
  /// The problem details of the call that was refused last, for what an Error does not carry (`request_id`, `errors`, `type`); null when
  /// no call was refused or the answer was no JSON.
  const Document& last_problem() const { return last_problem_; }

  /// Reads Server-Sent Events until `on_event` returns false or the server answers 204: there is nothing more. Reconnects behind the last
  /// event when the connection ends, breaks or falls silent and when the server answers 5xx or 429. Errors: what the server refused
  /// otherwise; the last failure once the server was away for `give_up_after`; DEADLINE_EXCEEDED "client.follow_timeout"; CANCELLED
  /// "client.stopped".
  using OnEvent = std::function<bool(const std::string& id, const std::string& event, const std::string& data)>;
  Result<void> follow(const std::string& target, const OnEvent& on_event, const FollowSettings& settings = {});

 private:
  net::ClientRequest request(std::string method, const std::string& target) const;
  Result<net::Response> exchange(const net::ClientRequest& request);
  Result<Document> exchange_json(const net::ClientRequest& request);
  Result<Document> send_document(std::string method, const std::string& target, const Document& body);
  Error refusal(const net::Response& response);

  std::unique_ptr<net::HttpClient> owned_;
  net::HttpClient& http_;
  std::string token_;
  Document last_problem_;
};

/// Connects to the server at `address`; reads the token file. Nothing is sent yet.
Result<std::unique_ptr<ApiClient>> make_api_client(const ServerAddress& address);

/// The error that a problem-details answer tells of.
Error error_from_response(const net::Response& response);

}  // namespace trainyard::client
