#pragma once
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "adapters/agent_pool/agent_credential.h"
#include "agent/agent_link.h"
#include "base/file.h"
#include "net/http_client.h"

namespace trainyard::adapters::agent_pool {

/// The link of an agent on another machine (or in a process of its own): the routes of api/agents over HTTP. Connections are kept and
/// used again; there are as many as calls that wait at the same time, so that a waiting sync does not hold up logs and events.
class HttpLink final : public agent::AgentLink {
 public:
  /// `credential` outlives the link.
  HttpLink(MakeClient connect, CredentialSource& credential);

  Result<exec::DesiredState> sync(const exec::NodeObservation& observation, std::uint64_t seen_version, Duration wait) override;
  /// Syncs end with UNAVAILABLE "net.cancelled" from now on.
  void interrupt() override;
  Result<std::uint64_t> log_end(const RankKey& rank) override;
  Result<std::uint64_t> append_log(const RankKey& rank, std::uint64_t offset, std::string_view encoded) override;
  Result<std::uint64_t> events_end(const RankKey& rank) override;
  Result<std::uint64_t> append_events(const RankKey& rank, std::uint64_t first, const std::vector<std::string>& lines) override;

 private:
  Result<Document> exchange(std::string method, std::string target, std::string body, Duration timeout, int cancel_fd = -1);
  Result<std::uint64_t> exchange_end(std::string method, std::string target, std::string body);
  Result<std::unique_ptr<net::HttpClient>> take_client();

  MakeClient connect_;
  CredentialSource& credential_;
  const UniqueFd interrupted_;  ///< An event: readable once `interrupt` was called.
  std::mutex mutex_;
  std::vector<std::unique_ptr<net::HttpClient>> idle_;  // guarded by mutex_; as many as the agent has threads
};

/// The error in a problem answer, as the server meant it: category and id. UNAVAILABLE "http.status" when it says none.
Error error_of(const net::Response& response);

}  // namespace trainyard::adapters::agent_pool
