#pragma once
#include <atomic>

#include "adapters/agent_pool/agent_pool.h"
#include "agent/agent_link.h"
#include "store/log_store.h"

namespace trainyard::adapters::agent_pool {

/// The link of an agent that lives in the server's process: calls go to the strand and are waited for.
class EmbeddedLink final : public agent::AgentLink {
 public:
  struct Deps {
    Executor& strand;
    AgentPool& pool;
    store::LogStore& logs;
    EventSink& events;
  };

  explicit EmbeddedLink(Deps deps) : deps_(deps) {}

  Result<exec::DesiredState> sync(const exec::NodeObservation& observation, std::uint64_t seen_version, Duration wait) override;
  void interrupt() override;
  Result<std::uint64_t> log_end(const RankKey& rank) override;
  Result<std::uint64_t> append_log(const RankKey& rank, std::uint64_t offset, std::string_view encoded) override;
  Result<std::uint64_t> events_end(const RankKey& rank) override;
  Result<std::uint64_t> append_events(const RankKey& rank, std::uint64_t first, const std::vector<std::string>& lines) override;

 private:
  Deps deps_;
  std::atomic<bool> interrupted_{false};
};

/// What both links say of an attempt that is not current.
Error fenced_attempt(const AttemptKey& attempt);

}  // namespace trainyard::adapters::agent_pool
