#pragma once
#include <memory>
#include <utility>

#include "client/api_client.h"
#include "runner/environment.h"

namespace trainyard::runner {

/// The connection of one attempt to the server that started it. One call at a time.
class ServerConnection {
 public:
  /// Reads the attempt's token; nothing is sent yet. Errors: FAILED_PRECONDITION "runner.no_server" when the environment names no server;
  /// those of reading the token and of the URL.
  static Result<ServerConnection> make(const Environment& environment);

  client::ApiClient& api() { return *api_; }

 private:
  ServerConnection(std::unique_ptr<net::HttpClient> http, std::unique_ptr<client::ApiClient> api)
      : http_(std::move(http)), api_(std::move(api)) {}

  std::unique_ptr<net::HttpClient> http_;
  std::unique_ptr<client::ApiClient> api_;
};

}  // namespace trainyard::runner
