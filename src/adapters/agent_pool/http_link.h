#pragma once
#include <memory>
#include <mutex>
#include <string>

#include "agent/agent_link.h"
#include "net/http_client.h"

namespace trainyard::adapters::agent_pool {

/// The link of an agent on another machine (or in a process of its own): the routes of api/agents over HTTP. Two connections, so that a
/// waiting sync does not hold up logs and events.
class HttpLink final : public agent::AgentLink {
 public:
  /// `url` is "http://host:port". Errors: INVALID_ARGUMENT "net.url".
  static Result<std::unique_ptr<HttpLink>> make(const std::string& url, const std::string& token);

  Result<exec::DesiredState> sync(const exec::NodeObservation& observation, std::uint64_t seen_version, Duration wait) override;
  Result<std::uint64_t> log_end(const RankKey& rank) override;
  Result<std::uint64_t> append_log(const RankKey& rank, std::uint64_t offset, std::string_view encoded) override;
  Result<std::uint64_t> events_end(const RankKey& rank) override;
  Result<std::uint64_t> append_events(const RankKey& rank, std::uint64_t first, const std::vector<std::string>& lines) override;

 private:
  HttpLink(std::string url, std::string token) : url_(std::move(url)), token_(std::move(token)) {}

  Result<Document> exchange(net::HttpClient& http, std::string method, std::string target, std::string body, Duration timeout) const;
  Result<std::uint64_t> exchange_end(std::string method, std::string target, std::string body);

  std::string url_;
  std::string token_;
  std::mutex bulk_mutex_;
  std::unique_ptr<net::HttpClient> bulk_;  // guarded by bulk_mutex_
};

}  // namespace trainyard::adapters::agent_pool
