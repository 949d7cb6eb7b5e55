#include "runner/server.h"

namespace trainyard::runner {

Result<ServerConnection> ServerConnection::make(const Environment& environment) {
  if (environment.api_url.empty()) {
    return failed_precondition("runner.no_server",
                               "the job needs the server, but TRAINYARD_API_URL is not set; the agent sets it, set it yourself only to run "
                               "the program by hand");
  }
  std::string token;
  if (!environment.token_file.empty()) {
    ASSIGN_OR_RETURN(token, read_token(environment));
  }
  ASSIGN_OR_RETURN(std::unique_ptr<net::HttpClient> http, net::make_http_client(environment.api_url, {.ca_file = environment.ca_file}));
  auto api = std::make_unique<client::ApiClient>(*http, std::move(token));
  return ServerConnection(std::move(http), std::move(api));
}

}  // namespace trainyard::runner
