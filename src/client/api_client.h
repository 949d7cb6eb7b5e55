#pragma once
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/document.h"
#include "net/http_client.h"

namespace trainyard::client {

/// Where a server is and how to prove who calls.
struct ServerAddress {
  std::string url;         ///< "http://host:port"
  std::string token_file;  ///< Empty: no token is sent.
};

/// What the user said; empty fields fall back to the environment, then to the data directory's server.json.
struct AddressHints {
  std::string url;
  std::string token_file;
};

/// Finds the server: hints > TRAINYARD_URL or TRAINYARD_API_URL, TRAINYARD_TOKEN_FILE > $XDG_DATA_HOME/trainyard/server.json.
/// Errors: FAILED_PRECONDITION "client.no_server" with what to do.
Result<ServerAddress> find_server(const AddressHints& hints);

/// The platform API in JSON. Problem details come back as the Error they were: category from the status, id from `code`, `where` from the
/// first pointer. One call at a time per object. Errors: also those of HttpClient.
class ApiClient {
 public:
  ApiClient(std::unique_ptr<net::HttpClient> http, std::string token) : http_(std::move(http)), token_(std::move(token)) {}

  Result<Document> get(const std::string& target, std::chrono::milliseconds timeout = std::chrono::seconds(60));
  Result<Document> post(const std::string& target, const Document& body);
  /// Posts a text as it is: YAML, so that the server answers with its lines and columns.
  Result<Document> post_text(const std::string& target, std::string text, const std::string& content_type, const std::string& idempotency_key = {});
  Result<Document> put(const std::string& target, const Document& body);
  Result<Document> remove(const std::string& target);
  /// The body as it is.
  Result<std::string> get_text(const std::string& target);

  /// Reads Server-Sent Events until `on_event` returns false or the server ends the stream for good; reconnects with Last-Event-ID after a
  /// broken connection, at most `reconnects_max` times in a row without an event.
  using OnEvent = std::function<bool(const std::string& id, const std::string& event, const std::string& data)>;
  Result<void> follow(const std::string& target, const OnEvent& on_event, int reconnects_max = 20);

 private:
  net::ClientRequest request(std::string method, const std::string& target) const;
  Result<net::Response> exchange(const net::ClientRequest& request);
  Result<Document> exchange_json(const net::ClientRequest& request);

  std::unique_ptr<net::HttpClient> http_;
  std::string token_;
  std::mutex pause_mutex_;
  std::condition_variable pause_;  ///< Never notified: a wait on it is the pause between two connections.
};

/// Connects to the server at `address`; reads the token file. Nothing is sent yet.
Result<std::unique_ptr<ApiClient>> make_api_client(const ServerAddress& address);

/// The error that a problem-details answer tells of.
Error error_from_response(const net::Response& response);

}  // namespace trainyard::client
