#include "adapters/agent_pool/failover.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>

namespace trainyard::adapters::agent_pool {
namespace {

/// What all clients of one installation know together.
struct Servers {
  std::vector<std::string> urls;
  net::ClientTls tls;
  std::atomic<std::size_t> current{0};

  /// Unless another client has moved on already.
  void leave(std::size_t failed) { current.compare_exchange_strong(failed, (failed + 1) % urls.size()); }
};
using ServersPtr = std::shared_ptr<Servers>;  // shared: between the clients

class FailoverClient final : public net::HttpClient {
 public:
  explicit FailoverClient(ServersPtr servers) : servers_(std::move(servers)) {}

  Result<net::Response> send(const net::ClientRequest& request) override {
    return exchange([&request](net::HttpClient& client) { return client.send(request); });
  }
  Result<net::Response> stream(const net::ClientRequest& request, const std::function<bool(std::string_view)>& on_bytes) override {
    return exchange([&](net::HttpClient& client) { return client.stream(request, on_bytes); });
  }

 private:
  template <typename Call>
  Result<net::Response> exchange(const Call& call) {
    const std::size_t current = servers_->current;
    if (client_ == nullptr || used_ != current) {
      ASSIGN_OR_RETURN(client_, net::make_http_client(servers_->urls[current], servers_->tls));
      used_ = current;
    }
    Result<net::Response> response = call(*client_);
    // A server that hangs is no better than one that is gone.
    if (!response.ok()) servers_->leave(used_);
    return response;
  }

  const ServersPtr servers_;
  std::unique_ptr<net::HttpClient> client_;
  std::size_t used_ = 0;  ///< Which server `client_` is for.
};

}  // namespace

Result<std::vector<std::string>> parse_server_urls(std::string_view text) {
  std::vector<std::string> urls;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    std::string_view url = text.substr(at, comma - at);
    while (url.ends_with('/')) url.remove_suffix(1);
    const bool bare = !url.empty() && url.find("://") == std::string_view::npos;
    urls.push_back((bare ? "http://" : "") + std::string(url));
    at = comma + 1;
  }
  for (std::size_t i = 0; i < urls.size(); ++i) {
    const bool twice =
        std::find(urls.begin(), urls.begin() + static_cast<std::ptrdiff_t>(i), urls[i]) != urls.begin() + static_cast<std::ptrdiff_t>(i);
    if (!urls[i].empty() && !twice) continue;
    return invalid_argument("agent.join_url", fmt::format("{}; servers are written http://a:8470,http://b:8470: \"{}\"",
                                                          twice ? "a server is named twice" : "the address of a server is missing", text));
  }
  return urls;
}

FailoverClients make_failover_clients(std::vector<std::string> urls, net::ClientTls tls) {
  const auto servers = std::make_shared<Servers>();  // shared: between the clients
  servers->urls = std::move(urls);
  servers->tls = std::move(tls);
  const auto connect = [servers]() -> Result<std::unique_ptr<net::HttpClient>> {
    // A faulty address is told at once.
    TRY(net::make_http_client(servers->urls[servers->current], servers->tls));
    return std::unique_ptr<net::HttpClient>(std::make_unique<FailoverClient>(servers));
  };
  return {connect, [servers] { return servers->urls[servers->current]; }};
}

}  // namespace trainyard::adapters::agent_pool
