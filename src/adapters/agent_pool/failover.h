#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "adapters/agent_pool/agent_credential.h"

namespace trainyard::adapters::agent_pool {

/// "http://a:8470,http://b:8470/" taken apart, each with its scheme and without a slash at its end. Errors: INVALID_ARGUMENT
/// "agent.join_url" when it is empty or names one twice; those of the addresses come with the clients.
Result<std::vector<std::string>> parse_server_urls(std::string_view text);

/// Clients of an installation, and which of its addresses they use now. Both are thread-safe and outlive nothing.
struct FailoverClients {
  MakeClient connect;
  std::function<std::string()> url_in_use;
};

/// Clients of an installation that is reached at several addresses, its server processes. All clients use the same one until it cannot be
/// reached; from then on the next one, round and round. The call that failed is answered with its error: whoever made it tries again.
/// Thread-safe.
FailoverClients make_failover_clients(std::vector<std::string> urls, net::ClientTls tls);

}  // namespace trainyard::adapters::agent_pool
